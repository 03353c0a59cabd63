// The heat map: clusters by interval. Each cell is a link that carries what this table said of the verdict, so that the
// page it leads to can hold that against the sealed entry. Colour, pattern, letters and level say the same thing.

import { el } from "./dom.js";
import { formatDay, formatGflops } from "./text.js";
import { labLink } from "./parts.js";
import { STATES, STATE_NAMES } from "./words.js";

export function toldQuery(row, interval, cell) {
  const told = { lab: row.lab, cluster: row.cluster, interval, state: cell.state, assurance: cell.assurance };
  return new URLSearchParams(Object.entries(told).map(([name, value]) => [name, String(value)])).toString();
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
        href: `#/entry/${cell.index}?${toldQuery(row, interval, cell)}`,
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
          { scope: "col", class: "interval", title: `from ${formatDay(map.starts_ms[i])}` },
          el("span", { class: "interval-number" }, interval),
          el("span", { class: "interval-day" }, formatDay(map.starts_ms[i]).slice(5)),
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
