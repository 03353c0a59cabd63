// Nations: how their labs stand, what they seal and cosign, and when they were last seen; and the newest blocks.

import { el, replace, table } from "../dom.js";
import { askVerified } from "../session.js";
import { relayed, section, verdict } from "../parts.js";
import { formatCount, formatGflops, formatRate, formatSpan, formatTime, plural } from "../text.js";

const STRIP = 60;

export const title = "Nations";

export async function show(main, { signal }) {
  const answer = await askVerified("nations", {}, signal);
  replace(
    main,
    el("h1", null, "Nations"),
    el(
      "p",
      { class: "lead" },
      `${plural(answer.nations.length, "nation")}; any ${answer.quorum} of them make a seal, and which ones cannot be told from it. ${formatRate(answer.seals_per_minute_tenths)} seals a minute over the newest ${plural(answer.recent_blocks_count, "block")}.`,
    ),
    section(
      "Height and liveness",
      relayed(),
      table(
        "What the newest blocks and checkpoints show of each nation",
        [
          "nation",
          `proposed, of ${formatCount(answer.recent_blocks_count)}`,
          "last proposed",
          "last cosigned",
          "last seen",
          "node",
        ],
        answer.nations.map((nation) => [
          nation.name,
          formatCount(nation.proposed_count),
          at(nation.proposed_height),
          at(nation.cosigned_height),
          seen(nation, answer.head),
          nation.node,
        ]),
        { numeric: [1, 2, 3] },
      ),
      el(
        "p",
        { class: "quiet" },
        "Last seen: the later of the time of its newest proposed block and of its newest kept cosignature, against the newest block's ledger time. A nation may seal without being seen: its share of a seal carries no name.",
      ),
    ),
    section(
      answer.interval === null ? "Their labs" : `Their labs in interval ${answer.interval}`,
      relayed(),
      table(
        "Verdicts on each nation's clusters, by registered capacity",
        ["nation", "labs", "worst", "clusters by verdict", "registered", "misconduct proven"],
        answer.nations.map((nation) => [
          nation.name,
          formatCount(nation.labs_count),
          nation.rollup.worst === null
            ? "–"
            : [
                nation.rollup.worst,
                " ",
                el("span", { class: "level" }, `at least ${nation.rollup.least_assurance ?? "–"}`),
              ],
          nation.rollup.states.map((each) =>
            el("div", null, verdict(each.state, each.assurance), ` × ${formatCount(each.clusters_count)}`),
          ),
          formatGflops(nation.rollup.registered_gflops),
          nation.faults.length ? nation.faults.join(", ") : "none",
        ]),
        { numeric: [1] },
      ),
    ),
    blocks(answer),
  );
}

function at(height) {
  return height === null ? "–" : el("a", { href: `#/block/${height}` }, formatCount(height));
}

function seen(nation, head) {
  if (nation.seen_ms === null) return "not in what this copy keeps";
  const behind = head.time_ms - nation.seen_ms;
  return [
    formatTime(nation.seen_ms),
    el(
      "span",
      { class: "quiet" },
      behind < 1_000 ? ", at the newest block" : `, ${formatSpan(behind)} before the newest`,
    ),
  ];
}

function blocks({ blocks: newest, nations }) {
  const name = (proposer) => nations.find(({ index }) => index === proposer)?.name ?? "nobody";
  const strip = el(
    "ol",
    { class: "strip", reversed: true, "aria-label": "The newest blocks, newest first" },
    newest.slice(0, STRIP).map((block) =>
      el(
        "li",
        null,
        el(
          "a",
          {
            href: `#/block/${block.height}`,
            class: block.is_sealed ? "block-sealed" : "block-through",
            title: `block ${block.height}, ${formatTime(block.time_ms)}, proposed by ${name(block.proposer)}, ${plural(block.entries_count, "entry", "entries")}, ${block.is_sealed ? "sealed" : "final through a later one"}`,
          },
          el("span", { "aria-hidden": "true" }, name(block.proposer).slice(0, 2)),
          el(
            "span",
            { class: "visually-hidden" },
            `block ${block.height}, ${name(block.proposer)}, ${block.is_sealed ? "sealed" : "final through a later one"}`,
          ),
        ),
      ),
    ),
  );
  return section(
    "Newest blocks",
    relayed(),
    strip,
    el(
      "p",
      { class: "quiet" },
      "Newest first; letters of the nation that proposed. Solid: sealed itself. Dashed: final through a later block.",
    ),
    el(
      "details",
      null,
      el("summary", null, "The same as a table"),
      table(
        "Newest blocks",
        ["block", "time", "proposed by", "view", "entries", "seal"],
        newest.map((block) => [
          at(block.height),
          formatTime(block.time_ms),
          name(block.proposer),
          formatCount(block.view),
          formatCount(block.entries_count),
          block.is_sealed ? "its own" : "through a later one",
        ]),
        { numeric: [3, 4] },
      ),
    ),
  );
}
