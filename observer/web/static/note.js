// Signed notes and checkpoints: the text, the lines under it, and the exact bytes that each line signs.
// Source: C2SP signed-note, tlog-checkpoint, tlog-cosignature; the seal line is the ledger's own (docs/formats.md).
// Nothing here believes a signature: verify.js does that.

import { concat, decodeBase64, decodeDecimal, decodeU64, decodeUtf8, encodeBase64, encodeUtf8 } from "./encoding.js";
import { DOMAINS, tag } from "./domains.js";
import { demand } from "./refusal.js";
import { SEAL_BYTES, sha256 } from "./signatures.js";

const NOTE_BYTES_MAX = 1 << 20;
const NOTE_LINES_MAX = 1024;
const KEY_NAME_BYTES_MAX = 255;
const KEY_ID_BYTES = 4;
const SEAL_LINE_BYTES = 4 * 8 + 32 + SEAL_BYTES;
const RESERVED_ORIGINS = ["cosignature/", "subtree/", "counterseal/"];
const EMPTY_ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

export function parseNote(raw) {
  demand(raw.length <= NOTE_BYTES_MAX, "note", `${raw.length} bytes`, `at most ${NOTE_BYTES_MAX} bytes`);
  const whole = decodeUtf8(raw, "note");
  // eslint-disable-next-line no-control-regex
  demand(!/[\x00-\x09\x0b-\x1f]/.test(whole), "note", "a control character", "none but newlines");
  const end = whole.lastIndexOf("\n\n");
  demand(end >= 0, "note", whole, "a text, an empty line and signatures");
  const text = whole.slice(0, end + 1);
  const block = whole.slice(end + 2);
  demand(block.endsWith("\n"), "note.signatures", block.slice(-80), "lines, each ended by a newline");
  const lines = block.slice(0, -1).split("\n");
  demand(lines.length <= NOTE_LINES_MAX, "note.signatures", `${lines.length} lines`, `at most ${NOTE_LINES_MAX}`);
  demand(new Set(lines).size === lines.length, "note.signatures", "a line twice", "no line twice");
  return { text, lines: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line) {
  const [dash, name, blob, ...rest] = line.split(" ");
  demand(dash === "—" && blob !== undefined && rest.length === 0, "note.signature", line, "em dash, key name, base64");
  requireKeyName(name, "note.signature.name");
  const raw = decodeBase64(blob, "note.signature.blob");
  demand(raw.length > KEY_ID_BYTES, "note.signature.blob", blob, "a key ID and a signature");
  return { name, keyId: raw.slice(0, KEY_ID_BYTES), signature: raw.slice(KEY_ID_BYTES), line };
}

export function requireKeyName(name, field) {
  const size = encodeUtf8(name).length;
  demand(size > 0 && size <= KEY_NAME_BYTES_MAX, field, `${size} bytes`, `1 to ${KEY_NAME_BYTES_MAX} bytes`);
  demand(!/[\s+\p{Cc}]/u.test(name), field, name, "a name without white space, + or control characters");
}

export function parseCheckpoint(text) {
  const lines = text.split("\n");
  demand(lines.length === 4 && lines[3] === "", "checkpoint", text, "origin, size and root, each ended by a newline");
  const [origin, size, root] = lines;
  requireKeyName(origin, "checkpoint.origin");
  demand(!RESERVED_ORIGINS.some((word) => origin.startsWith(word)), "checkpoint.origin", origin, "no reserved word");
  const checkpoint = {
    origin,
    size: decodeDecimal(size, "checkpoint.size"),
    root: decodeBase64(root, "checkpoint.root", 32),
    text,
  };
  demand(
    checkpoint.size !== 0n || root === EMPTY_ROOT,
    "checkpoint.root",
    root,
    "the root of the empty tree at size 0",
  );
  return checkpoint;
}

export async function computeKeyId(name, typeTag, publicKey) {
  const digest = await sha256(concat(encodeUtf8(`${name}\n`), tag(typeTag), publicKey));
  return digest.slice(0, KEY_ID_BYTES);
}

export function parseSealLine(raw) {
  demand(raw.length === SEAL_LINE_BYTES, "seal", `${raw.length} bytes`, `${SEAL_LINE_BYTES} bytes`);
  const [epoch, view, height, timeMs] = ["epoch", "view", "height", "time_ms"].map((name, i) =>
    decodeU64(raw.slice(8 * i, 8 * i + 8), `seal.${name}`),
  );
  demand(epoch > 0n, "seal.epoch", epoch, "at least 1");
  return { epoch, view, height, timeMs, blockDigest: raw.slice(32, 64), seal: raw.slice(64) };
}

/** What a quorum seals: position, time and digest of the block, and the checkpoint after it. */
export function computeSealMessage(checkpoint, { epoch, view, height, timeMs, blockDigest }) {
  const position = `epoch ${epoch}\nview ${view}\nheight ${height}\ntime ${timeMs}\nblock ${encodeBase64(blockDigest)}\n`;
  return encodeUtf8(DOMAINS.SEAL + position + checkpoint.text);
}

export function parseCosignature(raw) {
  demand(raw.length === 72, "cosignature", `${raw.length} bytes`, "72 bytes");
  return { timeS: decodeU64(raw.slice(0, 8), "cosignature.time"), signature: raw.slice(8) };
}

export function computeCosignatureMessage(checkpoint, timeS) {
  return encodeUtf8(`${DOMAINS.COSIGNATURE_ED25519}time ${timeS}\n${checkpoint.text}`);
}
