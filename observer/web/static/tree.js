// The proof as a picture: the entry at the foot, the sealed root at the head, and beside the path each hash that the proof
// brings. It is drawn from the steps that verification walked, so it shows what was computed and nothing else.

import { encodeHex } from "./encoding.js";
import { svg } from "./dom.js";
import { shorten } from "./text.js";

const ROW = 46;
// `lean`: how far a node of the path stands to the side of the middle; `aside`: how far its sibling does, on the other.
const WIDE = { width: 560, lean: 26, aside: 176, box: 168, characters: 12 };
const NARROW = { width: 330, lean: 12, aside: 108, box: 106, characters: 8 };
const BOX_HEIGHT = 30;

function span([from, to]) {
  return to - from === 1n ? `entry ${from}` : `${from} – ${to - 1n}`;
}

function box(x, y, name, [first, second], width) {
  return svg(
    "g",
    { class: `node node-${name}` },
    svg("rect", { x: x - width / 2, y: y - BOX_HEIGHT / 2, width, height: BOX_HEIGHT, rx: 4 }),
    svg("text", { x, y: y - 2, class: "node-hash" }, first),
    svg("text", { x, y: y + 11, class: "node-span" }, second),
  );
}

export function drawPath(trace, { index, size, isNarrow = false }) {
  const { width, lean, aside, box: boxWidth, characters } = isNarrow ? NARROW : WIDE;
  const count = trace.steps.length;
  const middle = width / 2;
  const height = (count + 1) * ROW + 24;
  const yOf = (level) => height - 32 - level * ROW;
  const xOf = (level) => (level === count ? middle : middle + (trace.steps[level].isRight ? lean : -lean));
  const hash = (raw) => shorten(encodeHex(raw), characters);
  const edges = [];
  const nodes = [];
  trace.steps.forEach((step, level) => {
    const [x, y, parentX, parentY] = [xOf(level), yOf(level), xOf(level + 1), yOf(level + 1)];
    const siblingX = middle + (step.isRight ? -aside : aside);
    edges.push(svg("path", { d: `M${x} ${y}L${parentX} ${parentY}`, class: "edge edge-path" }));
    edges.push(svg("path", { d: `M${siblingX} ${y}L${parentX} ${parentY}`, class: "edge edge-sibling" }));
    nodes.push(box(siblingX, y, "sibling", [hash(step.sibling), span(step.siblingSpan)], boxWidth));
    if (level === 0) nodes.push(box(x, y, "leaf", [hash(step.node), span([index, index + 1n])], boxWidth));
    else
      nodes.push(
        svg(
          "g",
          { class: "node node-between" },
          svg("circle", { cx: x, cy: y, r: 7 }),
          svg("title", null, `${encodeHex(step.node)}: ${span(step.nodeSpan)}`),
        ),
      );
  });
  nodes.push(
    box(middle, yOf(count), count === 0 ? "leaf" : "root", [hash(trace.root), `sealed root of ${size}`], boxWidth),
  );
  const said = `Path from entry ${index} to the sealed root of ${size} entries: ${count} steps. The list below has every hash.`;
  return svg(
    "svg",
    { class: "tree", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": said },
    edges,
    nodes,
  );
}

/** The same as rows: what was hashed with what, from the leaf up. */
export function listPath(trace) {
  return trace.steps.map((step, level) => [
    level + 1,
    step.isRight ? "left of the path" : "right of the path",
    span(step.siblingSpan),
    encodeHex(step.sibling),
    encodeHex(step.parent),
  ]);
}
