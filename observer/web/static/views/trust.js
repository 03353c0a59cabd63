// What is verified here, what is only relayed, against what; and where the visitor gives what to check against.

import { forgetAnchor, rememberAnchor } from "../anchors.js";
import { parseAnchor } from "../charter.js";
import { definitions, el, replace, table } from "../dom.js";
import { encodeHex } from "../encoding.js";
import { downloadButton } from "../files.js";
import { section, stepList, verifiedMark, whatItMeans } from "../parts.js";
import { Refusal } from "../refusal.js";
import { session, verifyAgain } from "../session.js";
import { describeCryptography } from "../signatures.js";
import { digest, formatSpan, time } from "../text.js";
import { WORDS } from "../words.js";

export const title = "What is verified";

export async function show(main, { parts, go }) {
  const words = await describeCryptography();
  const { charter, trust } = session;
  replace(
    main,
    el("h1", null, "What is verified"),
    anchorPanel(go),
    el(
      "div",
      { class: "columns" },
      section(
        "Verified in this browser",
        verifiedMark(),
        stepList(session.steps),
        el(
          "ul",
          null,
          el(
            "li",
            null,
            "Every entry on its own page: leaf hash, inclusion proof, block header, seal, Ed25519 cosignatures, founders' signatures.",
          ),
          el(
            "li",
            null,
            "The newest block's header and seal; every answer must have been read at a block whose seal was verified.",
          ),
          el("li", null, "A verdict that a table leads to is held against what the table said of it."),
          el("li", null, `${words.hashes}. ${words.ed25519}. ${words.bls}.`),
        ),
      ),
      section(
        "Only relayed",
        null,
        el(
          "ul",
          null,
          el("li", null, "Figures added up: counts, capacity, the network's one word, liveness, the calendar."),
          el(
            "li",
            null,
            "That a list is whole: a server can leave something out of a list, though not out of the ledger.",
          ),
          el(
            "li",
            null,
            "That a verdict is the newest, and that it follows from the rules: members executed them before they sealed; counterseal observe audit does it again.",
          ),
          el("li", null, "Labs' own signatures and post-quantum ML-DSA cosignatures."),
          el(
            "li",
            null,
            el("strong", null, "This page itself. "),
            "A server that lies about everything could serve another page that checks nothing. To depend on no server, follow the ledger yourself and look at it with ",
            el("code", null, "counterseal observe serve"),
            ", or check files with ",
            el("code", null, "counterseal verify"),
            ", on a machine of yours.",
          ),
        ),
      ),
    ),
    el(
      "div",
      { id: "time" },
      section(
        "Ledger time",
        null,
        el("p", null, WORDS.ledgerTime),
        charter
          ? definitions([
              ["grid begins", time(charter.grid.start * 1000)],
              ["an interval lasts", formatSpan(charter.grid.interval_s * 1000)],
              ["reports are due", `${formatSpan(charter.grid.submit_window_s * 1000)} after its end`],
              ["grace", `${formatSpan(charter.grid.grace_s * 1000)} more`],
              ["founded", time(charter.foundedAtMs)],
            ])
          : null,
      ),
    ),
    charter ? charterPanel(charter) : null,
    trust ? whatItMeans(String(trust.caveat), WORDS) : null,
  );
  if (parts[0] === "time") main.querySelector("#time").scrollIntoView();
}

function anchorPanel(go) {
  const origin = session.charter?.origin ?? String(session.trust?.origin ?? "");
  const problem = el("p", { class: "field-problem", role: "alert" });
  const input = el("textarea", {
    id: "anchor",
    name: "anchor",
    rows: 3,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    maxlength: 400,
    "aria-describedby": "anchor-help",
  });
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      rememberAnchor(origin, parseAnchor(input.value));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      problem.textContent = error.message;
      input.focus();
      return;
    }
    await again(go);
  };
  const forget = async () => {
    forgetAnchor(origin);
    await again(go);
  };
  const anchor = session.anchor;
  return section(
    "What you check against",
    null,
    anchor === null
      ? el(
          "p",
          { class: "caution" },
          "Nothing yet. Without it, everything is only as good as the charter that this server shows.",
        )
      : el("p", null, `The ${anchor.kind} that you gave: `, digest(anchor.value)),
    el(
      "form",
      { class: "anchor", onsubmit: submit },
      el("label", { for: "anchor" }, "Charter fingerprint or group key, from somebody you trust"),
      input,
      el(
        "p",
        { id: "anchor-help", class: "quiet" },
        `64 hexadecimal digits of a fingerprint, or a group key of 192 (or 128 characters of base64). It is for the ledger ${origin} alone, kept in this browser (localStorage), and sent to nobody. Do not take it from this server: that would prove nothing.`,
      ),
      problem,
      el(
        "p",
        { class: "buttons" },
        el("button", { type: "submit" }, "Check against this"),
        anchor === null ? null : el("button", { type: "button", onclick: forget }, "Forget it"),
      ),
    ),
  );
}

async function again(go) {
  try {
    await verifyAgain();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error; // a refusal is shown by the standing, and by the view below
  }
  go("#/trust", { isForced: true });
}

function charterPanel(charter) {
  return section(
    "Charter and keys",
    verifiedMark(),
    definitions([
      ["fingerprint", digest(charter.fingerprint)],
      ["ledger", charter.origin],
      ["title", charter.title],
      ["group key", digest(encodeHex(charter.groupKey))],
      ["quorum", `${charter.quorum} of ${charter.members.length}`],
      ["the bytes", downloadButton("charter", "charter", charter.entry)],
    ]),
    table(
      "Members, from the charter's own bytes",
      ["nation", "node", "identity key", "cosigning key"],
      charter.members.map((member) => [
        member.name,
        member.node,
        digest(encodeHex(member.identity)),
        digest(encodeHex(member.cosigner)),
      ]),
    ),
  );
}
