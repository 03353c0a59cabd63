// All entries, newest first, of one kind or one issuer if asked for.

import { el, replace, table } from "../dom.js";
import { askVerified } from "../session.js";
import { buttons, entryLink, nothing, relayed, section } from "../parts.js";
import { formatCount, formatTime, plural, shorten } from "../text.js";

const PAGE = 50;

export const title = "Entries";

export async function show(main, { query, signal, go }) {
  const [kind, issuer] = [query.get("kind"), query.get("issuer")];
  const answer = await askVerified("entries", { kind, issuer, before: query.get("before"), limit: PAGE }, signal);
  const link = (changes) => {
    const next = new URLSearchParams(Object.entries({ kind, issuer, ...changes }).filter(([, value]) => value));
    return `#/entries?${next}`;
  };
  const kinds = Object.entries(answer.kinds).filter(([, count]) => count > 0);
  replace(
    main,
    el("h1", null, "Entries"),
    el(
      "p",
      { class: "lead" },
      "Everything that was ever said on the ledger, newest first. Each entry's own page verifies it.",
    ),
    section(
      issuer === null ? "By kind" : `By kind, signed by ${issuer}`,
      relayed(),
      el(
        "ul",
        { class: "chips" },
        el(
          "li",
          null,
          el("a", { href: "#/entries", "aria-current": kind === null && issuer === null ? "true" : null }, "all"),
        ),
        kinds.map(([name, count]) =>
          el(
            "li",
            null,
            el(
              "a",
              { href: link({ kind: name }), "aria-current": name === kind ? "true" : null },
              name,
              " ",
              el("span", { class: "quiet" }, formatCount(count)),
            ),
          ),
        ),
      ),
    ),
    section(
      plural(answer.entries_count, "entry", "entries"),
      relayed(),
      answer.entries.length === 0
        ? nothing("None.")
        : table(
            "Entries, newest first",
            ["entry", "kind", "about", "by", "block time", "leaf hash"],
            answer.entries.map((each) => [
              entryLink(each.index, formatCount(each.index)),
              each.kind,
              each.subject,
              each.issuer ?? "the rules",
              formatTime(each.time_ms),
              el("code", null, shorten(each.leaf, 16)),
            ]),
            { numeric: [0] },
          ),
      buttons(
        ["Newest", () => go(link({})), query.get("before") === null],
        ["Older →", () => go(link({ before: String(answer.before) })), answer.before === null],
      ),
    ),
  );
}
