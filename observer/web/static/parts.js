// Pieces that several views are made of: what was verified and what is relayed, verdicts with their level, refusals.

import { el } from "./dom.js";
import { AnchorRefusal } from "./refusal.js";
import { ASSURANCES, STATES, STEPS } from "./words.js";

/** A state is never shown without its assurance level: this is the only place that writes one. */
export function verdict(state, assurance, { isLink = false } = {}) {
  const known = STATES[state];
  const title = known
    ? `${state}: ${known.means}. ${assurance}: ${ASSURANCES[assurance] ?? "a level this page does not know"}`
    : null;
  return el(
    "span",
    { class: `verdict state-${known ? state : "unknown"}`, title: isLink ? null : title },
    el("span", { class: "swatch", "aria-hidden": "true" }),
    el("span", { class: "verdict-state" }, state),
    " ",
    el("span", { class: "level" }, assurance),
  );
}

/** Says of a section whose word it is. */
export function relayed(text = "relayed") {
  return el(
    "span",
    {
      class: "mark mark-relayed",
      title:
        "This server's copy says so. Its figures were not added up again here; each entry can be verified on its own page.",
    },
    text,
  );
}

export function verifiedMark(text = "verified here") {
  return el(
    "span",
    { class: "mark mark-verified", title: "This browser checked it, from the raw bytes up to the seal." },
    text,
  );
}

export function section(title, whose, ...children) {
  const id = `s-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  return el(
    "section",
    { class: "panel", "aria-labelledby": id },
    el("header", { class: "panel-head" }, el("h2", { id }, title), whose),
    children,
  );
}

export function entryLink(index, text = null) {
  return el("a", { href: `#/entry/${index}` }, text ?? `entry ${index}`);
}

export function labLink(lab) {
  return el("a", { href: `#/lab/${encodeURIComponent(lab)}` }, lab);
}

const SIGNS = { holds: "✓", refused: "✗", "not reached": "–" };

/** The steps of a verification, each with its outcome in a word and not by colour alone. */
export function stepList(steps, { isCompact = false } = {}) {
  return el(
    "ol",
    { class: isCompact ? "steps steps-compact" : "steps" },
    steps.map(({ name, state, said }) =>
      el(
        "li",
        { class: `step step-${state.replace(" ", "-")}` },
        el("span", { class: "step-sign", "aria-hidden": "true" }, SIGNS[state]),
        el("span", { class: "step-name" }, STEPS[name] ?? name),
        el("span", { class: "step-state" }, state),
        said ? el("span", { class: "step-said" }, said) : null,
      ),
    ),
  );
}

export function refusalBox(refusal, what) {
  return el(
    "div",
    { class: "refusal", role: "alert" },
    el("p", { class: "refusal-word" }, "Refused"),
    el("p", { class: "refusal-what" }, what),
    el(
      "dl",
      null,
      el("div", null, el("dt", null, "field"), el("dd", null, refusal.field)),
      el("div", null, el("dt", null, "found"), el("dd", null, el("code", null, refusal.found))),
      el("div", null, el("dt", null, "expected"), el("dd", null, el("code", null, String(refusal.expected)))),
    ),
    el(
      "p",
      null,
      sayRefusal(refusal),
      " ",
      refusal instanceof AnchorRefusal
        ? el("a", { href: "#/trust" }, "Look at what you gave.")
        : "Do not rely on anything it shows. Save this page, ask another source, and tell who runs this one.",
    ),
  );
}

export function sayRefusal(refusal) {
  return refusal instanceof AnchorRefusal
    ? `This server's charter is not the one of the ${refusal.field} that you gave. Either it shows another ledger, or what you gave is wrong: compare both with somebody you trust.`
    : "This server showed something that is not what was sealed.";
}

export function waiting(sentence) {
  return el("p", { class: "waiting", role: "status" }, sentence);
}

export function nothing(sentence) {
  return el("p", { class: "nothing" }, sentence);
}

export function buttons(...pairs) {
  return el(
    "p",
    { class: "buttons" },
    pairs.map(([text, onclick, isDisabled]) =>
      el("button", { type: "button", onclick, disabled: Boolean(isDisabled) }, text),
    ),
  );
}

/** What no verdict shows, and the two words for it. */
export function whatItMeans(caveat, words) {
  return section(
    "What it means",
    null,
    el("blockquote", { class: "caveat" }, caveat),
    el(
      "dl",
      { class: "words" },
      el("div", null, el("dt", null, "Correctness"), el("dd", null, words.correctness)),
      el("div", null, el("dt", null, "Completeness"), el("dd", null, words.completeness)),
    ),
    el(
      "p",
      null,
      "So a state is never shown without its assurance level. ",
      el("strong", null, "compliant A0"),
      " means that the lab signed a claim of compliance in time, and nothing more.",
    ),
    el(
      "dl",
      { class: "levels" },
      Object.entries(ASSURANCES).map(([level, text]) =>
        el("div", null, el("dt", { class: "level" }, level), el("dd", null, text)),
      ),
    ),
  );
}
