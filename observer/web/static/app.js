// The page: one main element, an address behind the hash sign for each view, and above all what was verified.
//
// 1. The first thing that is asked is what everything rests on (`trust`), and it is verified before any view shows a thing.
// 2. A view gets its part of the address and a signal that ends with it; what comes late is dropped.
// 3. A refusal stands above every view from then on. What could not be reached is said, and is no refusal.

import { listAnchored } from "./anchors.js";
import { Unanswered, ask } from "./api.js";
import { el, replace } from "./dom.js";
import { refusalBox, sayRefusal, waiting } from "./parts.js";
import { AnchorRefusal, Refusal } from "./refusal.js";
import { onChange, refuse, session, verifyTrust } from "./session.js";
import { digest, formatCount, formatTime, shorten } from "./text.js";
import * as block from "./views/block.js";
import * as calendar from "./views/calendar.js";
import * as entries from "./views/entries.js";
import * as entry from "./views/entry.js";
import * as lab from "./views/lab.js";
import * as labs from "./views/labs.js";
import * as nations from "./views/nations.js";
import * as notices from "./views/notices.js";
import * as overview from "./views/overview.js";
import * as pauses from "./views/pauses.js";
import * as search from "./views/search.js";
import * as trust from "./views/trust.js";

const VIEWS = { "": overview, block, calendar, entries, entry, lab, labs, nations, notices, pauses, search, trust };
const SECTION_OF = { block: "nations", entry: "entries", lab: "labs", search: "entries" };

const AGAIN_MS = 1_000;
const NUMBER = /^(?:0|[1-9][0-9]{0,17})$/;

const main = document.getElementById("main");
const standing = document.getElementById("standing");
let showing = null;
let isFirst = true;

function readAddress() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [name = "", ...parts] = path.split("/").map(decodePart);
  return { name, parts, query: new URLSearchParams(query) };
}

function decodePart(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function go(hash, { isForced = false } = {}) {
  if (location.hash !== hash) location.hash = hash;
  else if (isForced) route();
}

async function route() {
  showing?.abort();
  showing = new AbortController();
  const { signal } = showing;
  const { name, parts, query } = readAddress();
  const view = VIEWS[name];
  markSection(name);
  document.title = view ? `${view.title}${parts[0] ? ` ${parts[0]}` : ""} · Counterseal` : "Not here · Counterseal";
  if (!view || (view.takesNumber && !NUMBER.test(parts[0] ?? ""))) {
    tellNotHere();
    return;
  }
  if (!isFirst) {
    replace(main, el("h1", null, view.title), waiting("Asking this server…"));
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  isFirst = false;
  main.setAttribute("aria-busy", "true");
  delete main.dataset.shown;
  try {
    if (!session.isReady) await verifyTrust(signal);
    await showOrStop(view, name, { parts, query, signal, go });
  } catch (error) {
    if (!signal.aborted && error instanceof Unanswered && error.status === 503)
      await waitUntilRead(view, signal, error);
    else if (!signal.aborted) tellFailure(view, error);
  }
  if (signal.aborted) return;
  main.removeAttribute("aria-busy");
  main.dataset.shown = location.hash;
}

/** An address that leads nowhere is nobody's lie: whoever wrote the link made it. */
function tellNotHere() {
  replace(
    main,
    el("h1", null, "Not here"),
    el("p", null, "There is no such view. ", el("a", { href: "#/" }, "Go to the overview"), "."),
  );
  main.dataset.shown = location.hash;
}

/** A server that has just begun is still checking its copy: tell how far it is, and show the view once it is done. */
async function waitUntilRead(view, signal, error) {
  const status = waiting("This server is reading and checking its copy…");
  replace(main, el("h1", null, view.title), status);
  for (;;) {
    await new Promise((resume) => {
      setTimeout(resume, AGAIN_MS);
    });
    if (signal.aborted) return;
    try {
      const told = await ask("status", {}, signal);
      if (told.state === "ready") {
        route();
        return;
      }
      if (told.state === "refused") throw new Unanswered(`This server refuses its own copy: ${told.problem}`, 500);
      status.textContent = `This server is reading and checking its copy: ${formatCount(told.checked_entries_count)} of ${formatCount(told.entries_count)} entries so far.`;
    } catch (other) {
      if (!signal.aborted) tellFailure(view, other instanceof Unanswered ? other : error);
      return;
    }
  }
}

/** After a refusal of charter or seal nothing is shown but the place where another fingerprint can be given. */
async function showOrStop(view, name, context) {
  if (session.refusal instanceof AnchorRefusal && name !== "trust") throw session.refusal;
  if (session.charter === null && name !== "trust")
    throw session.refusal ?? new Unanswered("Nothing could be verified yet.");
  if (session.newest === null && name !== "trust")
    throw session.refusal ?? new Unanswered("No seal could be verified yet.");
  await view.show(main, context);
}

function tellFailure(view, error) {
  if (error instanceof Refusal) {
    refuse(error);
    const { name, parts, query } = readAddress();
    replace(
      main,
      el("h1", null, view.title),
      refusalBox(error, "What this server shows does not fit what was sealed. Nothing of it is shown here."),
    );
    if (name === "trust") trust.show(main, { parts, query, go }).catch(tellBug);
    return;
  }
  if (error instanceof Unanswered) {
    const isAbsent = error.status === 404;
    replace(
      main,
      el("h1", null, view.title),
      el(
        "div",
        { class: "unanswered", role: "alert" },
        el("p", null, el("strong", null, isAbsent ? "Not found. " : "No answer. "), error.message),
        isAbsent ? null : el("p", null, "What is said above was verified before. Nothing new could be asked."),
        el("p", { class: "buttons" }, el("button", { type: "button", onclick: route }, "Ask again")),
      ),
    );
    return;
  }
  tellBug(error);
}

function tellBug(error) {
  console.error(error);
  replace(
    main,
    el("h1", null, "This cannot be shown"),
    el(
      "p",
      { role: "alert" },
      "Either this page or this server's answer is not as it should be. Nothing was verified by it, and it says nothing about the ledger: ",
      el("code", null, String(error?.message ?? error)),
    ),
  );
}

function markSection(name) {
  const section = SECTION_OF[name] ?? name;
  for (const link of document.querySelectorAll("#sections a")) {
    if (link.getAttribute("href") === `#/${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function tellStanding() {
  const { charter, anchor, newest, refusal, trust: told } = session;
  document.body.classList.toggle("is-refused", refusal !== null);
  document.getElementById("ledger-title").textContent =
    charter === null ? "no ledger that could be verified" : `${charter.title} · ${charter.origin}`;
  if (refusal !== null) {
    standing.className = "standing standing-refused";
    replace(
      standing,
      el("p", { class: "standing-word" }, "Refused"),
      el("p", null, `${sayRefusal(refusal)} ${refusal.message}.`),
      el("p", null, el("a", { href: "#/trust" }, "What is verified, and against what")),
    );
    return;
  }
  standing.className = anchor === null ? "standing standing-unanchored" : "standing standing-anchored";
  replace(
    standing,
    anchor === null
      ? el(
          "p",
          null,
          el("strong", null, "Seals are verified here, but against nothing of yours. "),
          "This server's charter has the fingerprint ",
          digest(charter.fingerprint),
          ". ",
          el("a", { href: "#/trust" }, "Compare it with one from somebody you trust"),
          ".",
          otherLedgers(charter),
        )
      : el(
          "p",
          null,
          el("strong", null, `Seals are verified here against your ${anchor.kind} `),
          el("code", null, shorten(anchor.value, 16)),
          " ",
          el("a", { href: "#/trust" }, "What that covers"),
          ".",
        ),
    newest === null || told === null
      ? null
      : el(
          "p",
          { class: "standing-head" },
          newest.height === 0
            ? "No seal yet: this copy holds the charter alone."
            : `Newest seal verified here: block ${formatCount(newest.height)}, ${formatCount(newest.tree_size)} entries, ${formatTime(newest.time_ms)}`,
        ),
  );
}

/** A server that answers for another ledger than before would not be noticed by a fingerprint kept under the old name. */
function otherLedgers(charter) {
  const others = listAnchored().filter((origin) => origin !== charter.origin);
  return others.length === 0
    ? null
    : el(
        "strong",
        { class: "caution" },
        ` At this address you gave something for another ledger: ${others.join(", ")}. This is not that one.`,
      );
}

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = document.getElementById("search-q").value.trim();
  go(`#/search?q=${encodeURIComponent(wanted.toWellFormed?.() ?? wanted)}`, { isForced: true });
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // its address would be taken for a view's
  main.focus();
});
addEventListener("hashchange", route);
onChange(tellStanding);
route();
