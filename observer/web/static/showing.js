// A statement's words as definitions, lists and tables. Whatever a party wrote is text here, however it looks.

import { el } from "./dom.js";
import { formatTime } from "./text.js";

const DEPTH_MAX = 8;
const ITEMS_SHOWN = 200;
const HEX = /^[0-9a-f]{40,}$/;

export function showStatement(statement) {
  if (!statement.hasOneReading) {
    return [
      el("p", { class: "caution" }, "This statement can be read in more than one way, so it is shown as it stands."),
      el("pre", { class: "raw" }, statement.text),
    ];
  }
  return [
    el(
      "dl",
      { class: "statement" },
      Object.entries(statement.predicate).map(([name, value]) => pair(name, value, 0)),
    ),
    el("details", null, el("summary", null, "The statement as it stands"), el("pre", { class: "raw" }, statement.text)),
  ];
}

function pair(name, value, depth) {
  return el("div", null, el("dt", null, name.replaceAll("_", " ")), el("dd", null, showValue(name, value, depth)));
}

function showValue(name, value, depth) {
  if (value === null) return el("span", { class: "quiet" }, "none");
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return showNumber(name, value);
  if (typeof value === "string")
    return HEX.test(value) || (value.length > 40 && !value.includes(" "))
      ? el("code", { class: "digest long" }, value)
      : value;
  if (depth >= DEPTH_MAX) return el("code", null, JSON.stringify(value));
  if (Array.isArray(value)) return showList(name, value, depth);
  return el(
    "dl",
    null,
    Object.entries(value).map(([key, each]) => pair(key, each, depth + 1)),
  );
}

function showNumber(name, value) {
  if (name.endsWith("_ms") && value > 1e12) return `${value} (${formatTime(value)})`;
  if (name === "issued_at") return `${value} (${formatTime(value * 1000)}, by the issuer's own clock)`;
  return String(value);
}

function showList(name, values, depth) {
  if (values.length === 0) return el("span", { class: "quiet" }, "none");
  const shown = values.slice(0, ITEMS_SHOWN);
  const rest = values.length - shown.length;
  if (shown.every((each) => typeof each !== "object")) {
    return [
      el(
        "ul",
        { class: "inline" },
        shown.map((each) => el("li", null, showValue(name, each, depth + 1))),
      ),
      rest ? ` and ${rest} more` : null,
    ];
  }
  return [
    el(
      "ol",
      { class: "nested" },
      shown.map((each) => el("li", null, showValue(name, each, depth + 1))),
    ),
    rest ? el("p", null, `and ${rest} more`) : null,
  ];
}
