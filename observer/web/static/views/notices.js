// Misconduct that was proven, incidents, observations and measures; and what this observer found and keeps beside the ledger.

import { el, replace, table } from "../dom.js";
import { askVerified } from "../session.js";
import { buttons, entryLink, nothing, relayed, section } from "../parts.js";
import { formatCount, formatTime, plural } from "../text.js";

const PAGE = 50;
const KINDS = ["misconduct", "incident", "observation", "enforcement"];

export const title = "Misconduct and incidents";

export async function show(main, { query, signal, go }) {
  const kind = KINDS.includes(query.get("kind")) ? query.get("kind") : null;
  const answer = await askVerified("notices", { kind, before: query.get("before"), limit: PAGE }, signal);
  replace(
    main,
    el("h1", null, "Misconduct and incidents"),
    el(
      "p",
      { class: "lead" },
      "Misconduct is proven by votes that a member signed and no honest member signs: the entry carries them. Incidents, observations and measures are what their issuers say.",
    ),
    section(
      "Found by this observer",
      relayed("kept beside the ledger"),
      answer.evidence.length === 0
        ? nothing("No contradiction and no member that went back.")
        : table(
            "Evidence",
            ["what", "at block", "seen", "shown by", "decided", "folder"],
            answer.evidence.map((each) => [
              `${each.kind}: ${each.said}`,
              formatCount(each.height),
              formatTime(each.seen_ms),
              each.source,
              each.is_decided ? "yes" : "not yet",
              el("code", null, each.name),
            ]),
            { numeric: [1] },
          ),
    ),
    section(
      kind === null ? "On the ledger" : `On the ledger: ${kind}`,
      relayed(),
      el(
        "p",
        { class: "filters" },
        el("a", { href: "#/notices", "aria-current": kind === null ? "true" : null }, "all"),
        KINDS.map((name) => [
          " · ",
          el("a", { href: `#/notices?kind=${name}`, "aria-current": name === kind ? "true" : null }, name),
        ]),
      ),
      answer.notices.length === 0
        ? nothing("Nothing of the kind.")
        : el("ol", { class: "notices" }, answer.notices.map(notice)),
      el("p", { class: "quiet" }, `${plural(answer.notices_count, "notice")} in all.`),
      answer.before === null
        ? null
        : buttons([
            "Older →",
            () => go(`#/notices?${new URLSearchParams({ ...(kind ? { kind } : {}), before: String(answer.before) })}`),
          ]),
    ),
  );
}

function notice(each) {
  const when =
    each.interval === null
      ? null
      : each.until === null
        ? `, interval ${each.interval}`
        : `, intervals ${each.interval} up to and without ${each.until}`;
  return el(
    "li",
    { class: `notice notice-${KINDS.includes(each.kind) ? each.kind : "unknown"}` },
    el(
      "p",
      { class: "notice-head" },
      el("span", { class: "notice-kind" }, each.kind),
      " ",
      el("strong", null, each.headline),
      each.level === null ? null : ` (${each.level})`,
    ),
    el(
      "p",
      null,
      "about ",
      el("strong", null, each.about),
      when,
      ` · said by ${each.issuer}, ${formatTime(each.time_ms)}, `,
      entryLink(each.index),
    ),
    each.text ? el("blockquote", null, each.text) : null,
  );
}
