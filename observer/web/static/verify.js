// What this page verifies itself, as functions over bytes: nothing here fetches or shows anything, and nothing is remembered
// but which seals held.
//
// 1. charter: its bytes have the fingerprint, or hold the group key, that the visitor gave; every founder signed them.
// 2. checkpoint: the note's text names this ledger, a size and a root.
// 3. block: the header's digest is the one that the seal names; it repeats the checkpoint's size and root, and the ledger.
// 4. seal: a quorum's BLS signature over block and checkpoint, under the group key of the charter.
// 5. cosignatures: every Ed25519 line by a key of the charter is true. Lines by other keys are not looked at and counted.
// 6. place: the entry's leaf hash leads through the proof to the sealed root, at the index that was asked for.
// 7. statement: the entry is of its form; its own signatures by founders' keys are true.
// 8. telling: whatever else the server said about the same things is what these bytes say.
//
// The first that fails ends it: what comes after was not reached, and nothing of it may be shown as true.

import { decodeBase64, encodeHex, encodeUtf8, isEqual } from "./encoding.js";
import { selectKnown, verifyCosignatures } from "./lines.js";
import { hashLeaf, verifyInclusion } from "./merkle.js";
import { computeBlockDigest, parseHeader } from "./header.js";
import { computeSealMessage, parseCheckpoint, parseSealLine } from "./note.js";
import { isOfLedger, parseCharter, verifyAnchor } from "./charter.js";
import { parseEntry, verifySigners } from "./statement.js";
import { parseReceipt } from "./receipt.js";
import { Refusal, demand } from "./refusal.js";
import { readSealed, verifyHeadTold, verifyProofTold, verifySealTold, verifyTrustTold } from "./told.js";
import { verifyBls } from "./signatures.js";

const SEALS_REMEMBERED = 256;

async function verifyCharter(entry, anchor) {
  const charter = await parseCharter(entry);
  if (anchor !== null) verifyAnchor(charter, anchor);
  return charter;
}

function verifyHeader(header, { checkpoint, seal, charter, digest }) {
  demand(
    isEqual(digest, seal.blockDigest),
    "header",
    `digest ${encodeHex(digest)}`,
    `${encodeHex(seal.blockDigest)}, as the seal names it`,
  );
  demand(
    isOfLedger(header, charter),
    "header.ledgerId",
    encodeHex(header.ledgerId),
    `${charter.fingerprint}, the charter's`,
  );
  demand(
    header.treeSize === checkpoint.size,
    "header.treeSize",
    header.treeSize,
    `${checkpoint.size}, the checkpoint's`,
  );
  demand(
    isEqual(header.root, checkpoint.root),
    "header.root",
    encodeHex(header.root),
    `${encodeHex(checkpoint.root)}, the checkpoint's`,
  );
  for (const name of ["epoch", "view", "height", "timeMs"]) {
    demand(header[name] === seal[name], `header.${name}`, header[name], `${seal[name]}, the seal's`);
  }
}

/** Run steps in order, telling each one's end; the first refusal is kept, and nothing after it runs. */
async function runSteps(steps, onStep) {
  const done = [];
  let refusal = null;
  for (const [name, run] of steps) {
    let outcome = { name, state: "not reached", said: "" };
    if (refusal === null) {
      try {
        outcome = { name, state: "holds", said: (await run()) ?? "" };
      } catch (error) {
        refusal =
          error instanceof Refusal ? error : new Refusal(name, error?.message ?? "nothing", "something to check");
        outcome = { name, state: "refused", said: refusal.message };
      }
    }
    done.push(outcome);
    await onStep(outcome);
  }
  return { steps: done, refusal };
}

function charterStep(readEntry, anchor, made) {
  return [
    "charter",
    async () => {
      made.charter = await verifyCharter(readEntry(), anchor);
      const signed = `all ${made.charter.members.length} founders signed it`;
      return anchor === null
        ? `${signed}; not compared with anything of yours`
        : `it is the one of your ${anchor.kind}; ${signed}`;
    },
  ];
}

function readCheckpoint(text, made) {
  made.checkpoint = parseCheckpoint(text);
  demand(
    made.checkpoint.origin === made.charter.origin,
    "checkpoint.origin",
    made.checkpoint.origin,
    made.charter.origin,
  );
  return `a tree of ${made.checkpoint.size} entries of ${made.checkpoint.origin}`;
}

async function readHeader(headerRaw, made) {
  made.header = parseHeader(headerRaw);
  made.digest = await computeBlockDigest(headerRaw);
  verifyHeader(made.header, made);
}

function describeBlock(header) {
  return `block ${header.height}: its digest is the one that was sealed, and it names this tree`;
}

const sealsThatHeld = new Set();

/** One seal is under many entries: a pairing that held for these very bytes is not computed again. */
function verifySeal({ charter, checkpoint, seal }) {
  const message = computeSealMessage(checkpoint, seal);
  const name = [charter.groupKey, message, seal.seal].map(encodeHex).join(" ");
  if (!sealsThatHeld.has(name)) {
    verifyBls(charter.groupKey, message, seal.seal);
    if (sealsThatHeld.size >= SEALS_REMEMBERED) sealsThatHeld.clear();
    sealsThatHeld.add(name);
  }
  return `a quorum of ${charter.quorum} of ${charter.members.length} nations sealed it`;
}

/** The steps from a note to its cosignatures; they write what they verified into `made`. */
function listCheckpointSteps({ readNote, readHeaderRaw }, made) {
  return [
    [
      "checkpoint",
      () => {
        made.note = readNote();
        const said = readCheckpoint(made.note.text, made);
        made.lines = selectKnown(made.note, made.charter);
        const seals = made.lines.known.filter(({ key }) => key.type === "NOTE_SEAL");
        demand(seals.length === 1, "note.signatures", "no seal line", "a seal by the group key");
        made.seal = parseSealLine(seals[0].line.signature);
        return said;
      },
    ],
    [
      "block",
      async () => {
        await readHeader(readHeaderRaw(), made);
        return describeBlock(made.header);
      },
    ],
    ["seal", () => verifySeal(made)],
    [
      "cosignatures",
      async () => {
        made.cosigners = await verifyCosignatures(made.lines.known, made.checkpoint);
        return `${made.cosigners.length} of ${made.charter.members.length} nations cosigned it, with Ed25519`;
      },
    ],
  ];
}

const tellNobody = async () => {};

/** What was not proven is not handed on, so that no view can show it; the charter is, for its name. */
function conclude(outcome, made) {
  return outcome.refusal === null ? { ...outcome, ...made } : { ...outcome, charter: made.charter };
}

/** Verify an answer of `trust`: the charter, and the seal of the newest block. Gives `head` as other answers name it. */
export async function verifySealed({ trust, anchor, onStep = tellNobody }) {
  const made = {};
  const steps = [
    charterStep(() => decodeBase64(String(trust.charter_base64), "charter"), anchor, made),
    [
      "checkpoint",
      () => {
        if (trust.head_seal === null) return "none yet: this copy holds the charter alone";
        made.sealed = readSealed(trust.head_seal);
        made.seal = made.sealed.position;
        return readCheckpoint(made.sealed.checkpointText, made);
      },
    ],
    [
      "block",
      async () => {
        if (trust.head_seal === null) return verifyFoundingHead(trust.head, made);
        await readHeader(made.sealed.headerRaw, made);
        made.head = describeHead(made.header, made.digest);
        return describeBlock(made.header);
      },
    ],
    ["seal", () => (trust.head_seal === null ? "none yet" : verifySeal(made))],
    [
      "telling",
      () => {
        verifyTrustTold(trust, made.charter);
        verifyHeadTold(trust.head, made.head);
        if (trust.head_seal !== null) verifySealTold(made.sealed, made);
        return "what the server says of charter, block and seal is what their bytes say";
      },
    ],
  ];
  return conclude(await runSteps(steps, onStep), made);
}

async function verifyFoundingHead(head, made) {
  const root = await hashLeaf(made.charter.entry);
  made.head = {
    height: 0,
    tree_size: 1,
    root: encodeHex(root),
    block: String(head.block),
    time_ms: made.charter.foundedAtMs,
  };
  return "the first, with the charter alone";
}

function describeHead(header, digest) {
  const [height, size, timeMs] = [header.height, header.treeSize, header.timeMs].map(Number);
  return { height, tree_size: size, root: encodeHex(header.root), block: encodeHex(digest), time_ms: timeMs };
}

/** Verify an answer of `entries/{index}/proof`: that an entry stands at an index of the sealed ledger. */
export async function verifyEntry({ index, proof, charterEntry, anchor, onStep = tellNobody }) {
  const made = {};
  const readNote = () => {
    made.sealed = readSealed(proof.seal);
    made.receiptRaw = encodeUtf8(String(proof.receipt));
    made.receipt = parseReceipt(made.receiptRaw);
    return made.receipt.note;
  };
  const steps = [
    charterStep(() => charterEntry, anchor, made),
    ...listCheckpointSteps({ readNote, readHeaderRaw: () => made.sealed.headerRaw }, made),
    [
      "place",
      async () => {
        demand(made.receipt.index === index, "receipt.index", made.receipt.index, `${index}, which was asked for`);
        made.entry = decodeBase64(String(proof.entry_base64), "entry");
        made.leaf = await hashLeaf(made.entry);
        const { size, root } = made.checkpoint;
        made.trace = await verifyInclusion({ leaf: made.leaf, index, size, proof: made.receipt.proof, root });
        return `its leaf hash leads to the sealed root by ${made.receipt.proof.length} hashes`;
      },
    ],
    [
      "statement",
      async () => {
        made.statement = parseEntry(made.entry);
        const owners = made.charter.members.map((member) => [member.identity, member.name]);
        made.signers = await verifySigners(made.statement, owners);
        return describeSigners(made.signers);
      },
    ],
    [
      "telling",
      () => {
        verifySealTold(made.sealed, made);
        verifyProofTold(proof, made);
        return "what the server says of entry, proof and lines is what these bytes say";
      },
    ],
  ];
  return conclude(await runSteps(steps, onStep), made);
}

function describeSigners(signers) {
  if (signers.length === 0) return "computed by the rules of the ledger: nobody signs it, the seal covers it";
  const names = signers.filter(({ owner }) => owner !== null).map(({ owner }) => owner);
  const others = signers.length - names.length;
  const parts = [];
  if (names.length) parts.push(`signed by ${names.join(", ")}`);
  if (others)
    parts.push(
      `${others} signature${others > 1 ? "s" : ""} by keys that the charter does not hold: members checked them before they voted, this page did not`,
    );
  return parts.join("; ");
}
