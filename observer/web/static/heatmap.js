// The heat map: clusters by interval. What each cell said is kept under its entry's index, so that the entry's own page can
// hold it against what was sealed; it is not in the address, where a stranger's link could put words into this server's
// mouth. Colour, pattern, letters and level say the same thing.

import { el } from "./dom.js";
import { formatClock, formatDay, formatGflops, formatTime } from "./text.js";
import { labLink } from "./parts.js";
import { STATES, STATE_NAMES } from "./words.js";

const DAY_MS = 86_400_000;
const TOLD_MAX = 20_000;
const told = new Map();

/** Remember what a table says of the verdict in an entry, and give the address of the entry. */
export function tellVerdict({ lab, cluster }, interval, { index, state, assurance }) {
  if (told.size >= TOLD_MAX) told.clear();
  const words = { lab, cluster, interval, state, assurance };
  told.set(String(index), Object.fromEntries(Object.entries(words).map(([name, value]) => [name, String(value)])));
  return `#/entry/${index}`;
}

/** What tables said of the verdict in an entry during this visit. */
export function recallTold(index) {
  return told.get(String(index)) ?? {};
}

function cellOf(row, interval, cell) {
  if (cell === null)
    return el("td", { class: "cell cell-empty" }, el("span", { class: "visually-hidden" }, "nothing said"));
  const known = STATES[cell.state];
  return el(
    "td",
    { class: `cell state-${known ? cell.state : "unknown"}` },
    el(
      "a",
      {
        href: tellVerdict(row, interval, cell),
        "aria-label": `${row.cluster}, interval ${interval}: ${cell.state}, assurance ${cell.assurance}`,
        title: `${row.cluster} · interval ${interval} · ${cell.state} ${cell.assurance}`,
        "data-index": cell.index,
      },
      el("span", { class: "cell-state" }, known?.short ?? "?"),
      el("span", { class: "cell-level" }, cell.assurance),
    ),
  );
}

/** A group of rows for each nation, with its name above them. */
function groupRows(rows) {
  const groups = [];
  for (const row of rows) {
    if (groups.at(-1)?.nation !== row.nation) groups.push({ nation: row.nation, rows: [] });
    groups.at(-1).rows.push(row);
  }
  return groups;
}

export function heatmap(map, { caption }) {
  const intervals = map.starts_ms.map((_, i) => map.first + i);
  const isShort = map.interval_ms < DAY_MS;
  const head = el(
    "thead",
    null,
    el(
      "tr",
      null,
      el("th", { scope: "col", class: "corner" }, "cluster"),
      intervals.map((interval, i) =>
        el(
          "th",
          { scope: "col", class: "interval", title: `from ${formatTime(map.starts_ms[i])}` },
          el("span", { class: "interval-number" }, interval),
          el(
            "span",
            { class: "interval-day" },
            isShort ? formatClock(map.starts_ms[i]).slice(0, 5) : formatDay(map.starts_ms[i]).slice(5),
          ),
        ),
      ),
    ),
  );
  const bodies = groupRows(map.rows).map(({ nation, rows }) =>
    el(
      "tbody",
      null,
      el("tr", { class: "nation-row" }, el("th", { scope: "rowgroup", colspan: intervals.length + 1 }, nation)),
      rows.map((row) =>
        el(
          "tr",
          null,
          el(
            "th",
            { scope: "row", class: "cluster" },
            el("span", { class: "cluster-name" }, row.cluster),
            el("span", { class: "cluster-about" }, labLink(row.lab), " · ", formatGflops(row.gflops)),
          ),
          row.cells.map((cell, i) => cellOf(row, intervals[i], cell)),
        ),
      ),
    ),
  );
  return el(
    "div",
    { class: "scroller", tabindex: "0", role: "region", "aria-label": caption },
    el("table", { class: "heatmap" }, el("caption", null, caption), head, bodies),
  );
}

export function legend() {
  return el(
    "ul",
    { class: "legend", "aria-label": "What the cells say" },
    STATE_NAMES.map((name) =>
      el(
        "li",
        null,
        el("span", { class: `cell legend-cell state-${name}`, "aria-hidden": "true" }, STATES[name].short),
        el("span", null, el("strong", null, name), `: ${STATES[name].means}`),
      ),
    ),
  );
}

/** The same as plain rows of text, for those who read tables better than maps. */
export function listCells(map) {
  return map.rows.flatMap((row) =>
    row.cells.flatMap((cell, i) => (cell === null ? [] : [{ row, interval: map.first + i, cell }])),
  );
}
