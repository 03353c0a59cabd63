// One entry: verified first, shown after. Everything of the statement comes out of the bytes whose place was proven; what
// the server says beside them is marked as relayed. If anything is refused, nothing of the entry is shown.

import { definitions, el, replace, table } from "../dom.js";
import { showBeside } from "../beside.js";
import { decodeDecimal, encodeHex } from "../encoding.js";
import { recallTold } from "../heatmap.js";
import { downloads } from "../files.js";
import { labLink, refusalBox, section, stepList, verdict, verifiedMark, waiting, whatItMeans } from "../parts.js";
import { Refusal } from "../refusal.js";
import { askVerified, refuse, session } from "../session.js";
import { showStatement } from "../showing.js";
import { digest, formatCount, formatTime, plural, time } from "../text.js";
import { verifyTableTold } from "../told.js";
import { drawPath, listPath } from "../tree.js";
import { verifyEntry } from "../verify.js";
import { WORDS } from "../words.js";

export const title = "Entry";
export const takesNumber = true;

export async function show(main, { parts, signal }) {
  const index = decodeDecimal(parts[0] ?? "", "index");
  const seen = el("div", null);
  replace(
    main,
    el("h1", null, `Entry ${index}`),
    waiting("Fetching the entry, its proof and its seal, and verifying them here…"),
    seen,
  );
  let outcome;
  try {
    const proof = await askVerified(`entries/${index}/proof`, {}, signal);
    const onStep = async () =>
      new Promise((resume) => {
        setTimeout(resume);
      }); // the page stays alive while it computes
    outcome = await verifyEntry({ index, proof, charterEntry: session.charterEntry, anchor: session.anchor, onStep });
    if (outcome.refusal === null) holdAgainstTables(outcome, index);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    outcome = { steps: [], refusal: error };
  }
  if (signal.aborted) return;
  if (outcome.refusal !== null) {
    refuse(outcome.refusal);
    replace(
      main,
      el("h1", null, `Entry ${index}`),
      refusalBox(outcome.refusal, `What this server shows as entry ${index} is not on the sealed ledger as it says.`),
      outcome.steps.length ? section("How far it came", null, stepList(outcome.steps)) : null,
    );
    return;
  }
  const about = el("div", null, waiting("Asking what else this server tells about it…"));
  replace(main, ...compose(index, outcome, about));
  await showBeside(about, index, outcome, signal);
}

/** What a table of this visit said of the verdict must be what the sealed entry says. */
function holdAgainstTables(outcome, index) {
  try {
    verifyTableTold(outcome.statement, recallTold(index));
  } catch (error) {
    outcome.refusal = error;
    outcome.steps.at(-1).state = "refused";
    outcome.steps.at(-1).said = error.message;
  }
}

function compose(index, outcome, about) {
  const { statement, checkpoint, seal, charter } = outcome;
  const isVerdict = statement.kind === "verdict" && statement.version === 1;
  const predicate = statement.predicate;
  return [
    el("h1", null, `Entry ${index}`, el("span", { class: "heading-kind" }, ` ${statement.kind}`)),
    el(
      "p",
      { class: "lead" },
      isVerdict
        ? [
            verdict(String(predicate.state), String(predicate.assurance)),
            " ",
            labLink(String(predicate.lab)),
            `, cluster ${predicate.cluster}, interval ${predicate.interval}`,
          ]
        : `about ${statement.subject}`,
    ),
    el(
      "div",
      { class: "columns" },
      section("Verified in this browser", verifiedMark(), stepList(outcome.steps), anchorNote()),
      section(
        "Where it stands",
        verifiedMark(),
        definitions([
          ["index", `${formatCount(index)}, in a tree of ${formatCount(checkpoint.size)}`],
          ["leaf hash", digest(encodeHex(outcome.leaf))],
          ["sealed by", time(Number(seal.timeMs))],
          ["by block", `${formatCount(seal.height)}, view ${formatCount(seal.view)}, epoch ${seal.epoch}`],
          ["ledger", charter.origin],
          ["root", digest(encodeHex(checkpoint.root))],
        ]),
        el(
          "p",
          { class: "quiet" },
          "It was on the ledger by the time of that seal; the block that added it may be an earlier one.",
        ),
        downloads(index, statement, outcome),
      ),
    ),
    section(
      "What it says",
      verifiedMark("from the verified bytes"),
      showStatement(statement),
      el(
        "p",
        { class: "quiet" },
        "That these words stand on the ledger is verified. Whether they are true is another question: see what a verdict does not show.",
      ),
    ),
    section(
      "Its proof, as a path through the tree",
      verifiedMark(),
      el(
        "p",
        null,
        `Each step hashes two nodes into one. The proof brings ${plural(outcome.trace.steps.length, "hash", "hashes")}, beside the path; this browser computed those on it, from the entry at the foot to the root that was sealed.`,
      ),
      drawPath(outcome.trace, { index, size: checkpoint.size, isNarrow: matchMedia("(max-width: 40rem)").matches }),
      el(
        "details",
        null,
        el("summary", null, "Every hash of the path"),
        table(
          "From the leaf up",
          ["step", "the proof's hash is", "of entries", "hash", "gives"],
          listPath(outcome.trace).map(([step, side, of, sibling, parent]) => [
            step,
            side,
            of,
            digest(sibling),
            digest(parent),
          ]),
        ),
      ),
    ),
    sealPanel(outcome),
    about,
    isVerdict ? whatItMeans(String(session.trust.caveat), WORDS) : null,
  ];
}

function anchorNote() {
  if (session.anchor !== null)
    return el("p", { class: "quiet" }, `Checked against the ${session.anchor.kind} that you gave.`);
  return el(
    "p",
    { class: "caution" },
    "You gave nothing to check against, so all of this is only as good as the charter that this server shows: ",
    digest(session.charter.fingerprint),
    ". ",
    el("a", { href: "#/trust" }, "Compare it"),
    ".",
  );
}

function sealPanel({ seal, charter, cosigners, lines, checkpoint }) {
  const rows = charter.members.map((member) => {
    const word = cosigners.find((each) => each.member === member);
    return [member.name, word ? "cosigned" : "–", word ? formatTime(Number(word.timeS) * 1000) : "", member.node];
  });
  return section(
    "Seal and cosignatures",
    verifiedMark(),
    definitions([
      ["seal", digest(encodeHex(seal.seal))],
      ["under group key", digest(encodeHex(charter.groupKey))],
      ["block digest", digest(encodeHex(seal.blockDigest))],
      ["checkpoint", el("pre", null, checkpoint.text)],
    ]),
    el(
      "p",
      null,
      `The seal is one signature that any ${charter.quorum} of the ${charter.members.length} nations make together; which ones cannot be told. Beside it stand words of nations by name:`,
    ),
    table(
      "Cosignatures (Ed25519), each verified here",
      ["nation", "under this checkpoint", "when, by its own clock", "key name"],
      rows,
    ),
    lines.unknownCount
      ? el(
          "p",
          { class: "quiet" },
          `${plural(lines.unknownCount, "more line")} under it by keys that this page cannot check, such as post-quantum ML-DSA: relayed, and believed by nobody here. counterseal verify checks those too.`,
        )
      : null,
  );
}
