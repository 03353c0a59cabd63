// The server's own words (JSON), held against what was read out of bytes that were verified. None of these words is ever
// used to verify anything; but a server that says one thing in its bytes and another beside them is refused all the same.

import { decodeBase64, decodeHex, encodeHex, encodeUtf8, isEqual } from "./encoding.js";
import { DOMAINS } from "./domains.js";
import { computeCosignatureMessage, computeSealMessage, parseCosignature } from "./note.js";
import { demand } from "./refusal.js";
import { GROUP_KEY_BYTES, SEAL_BYTES } from "./signatures.js";

const LINE_TYPES = { NOTE_ED25519: "ed25519", NOTE_COSIGNATURE_ED25519: "cosignature/v1" };
const UNCHECKED_LINE_TYPE = "subtree/v1"; // ML-DSA-44: no browser has it, and this page brings none

function demandSame(name, found, expected) {
  demand(String(found) === String(expected), `the server's words: ${name}`, found, `${expected}, as the bytes say`);
}

/** Read a seal as the server tells it: position, header, checkpoint. The form only; nothing is believed. */
export function readSealed(sealed) {
  demand(typeof sealed === "object" && sealed !== null, "seal", typeof sealed, "what a quorum sealed");
  const numbers = ["epoch", "view", "height", "time_ms"].map((name) => {
    demand(Number.isSafeInteger(sealed[name]) && sealed[name] >= 0, `seal.${name}`, sealed[name], "a whole number");
    return BigInt(sealed[name]);
  });
  const [epoch, view, height, timeMs] = numbers;
  return {
    position: {
      epoch,
      view,
      height,
      timeMs,
      blockDigest: decodeHex(String(sealed.block), "seal.block", 32),
      seal: decodeHex(String(sealed.seal), "seal", SEAL_BYTES),
    },
    checkpointText: String(sealed.checkpoint),
    headerRaw: decodeBase64(String(sealed.header_base64), "header"),
    message: decodeBase64(String(sealed.message_base64), "seal.message"),
    groupKey: decodeHex(String(sealed.group_key), "seal.group_key", GROUP_KEY_BYTES),
    dst: String(sealed.dst),
  };
}

export function verifySealTold(sealed, { charter, checkpoint, seal }) {
  for (const name of ["epoch", "view", "height", "timeMs"])
    demandSame(`seal.${name}`, sealed.position[name], seal[name]);
  demandSame("seal.block", encodeHex(sealed.position.blockDigest), encodeHex(seal.blockDigest));
  demandSame("seal", encodeHex(sealed.position.seal), encodeHex(seal.seal));
  demandSame("seal.checkpoint", sealed.checkpointText, checkpoint.text);
  demandSame("seal.message", encodeHex(sealed.message), encodeHex(computeSealMessage(checkpoint, seal)));
  demandSame("seal.group_key", encodeHex(sealed.groupKey), encodeHex(charter.groupKey));
  demandSame("seal.dst", sealed.dst, DOMAINS.BLS_SIGNATURE_DST);
}

export function verifyHeadTold(told, head) {
  demand(typeof told === "object" && told !== null, "head", typeof told, "the newest block");
  for (const name of ["height", "tree_size", "root", "block", "time_ms"])
    demandSame(`head.${name}`, told[name], head[name]);
}

export function verifyTrustTold(trust, charter) {
  demandSame("fingerprint", trust.fingerprint, charter.fingerprint);
  demandSame("origin", trust.origin, charter.origin);
  demandSame("title", trust.title, charter.title);
  demandSame("quorum", trust.quorum, charter.quorum);
  demandSame("group_key", trust.group_key, encodeHex(charter.groupKey));
}

export function verifyProofTold(proof, made) {
  demandSame("index", proof.index, made.receipt.index);
  demandSame("leaf", proof.leaf, encodeHex(made.leaf));
  demandSame("tree_size", proof.tree_size, made.checkpoint.size);
  demandSame("root", proof.root, encodeHex(made.checkpoint.root));
  demandSame("hashes", proof.hashes, made.receipt.proof.map(encodeHex));
  const receipt = String(proof.receipt);
  demandSame("note", proof.note, receipt.slice(receipt.indexOf("\n\n") + 2));
  verifyLinesTold(proof.cosignatures, made);
}

function verifyLinesTold(told, { lines, note, checkpoint }) {
  demand(Array.isArray(told), "the server's words: cosignatures", typeof told, "a list");
  const checked = told.filter(({ type }) => type !== UNCHECKED_LINE_TYPE);
  demandSame("cosignatures: how many", checked.length, lines.known.length - 1); // all but the seal
  for (const line of told) {
    const same = (other) => other.name === line.name && encodeHex(other.keyId) === line.key_id;
    const known = lines.known.find((each) => same(each.line));
    if (line.type === UNCHECKED_LINE_TYPE) {
      const under = note.lines.find(same);
      demand(under !== undefined, "the server's words: cosignatures", line.name, "a line under the checkpoint");
      demandSame("cosignatures.signature", line.signature, encodeHex(under.signature.slice(8)));
      continue;
    }
    demand(
      known !== undefined && LINE_TYPES[known.key.type] === line.type,
      "the server's words: cosignatures",
      `${line.name} ${line.type}`,
      "a line under the checkpoint",
    );
    verifyLineTold(line, known, checkpoint);
  }
}

function verifyLineTold(told, { line, key }, checkpoint) {
  const isLog = key.type === "NOTE_ED25519";
  const { timeS, signature } = isLog ? { timeS: null, signature: line.signature } : parseCosignature(line.signature);
  demandSame("cosignatures.signature", told.signature, encodeHex(signature));
  demandSame("cosignatures.time_s", told.time_s, timeS);
  demandSame("cosignatures.public_key", told.public_key, encodeHex(key.publicKey));
  demandSame("cosignatures.nation", told.nation, key.member.id);
  const message = isLog ? encodeUtf8(checkpoint.text) : computeCosignatureMessage(checkpoint, timeS);
  const found = decodeBase64(String(told.message_base64), "cosignatures.message");
  demand(
    isEqual(found, message),
    "the server's words: cosignatures.message",
    `${found.length} bytes`,
    "what the line signs",
  );
}

/** Hold what a table of the server said of a verdict against the entry that was verified. */
export function verifyTableTold(statement, told) {
  for (const [name, value] of Object.entries(told)) {
    const found = statement.predicate[name];
    demand(String(found) === value, `the server's table: ${name}`, value, `${found}, as the sealed entry says`);
  }
}
