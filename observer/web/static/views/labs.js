// Labs by interval: the whole heat map, a window of intervals and a page of clusters at a time; and all of it verified here
// when asked for.

import { el, replace, table } from "../dom.js";
import { ask } from "../api.js";
import { askVerified, refuse, session } from "../session.js";
import { heatmap, legend, listCells, recallTold } from "../heatmap.js";
import { buttons, entryLink, nothing, relayed, section, verdict } from "../parts.js";
import { plural } from "../text.js";
import { Refusal } from "../refusal.js";
import { verifyTableTold } from "../told.js";
import { verifyEntry } from "../verify.js";

const INTERVALS = 16;
const ROWS = 40;

export const title = "Labs";

export async function show(main, { signal, query, go }) {
  const asked = {
    nation: query.get("nation"),
    lab: query.get("lab"),
    offset: query.get("offset"),
    first: query.get("first"),
    last: query.get("last"),
    limit: ROWS,
  };
  const map = await askVerified("heatmap", asked, signal);
  if (map.first === null) {
    replace(
      main,
      el("h1", null, "Labs by interval"),
      nothing("No verdict yet: no interval of a registered lab has fallen due."),
    );
    return;
  }
  const keep = (changes) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) next.set(name, String(value));
    return () => go(`#/labs?${next}`);
  };
  const window = (first) => {
    const from = Math.max(map.oldest, Math.min(first, map.newest - INTERVALS + 1));
    return keep({ first: Math.max(0, from), last: Math.max(0, from) + INTERVALS - 1 });
  };
  const status = el("p", { class: "quiet", role: "status" });
  const verifyAll = el(
    "button",
    { type: "button", onclick: () => verifyShown(main, map, status, verifyAll, signal) },
    "Verify every verdict shown, here",
  );
  replace(
    main,
    el("h1", null, "Labs by interval"),
    el(
      "p",
      { class: "lead" },
      "The newest verdict on each cluster, with how far it was checked. Each cell leads to its entry, which this browser verifies up to the seal, and holds against what the cell said.",
    ),
    section(
      `Intervals ${map.first} to ${map.last}`,
      relayed(),
      buttons(
        ["← Older", window(map.first - INTERVALS), map.first <= map.oldest],
        ["Newer →", window(map.first + INTERVALS), map.last >= map.newest],
        ["Newest", window(map.newest), map.last >= map.newest],
      ),
      heatmap(map, { caption: `Newest verdicts by cluster and interval, ${map.first} to ${map.last}` }),
      el(
        "p",
        { class: "quiet" },
        `Clusters ${map.offset + 1} to ${map.offset + map.rows.length} of ${map.rows_count}.`,
      ),
      map.rows_count > ROWS
        ? buttons(
            ["Previous clusters", keep({ offset: Math.max(0, map.offset - ROWS) }), map.offset === 0],
            ["More clusters", keep({ offset: map.offset + ROWS }), map.offset + map.rows.length >= map.rows_count],
          )
        : null,
      el("p", { class: "buttons" }, verifyAll),
      status,
      legend(),
    ),
    el("details", { class: "panel" }, el("summary", null, "The same as a list"), asList(map)),
  );
}

function asList(map) {
  const rows = listCells(map).map(({ row, interval, cell }) => [
    row.cluster,
    row.lab,
    row.nation,
    interval,
    verdict(cell.state, cell.assurance),
    entryLink(cell.index),
  ]);
  return table("Newest verdicts as a list", ["cluster", "lab", "nation", "interval", "verdict", "entry"], rows, {
    numeric: [3],
  });
}

async function verifyShown(main, map, status, button, signal) {
  button.disabled = true;
  const cells = listCells(map);
  let count = 0;
  for (const { row, interval, cell } of cells) {
    if (signal.aborted) return;
    const link = main.querySelector(`.heatmap a[data-index="${Number(cell.index)}"]`);
    try {
      await verifyCell(cell.index, signal);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        status.textContent = `Stopped after ${count}: ${error.message}`;
        button.disabled = false;
        return;
      }
      link?.classList.add("cell-refused");
      status.textContent = `Refused at ${row.cluster}, interval ${interval}, after ${plural(count, "verdict")} that held: ${error.message}`;
      refuse(error);
      return;
    }
    count += 1;
    link?.classList.add("cell-verified");
    status.textContent = `${count} of ${cells.length} verified`;
  }
  status.textContent = `All ${plural(count, "verdict")} shown here stand on the sealed ledger, and say what this map says. Verified in this browser.`;
}

async function verifyCell(index, signal) {
  const proof = await ask(`entries/${index}/proof`, {}, signal);
  const outcome = await verifyEntry({
    index: BigInt(index),
    proof,
    charterEntry: session.charterEntry,
    anchor: session.anchor,
  });
  if (outcome.refusal !== null) throw outcome.refusal;
  verifyTableTold(outcome.statement, recallTold(index));
}
