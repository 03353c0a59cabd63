// What this visit has verified so far: the charter and the newest seal. Every answer of the server says at which sealed
// block it was read (`head`), and is taken only if that is a block whose seal was verified here.
//
// Figures that the server adds up (how many, how much, which labs) are not proven by that: they are relayed, and shown so.

import { ask } from "./api.js";
import { recallAnchor } from "./anchors.js";
import { AnchorRefusal, demand } from "./refusal.js";
import { verifySealed } from "./verify.js";

const HEADS_MAX = 64;
const ASKED_MAX = 4;

const heads = new Map();
const listeners = new Set();
let givenTimes = 0; // how often the visitor gave, or took back, what to check against

export const session = {
  trust: null,
  charter: null,
  charterEntry: null,
  anchor: null,
  steps: [],
  refusal: null,
  newest: null,
  isReady: false,
};

export function onChange(listener) {
  listeners.add(listener);
}

function tell() {
  for (const listener of listeners) listener(session);
}

/** Ask what everything rests on, verify it, and keep what held. */
export async function verifyTrust(signal = null) {
  const givenBefore = givenTimes;
  const trust = await ask("trust", {}, signal);
  const anchor = recallAnchor(String(trust.origin));
  const outcome = await verifySealed({ trust, anchor });
  // What was checked against something that the visitor replaced meanwhile counts for nothing.
  if (givenBefore === givenTimes) takeOutcome(trust, anchor, outcome);
}

function takeOutcome(trust, anchor, outcome) {
  session.trust = trust;
  session.anchor = anchor;
  session.steps = outcome.steps;
  session.charter = outcome.charter ?? null;
  session.charterEntry = outcome.charter?.entry ?? null;
  session.isReady = true;
  if (outcome.refusal !== null) {
    refuse(outcome.refusal);
    throw outcome.refusal;
  }
  keepHead(outcome.head);
  tell();
}

function keepHead(head) {
  if (heads.size >= HEADS_MAX) heads.delete(heads.keys().next().value);
  heads.set(head.block, head);
  if (session.newest === null || head.height >= session.newest.height) session.newest = head;
}

/** A refusal stands until the page is loaded again: what was false once is not forgotten because the next answer is not. */
export function refuse(refusal) {
  session.refusal ??= refusal;
  tell();
}

/** Ask again after the visitor gave, or took back, what to check against. That settles no other refusal. */
export async function verifyAgain() {
  if (session.refusal instanceof AnchorRefusal) session.refusal = null;
  session.newest = null;
  heads.clear();
  givenTimes += 1;
  await verifyTrust();
}

/** Ask for an answer, and take it only at a head whose seal was verified here. */
export async function askVerified(path, query = {}, signal = null) {
  for (let asked = 1; ; asked += 1) {
    const answer = await ask(path, query, signal);
    if (isKnownHead(answer.head)) return answer;
    demand(
      asked < ASKED_MAX,
      "head",
      `block ${answer.head?.height} ${answer.head?.block}`,
      "a block whose seal this server shows",
    );
    await verifyTrust(signal); // the ledger grew while we looked
  }
}

function isKnownHead(head) {
  demand(
    typeof head === "object" && head !== null,
    "head",
    typeof head,
    "the sealed block that the answer was read at",
  );
  const known = heads.get(String(head.block));
  if (known === undefined) return false;
  for (const name of ["height", "tree_size", "root", "time_ms"]) {
    demand(head[name] === known[name], `head.${name}`, head[name], `${known[name]}, as the sealed block says`);
  }
  return true;
}
