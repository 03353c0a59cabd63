// The page's only decoder of text: strict base64, hex, decimals, UTF-8. A text is taken only if encoding its value gives
// the same text again, so that no two spellings of one value both pass. Whole numbers of the ledger are BigInt: they go
// up to 2^63 - 1 and a Number would round them. Source: RFC 4648 section 4; C2SP signed-note.

import { Refusal, demand } from "./refusal.js";

export const SIZE_MAX = (1n << 63n) - 1n;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const UTF8_ENCODER = new TextEncoder();

export function encodeUtf8(text) {
  return UTF8_ENCODER.encode(text);
}

export function decodeUtf8(raw, field) {
  try {
    return UTF8.decode(raw);
  } catch {
    throw new Refusal(field, `${raw.length} bytes`, "UTF-8");
  }
}

export function encodeHex(raw) {
  return Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function decodeHex(text, field, size) {
  demand(text.length === 2 * size && /^[0-9a-f]*$/.test(text), field, text, `${2 * size} lowercase hex digits`);
  return Uint8Array.from({ length: size }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

export function encodeBase64(raw) {
  let text = "";
  for (const byte of raw) text += String.fromCharCode(byte);
  return btoa(text);
}

export function decodeBase64(text, field, size = null) {
  demand(/^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0, field, text, "base64");
  const raw = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  demand(encodeBase64(raw) === text, field, text, "canonical base64");
  demand(size === null || raw.length === size, field, `${raw.length} bytes`, `${size} bytes`);
  return raw;
}

export function decodeDecimal(text, field) {
  demand(/^(?:0|[1-9][0-9]{0,18})$/.test(text), field, text, "a decimal number without leading zeros");
  const number = BigInt(text);
  demand(number <= SIZE_MAX, field, text, `at most ${SIZE_MAX}`);
  return number;
}

export function decodeU64(raw, field) {
  demand(raw.length === 8, field, `${raw.length} bytes`, "8 bytes");
  const number = new DataView(raw.buffer, raw.byteOffset, 8).getBigUint64(0);
  demand(number <= SIZE_MAX, field, number, `at most ${SIZE_MAX}`);
  return number;
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function isEqual(one, other) {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}
