// Pauses on one line of intervals, and each with its terms, who joined, and what the rules said.

import { definitions, el, replace, svg, table } from "../dom.js";
import { askVerified } from "../session.js";
import { entryLink, nothing, relayed, section } from "../parts.js";
import { formatCount, formatDay, formatPermille, formatTime, plural } from "../text.js";

const PAGE = 20;
const WIDTH = 720;
const ROW = 44;
const LEFT = 8;
const PHASES = ["proposed", "activated", "lifted", "expired", "lapsed"];

export const title = "Pauses";

export async function show(main, { parts, query, signal }) {
  const answer = await askVerified("pauses", { offset: query.get("offset"), limit: PAGE }, signal);
  const shown = parts[0] ? answer.pauses.filter(({ id }) => id === parts[0]) : answer.pauses;
  replace(
    main,
    el("h1", null, "Pauses"),
    el(
      "p",
      { class: "lead" },
      "A pause is proposed by a nation and comes into force by the rules alone, once enough nations have joined on terms that are met together.",
    ),
    answer.pauses.length === 0
      ? nothing("No pause was ever proposed.")
      : section("Timeline", relayed(), timeline(answer.pauses, answer.interval_now)),
    shown.map(card),
    answer.pauses_count > answer.pauses.length
      ? el("p", null, `${answer.pauses.length} of ${plural(answer.pauses_count, "pause")}.`)
      : null,
  );
}

/** A class is never made of a word that this page does not know. */
function nameOf(phase) {
  return PHASES.includes(phase) ? phase : "unknown";
}

/** Bars from start to end; whiskers for the time in which a proposal can still be activated. */
function timeline(pauses, now) {
  const bounds = pauses.flatMap((pause) => [
    pause.first_interval,
    pause.lapses,
    pause.start ?? pause.first_interval,
    pause.end ?? pause.lapses,
  ]);
  const from = Math.min(...bounds, now ?? Infinity) - 1;
  const to = Math.max(...bounds, now ?? 0) + 2;
  const x = (interval) => LEFT + ((interval - from) * (WIDTH - 2 * LEFT)) / (to - from);
  const step = Math.max(1, Math.ceil((to - from) / 18));
  const height = pauses.length * ROW + 30;
  const ticks = [];
  for (let interval = Math.ceil(from / step) * step; interval <= to; interval += step) {
    ticks.push(
      svg("line", { x1: x(interval), x2: x(interval), y1: 18, y2: height - 6, class: "tick" }),
      svg("text", { x: x(interval), y: 12, class: "tick-text" }, String(interval)),
    );
  }
  const rows = pauses.map((pause, i) => {
    const y = 26 + i * ROW;
    const isOn = pause.start !== null;
    return [
      svg("text", { x: LEFT, y: y + 8, class: "row-text" }, `${pause.title} (${pause.phase})`),
      svg("line", { x1: x(pause.first_interval), x2: x(pause.lapses), y1: y + 22, y2: y + 22, class: "whisker" }),
      isOn
        ? svg("rect", {
            x: x(pause.start),
            y: y + 15,
            width: Math.max(3, x(pause.end) - x(pause.start)),
            height: 14,
            class: `pause-bar pause-${nameOf(pause.phase)}`,
          })
        : null,
      pause.events.map((event) =>
        svg(
          "path",
          { d: `M${x(event.interval)} ${y + 12}l5 10l-5 10l-5-10z`, class: "event" },
          svg("title", null, `${event.event}, interval ${event.interval}`),
        ),
      ),
    ];
  });
  const nowLine =
    now === null
      ? null
      : [
          svg("line", { x1: x(now), x2: x(now), y1: 16, y2: height, class: "now" }),
          svg("text", { x: x(now) + 4, y: height - 2, class: "now-text" }, `now: interval ${now}`),
        ];
  return el(
    "figure",
    null,
    svg(
      "svg",
      {
        class: "timeline",
        viewBox: `0 0 ${WIDTH} ${height}`,
        role: "img",
        "aria-label": "Pauses by interval; each is described below",
      },
      ticks,
      rows,
      nowLine,
    ),
    el(
      "figcaption",
      { class: "quiet" },
      "Numbers are intervals. Bar: in force. Thin line: from the first interval in which it may begin until it lapses. Diamonds: what the rules said.",
    ),
  );
}

function card(pause) {
  return section(
    pause.title,
    relayed(),
    el(
      "p",
      null,
      el("strong", { class: `phase phase-${nameOf(pause.phase)}` }, pause.phase),
      ` · proposed by ${pause.proposer} in `,
      entryLink(pause.index),
      `, ${formatTime(pause.proposed_ms)}`,
    ),
    definitions([
      ["id", pause.id],
      [
        "in force",
        pause.start === null
          ? "never"
          : `intervals ${pause.start} up to and without ${pause.end}: ${formatDay(pause.start_ms)} to ${formatDay(pause.end_ms)}`,
      ],
      [
        "terms",
        [
          `lasts ${plural(pause.interval_count, "interval")} from ${pause.first_interval} or later; at least ${plural(pause.nations_min, "nation")}`,
          pause.nations_required.length ? `, ${pause.nations_required.join(", ")} among them` : "",
          pause.capacity_permille_min
            ? `, with ${formatPermille(pause.capacity_permille_min)} of registered capacity`
            : "",
          `; lapses at ${pause.lapses} if it is not activated`,
        ],
      ],
      [
        "caps",
        pause.scope.map(({ quantity, maximum }) =>
          el("div", null, `${quantity.replaceAll("_", " ")}: at most ${formatCount(maximum)}`),
        ),
      ],
      ["to be lifted", pause.lift || "not said"],
      ["joined", pause.nations.length ? pause.nations.join(", ") : "nobody"],
      ["pledges of labs", pause.pledges.length ? pause.pledges.map(said) : "none"],
      ["frozen runs told by", pause.freezes.length ? pause.freezes.map(said) : "nobody"],
    ]),
    pause.events.length
      ? table(
          "What the rules said",
          ["event", "from interval", "until", "joined", "said", "entry", "because of"],
          pause.events.map((event) => [
            event.event,
            event.interval,
            event.until ?? "–",
            event.nations.join(", "),
            formatTime(event.time_ms),
            entryLink(event.index),
            entryLink(event.cause),
          ]),
          { numeric: [1, 2] },
        )
      : null,
    pause.accessions.length
      ? table(
          "What nations said about joining",
          ["nation", "says", "on condition that these join", "and at least", "counts", "said", "entry"],
          pause.accessions.map((each) => [
            each.nation,
            each.joins ? "joins" : "takes it back",
            each.nations.join(", ") || "–",
            each.nations_min || "–",
            each.is_bound ? "has joined" : "not joined",
            formatTime(each.time_ms),
            entryLink(each.index),
          ]),
        )
      : null,
  );
}

function said({ issuer, index }) {
  return [entryLink(index, issuer), " "];
}
