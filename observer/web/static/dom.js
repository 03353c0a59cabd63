// The only builder of elements. Text of parties becomes text nodes and nothing else: no markup is ever parsed here, and no
// address is followed but fragments of this page, its own API, and files it made itself.

const SVG = "http://www.w3.org/2000/svg";
const ADDRESS = /^(?:#|api\/v1\/|blob:)/;

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) {
      if (typeof value !== "function") throw new TypeError(`${name} takes a function`);
      element.addEventListener(name.slice(2), value);
    } else if (name === "style" || name === "src" || name === "srcdoc") {
      throw new TypeError(`${name} is not set here`);
    } else if (name === "href" && !ADDRESS.test(value)) {
      throw new TypeError("an address outside this page");
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function el(name, attributes, ...children) {
  return build(document.createElement(name), attributes, children);
}

export function svg(name, attributes, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** A table with its headings; `rows` are lists of cells, and the first of each names its row. */
export function table(caption, headings, rows, { className = "", numeric = [] } = {}) {
  const columnClass = (i) => (numeric.includes(i) ? "number" : null);
  return el(
    "div",
    { class: "scroller", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      { class: className },
      el("caption", null, caption),
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          headings.map((text, i) => el("th", { scope: "col", class: columnClass(i) }, text)),
        ),
      ),
      el(
        "tbody",
        null,
        rows.map((cells) =>
          el(
            "tr",
            null,
            cells.map((cell, i) =>
              i === 0
                ? el("th", { scope: "row", class: columnClass(i) }, cell)
                : el("td", { class: columnClass(i) }, cell),
            ),
          ),
        ),
      ),
    ),
  );
}

export function definitions(pairs) {
  return el(
    "dl",
    null,
    pairs
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([term, value]) => el("div", null, el("dt", null, term), el("dd", null, value))),
  );
}
