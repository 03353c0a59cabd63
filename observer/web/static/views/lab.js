// One lab: what it registered, and the newest verdicts on its clusters in full.

import { definitions, el, replace, table } from "../dom.js";
import { askVerified, session } from "../session.js";
import { tellVerdict } from "../heatmap.js";
import { buttons, entryLink, nothing, relayed, section, verdict, whatItMeans } from "../parts.js";
import { digest, formatCount, formatGflops, formatTime } from "../text.js";
import { WORDS } from "../words.js";

const INTERVALS = 8;

export const title = "Lab";

export async function show(main, { parts, query, signal, go }) {
  const id = parts[0];
  const lab = await askVerified(`labs/${id}`, { first: query.get("first"), last: query.get("last") }, signal);
  const move = (first) => () =>
    go(`#/lab/${encodeURIComponent(id)}?first=${Math.max(0, first)}&last=${Math.max(0, first) + INTERVALS - 1}`);
  const nation = session.charter.members.find((member) => member.id === lab.nation)?.name ?? lab.nation;
  replace(
    main,
    el("h1", null, lab.name, el("span", { class: "heading-kind" }, ` lab ${lab.id}`)),
    el("p", { class: "lead" }, `Registered by ${nation}, ${formatGflops(lab.gflops)} in all.`),
    section(
      "Verdicts",
      relayed(),
      lab.first === null
        ? nothing("No verdict yet.")
        : [
            buttons(
              ["← Older", move(lab.first - INTERVALS), lab.first === 0],
              ["Newer →", move(lab.first + INTERVALS), !query.has("first")],
            ),
            table(
              `Newest verdicts, intervals ${lab.first} to ${lab.last}`,
              ["cluster", "interval", "verdict", "because of", "said", "entry"],
              lab.verdicts.map((each) => rowOf(lab, each)),
              { numeric: [1] },
            ),
          ],
    ),
    section(
      "Clusters",
      relayed(),
      table(
        "Registered clusters",
        ["cluster", "place", "country", "accelerators", "peak"],
        lab.clusters.map((cluster) => [
          cluster.id,
          cluster.facility,
          cluster.country,
          cluster.capacity === null
            ? "not public"
            : cluster.capacity.map(({ model, count }) => `${formatCount(count)} × ${model}`).join(", "),
          formatGflops(cluster.gflops),
        ]),
      ),
    ),
    section(
      "Registration",
      relayed(),
      definitions([
        ["entry", entryLink(lab.registration)],
        ["statements signed", formatCount(lab.statements_count)],
        [
          "pauses pledged to",
          lab.pauses.length
            ? lab.pauses.map((pause) => [el("a", { href: `#/pauses/${encodeURIComponent(pause)}` }, pause), " "])
            : "none",
        ],
        ["keys that may sign", lab.keys.map((key) => el("div", null, digest(key)))],
        ["its entries", el("a", { href: `#/entries?issuer=${encodeURIComponent(lab.id)}` }, "all that it signed")],
      ]),
    ),
    whatItMeans(lab.caveat, WORDS),
  );
}

function rowOf(lab, each) {
  const row = { lab: lab.id, cluster: each.cluster };
  return [
    each.cluster,
    each.interval,
    verdict(each.state, each.assurance),
    each.reasons.length ? each.reasons.map((reason) => [el("code", null, reason), " "]) : "–",
    formatTime(each.time_ms),
    [
      el("a", { href: tellVerdict(row, each.interval, each) }, `verdict ${each.index}`),
      each.report_index === null ? "" : [", ", entryLink(each.report_index, `report ${each.report_index}`)],
    ],
  ];
}
