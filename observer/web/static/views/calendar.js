// The calendar: what falls due, by day, in ledger time.

import { el, replace } from "../dom.js";
import { askVerified } from "../session.js";
import { buttons, entryLink, nothing, relayed, section } from "../parts.js";
import { formatClock, formatDay, formatSpan, time } from "../text.js";
import { DEADLINES } from "../words.js";

const GROUPS_SHOWN = 120;

export const title = "Calendar";

export async function show(main, { query, signal, go }) {
  const answer = await askVerified("deadlines", { from: query.get("from"), until: query.get("until") }, signal);
  const width = answer.until_ms - answer.from_ms;
  const move = (from) => () => go(`#/calendar?from=${Math.max(0, from)}&until=${Math.max(0, from) + width}`);
  const shownFew = groupByMoment(answer.deadlines);
  const groups = shownFew.slice(0, GROUPS_SHOWN);
  replace(
    main,
    el("h1", null, "Calendar"),
    el(
      "p",
      { class: "lead" },
      "What falls due, in ledger time: the time of sealed blocks, which a quorum agrees on. The newest block is of ",
      time(answer.head.time_ms),
      ".",
    ),
    section(
      `From ${formatDay(answer.from_ms)} to ${formatDay(answer.until_ms)}`,
      relayed(),
      buttons(
        ["← Earlier", move(answer.from_ms - width), answer.from_ms === 0],
        ["From the newest block", () => go("#/calendar")],
        ["Later →", move(answer.from_ms + width)],
      ),
      groups.length === 0
        ? nothing("Nothing falls due in this time.")
        : el(
            "ol",
            { class: "calendar" },
            groups.map((group) => day(group, answer.head.time_ms)),
          ),
      answer.is_complete && groups.length === shownFew.length
        ? null
        : el("p", { class: "caution" }, "There is more in this time than is shown here: look at a later part of it."),
      el(
        "p",
        { class: "quiet" },
        "Outages of the whole network up to now are counted in; what an outage of its own gives one lab more is not.",
      ),
    ),
  );
}

/** Everything of one moment together. */
function groupByMoment(deadlines) {
  const groups = [];
  for (const each of deadlines) {
    if (groups.at(-1)?.at !== each.at_ms) groups.push({ at: each.at_ms, isPast: each.is_past, deadlines: [] });
    groups.at(-1).deadlines.push(each);
  }
  return groups;
}

function day({ at, isPast, deadlines }, now) {
  return el(
    "li",
    { class: isPast ? "day day-past" : "day" },
    el(
      "p",
      { class: "day-when" },
      el("span", { class: "day-date" }, formatDay(at)),
      " ",
      el("span", { class: "day-clock" }, `${formatClock(at)} UTC`),
      el(
        "span",
        { class: "quiet" },
        at === now ? " with the newest block" : isPast ? ` ${formatSpan(now - at)} ago` : ` in ${formatSpan(at - now)}`,
      ),
    ),
    el(
      "ul",
      null,
      deadlines.map((each) =>
        el(
          "li",
          null,
          el("strong", null, each.interval === null ? "" : `interval ${each.interval}: `),
          DEADLINES[each.kind] ?? each.kind,
          each.about && each.about !== `interval ${each.interval}` ? `: ${each.about}` : "",
          each.index === null ? "" : [" ", entryLink(each.index)],
        ),
      ),
    ),
  );
}
