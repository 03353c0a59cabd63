// The proof as a picture: the entry at the foot, the sealed root at the head, and beside the path each hash that the proof
// brings. It is drawn from the steps that verification walked, so it shows what was computed and nothing else.

import { encodeHex } from "./encoding.js";
import { svg } from "./dom.js";
import { shorten } from "./text.js";

const ROW = 46;
const WIDTH = 560;
const MIDDLE = WIDTH / 2;
const LEAN = 26; // how far a node stands to the side of its parent
const ASIDE = 176; // and its sibling on the other side
const BOX = { width: 168, height: 30 };

function span([from, to]) {
  return to - from === 1n ? `entry ${from}` : `${from} – ${to - 1n}`;
}

function box(x, y, name, lines) {
  const [first, second] = lines;
  return svg("g", { class: `node node-${name}` },
    svg("rect", { x: x - BOX.width / 2, y: y - BOX.height / 2, width: BOX.width, height: BOX.height, rx: 4 }),
    svg("text", { x, y: y - 2, class: "node-hash" }, first),
    svg("text", { x, y: y + 11, class: "node-span" }, second));
}

export function drawPath(trace, { index, size }) {
  const count = trace.steps.length;
  const height = (count + 1) * ROW + 24;
  const yOf = (level) => height - 32 - level * ROW;
  const xOf = (level) => (level === count ? MIDDLE : MIDDLE + (trace.steps[level].isRight ? LEAN : -LEAN));
  const edges = [];
  const nodes = [];
  trace.steps.forEach((step, level) => {
    const [x, y] = [xOf(level), yOf(level)];
    const aside = MIDDLE + (step.isRight ? -ASIDE : ASIDE);
    const [parentX, parentY] = [xOf(level + 1), yOf(level + 1)];
    edges.push(svg("path", { d: `M${x} ${y}L${parentX} ${parentY}`, class: "edge edge-path" }));
    edges.push(svg("path", { d: `M${aside} ${y}L${parentX} ${parentY}`, class: "edge edge-sibling" }));
    nodes.push(box(aside, y, "sibling", [shorten(encodeHex(step.sibling), 12), span(step.siblingSpan)]));
    nodes.push(level === 0 ? box(x, y, "leaf", [shorten(encodeHex(step.node), 12), span([index, index + 1n])])
      : svg("g", { class: "node node-between" }, svg("circle", { cx: x, cy: y, r: 7 }), svg("title", null, `${encodeHex(step.node)}: entries ${span(step.nodeSpan)}`)));
  });
  nodes.push(box(MIDDLE, yOf(count), count === 0 ? "root node-leaf" : "root", [shorten(encodeHex(trace.root), 12), `sealed root of ${size}`]));
  const said = `Path from entry ${index} to the sealed root of ${size} entries: ${count} steps. The list below has every hash.`;
  return svg("svg", { class: "tree", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": said }, edges, nodes);
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
