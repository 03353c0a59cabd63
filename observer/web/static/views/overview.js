// The overview: how the network stands, why, and the newest interval at a glance.

import { el, replace, table } from "../dom.js";
import { askVerified, session } from "../session.js";
import { heatmap, legend } from "../heatmap.js";
import { nothing, relayed, section, stepList, verdict, verifiedMark, whatItMeans } from "../parts.js";
import { digest, formatCount, formatGflops, formatPermille, formatRate, formatSpan, plural, time } from "../text.js";
import { NETWORK_STATES, STATES, WORDS } from "../words.js";

const INTERVALS = 16;
const ROWS = 24;
const OLD_INTERVALS = 2;
const SIGNS = { holding: "●", strained: "◐", breached: "◆", blind: "◌" };

export const title = "Overview";

export async function show(main, { signal }) {
  const overview = await askVerified("overview", {}, signal);
  const last = overview.interval_now ?? overview.interval;
  const map =
    last === null
      ? null
      : await askVerified("heatmap", { first: Math.max(0, last - INTERVALS + 1), last, limit: ROWS }, signal);
  replace(
    main,
    el("h1", null, "Overview"),
    el("div", { class: "columns" }, network(overview), newest(overview)),
    capacity(overview),
    map === null
      ? null
      : section(
          "Newest intervals",
          relayed(),
          heatmap(map, { caption: `Verdicts on clusters, intervals ${map.first} to ${map.last}` }),
          map.rows_count > map.rows.length
            ? el("p", null, `${map.rows.length} of ${plural(map.rows_count, "cluster")}. `)
            : null,
          el("p", null, el("a", { href: "#/labs" }, "All labs and intervals")),
          el("details", null, el("summary", null, "What the cells say"), legend()),
        ),
    counts(overview),
    whatItMeans(overview.caveat, WORDS),
  );
}

function network({ network: net, now_ms: now, head, seals_per_minute_tenths: rate, audited_height: audited }) {
  const reasons = net.reasons.map(({ code, said }) => el("li", null, said, " ", el("code", { class: "quiet" }, code)));
  const folders = [
    ...net.undecided_forks.map((name) =>
      el("li", { class: "grave" }, "proof that a quorum signed two histories: ", el("code", null, name)),
    ),
    ...net.rollbacks.map((name) =>
      el("li", null, "proof that a member signed an older tree as its newest: ", el("code", null, name)),
    ),
  ];
  const known = NETWORK_STATES[net.state] !== undefined;
  return section(
    "The network",
    relayed(),
    el(
      "p",
      { class: `network network-${known ? net.state : "blind"}` },
      el("span", { class: "network-sign", "aria-hidden": "true" }, SIGNS[net.state] ?? "?"),
      el("strong", null, net.state),
    ),
    el("p", { class: "quiet" }, NETWORK_STATES[net.state] ?? "a word that this page does not know"),
    reasons.length + folders.length
      ? el("ul", { class: "reasons" }, reasons, folders)
      : nothing("No reason to think otherwise."),
    el(
      "p",
      { class: "quiet" },
      `Judged by this server's clock, which says `,
      time(now),
      now < head.time_ms
        ? ", behind the newest block."
        : `, ${formatSpan(now - head.time_ms)} after the newest block. ${formatRate(rate)} seals a minute lately.`,
    ),
    el(
      "p",
      { class: "quiet" },
      audited === null
        ? "This copy was never audited: whoever runs it has not executed the rules again."
        : `Whoever runs this copy executed every rule again up to block ${formatCount(audited)}${audited === head.height ? ", all of it" : ""}.`,
    ),
    el(
      "details",
      null,
      el("summary", null, "The four words"),
      el(
        "dl",
        { class: "levels" },
        Object.entries(NETWORK_STATES).map(([word, means]) =>
          el("div", null, el("dt", null, word), el("dd", null, means)),
        ),
      ),
    ),
  );
}

function newest(overview) {
  const { head } = overview;
  return section(
    "Newest sealed block",
    verifiedMark(),
    el(
      "dl",
      null,
      el("div", null, el("dt", null, "block"), el("dd", null, formatCount(head.height))),
      el("div", null, el("dt", null, "entries"), el("dd", null, formatCount(head.tree_size))),
      el("div", null, el("dt", null, "sealed"), el("dd", null, time(head.time_ms))),
      el("div", null, el("dt", null, "interval"), el("dd", null, findInterval(head.time_ms))),
      el("div", null, el("dt", null, "root"), el("dd", null, digest(head.root))),
    ),
    age(head.time_ms),
    stepList(session.steps, { isCompact: true }),
  );
}

/** How old the newest block is by the visitor's own clock: who keeps news back can lie about every clock but this one. */
function age(timeMs) {
  const age = Date.now() - timeMs;
  if (age < 0) return el("p", { class: "quiet" }, `This device's clock is ${formatSpan(age)} behind it.`);
  const isOld = age > OLD_INTERVALS * session.charter.grid.interval_s * 1000;
  return el(
    "p",
    { class: isOld ? "caution" : "quiet" },
    `${formatSpan(age)} old by this device's clock`,
    isOld ? ": older than two intervals. Either the network stands still or this server keeps news back." : ".",
  );
}

/** Which interval a moment is in, by the charter's grid, which this browser read itself. */
function findInterval(timeMs) {
  const { start, interval_s: length } = session.charter.grid;
  const interval = Math.floor((timeMs - start * 1000) / (length * 1000));
  return interval < 0 ? "none yet: the grid has not begun" : formatCount(interval);
}

function capacity({ capacity: sum, interval, counts: all }) {
  if (interval === null || sum.states.length === 0) {
    return section(
      "Capacity by verdict",
      relayed(),
      nothing("No verdict yet: no interval of a registered lab has fallen due."),
    );
  }
  const rows = sum.states.map((each) => [
    verdict(each.state, each.assurance),
    formatCount(each.clusters_count),
    formatGflops(each.gflops),
    sum.registered_gflops === "0" ? "–" : formatPermille(each.share_permille),
  ]);
  const worst =
    sum.worst === null
      ? null
      : el(
          "p",
          null,
          `Interval ${interval}, the newest that was settled: worst state `,
          el("strong", null, sum.worst),
          `, lowest assurance level `,
          el("strong", null, sum.least_assurance ?? "none"),
          `; ${formatGflops(sum.registered_gflops)} registered`,
          sum.unweighed_clusters_count
            ? `, ${plural(sum.unweighed_clusters_count, "cluster")} without public capacity.`
            : ".",
        );
  return section(
    "Capacity by verdict",
    relayed(),
    worst,
    bar(sum),
    table(
      `Registered capacity by verdict in interval ${interval}, of ${plural(all.clusters, "cluster")}`,
      ["verdict", "clusters", "registered peak", "share"],
      rows,
      { numeric: [1, 2, 3] },
    ),
  );
}

/** Shares drawn to scale; the table below says the same in figures. */
function bar({ states, registered_gflops: registered }) {
  if (registered === "0") return null;
  return el(
    "div",
    { class: "bar", "aria-hidden": "true" },
    states
      .filter((each) => each.share_permille > 0)
      .map((each) => {
        const isKnown = STATES[each.state] !== undefined;
        const part = el(
          "span",
          { class: `bar-part state-${isKnown ? each.state : "unknown"}` },
          each.share_permille >= 80 ? `${STATES[each.state]?.short ?? "?"} ${each.assurance}` : null,
        );
        part.style.flexGrow = String(each.share_permille);
        return part;
      }),
  );
}

function counts({ counts: all }) {
  const pairs = [
    ["nations", all.nations, "#/nations"],
    ["labs", all.labs, "#/labs"],
    ["clusters", all.clusters, "#/labs"],
    ["newest verdicts", all.verdicts, "#/labs"],
    ["pauses in force", all.pauses_active, "#/pauses"],
    ["misconduct proven", all.misconduct, "#/notices"],
    ["incidents", all.incidents, "#/notices"],
    ["enforcement measures", all.enforcements, "#/notices"],
  ];
  return section(
    "On this ledger",
    relayed(),
    el(
      "ul",
      { class: "figures" },
      pairs.map(([name, count, href]) =>
        el(
          "li",
          null,
          el(
            "a",
            { href },
            el("span", { class: "figure" }, formatCount(count)),
            el("span", { class: "figure-name" }, name),
          ),
        ),
      ),
    ),
  );
}
