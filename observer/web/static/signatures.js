// Hashes and signatures: WebCrypto where the browser offers it, the vendored library where it does not.
//
// A browser offers WebCrypto only to pages that came over TLS or from this machine, and not every one has Ed25519 in it.
// BLS12-381 no browser has. `CRYPTOGRAPHY` says in words which of them did the work, for the page to show.

import { concat, encodeHex, encodeUtf8, isEqual } from "./encoding.js";
import { DOMAINS } from "./domains.js";
import { Refusal, demand } from "./refusal.js";
import { bls12_381, ed25519, sha256 as sha256Vendored } from "./vendor/noble-bls12-381.js";

export const SEAL_BYTES = 48;
export const GROUP_KEY_BYTES = 96;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

const subtle = globalThis.crypto?.subtle;
let hasEd25519 = null;

export async function sha256(raw) {
  return subtle ? new Uint8Array(await subtle.digest("SHA-256", raw)) : sha256Vendored(raw);
}

export async function describeCryptography() {
  const mine = "the bundled noble-curves";
  return {
    hashes: subtle
      ? "SHA-256 by this browser's WebCrypto"
      : `SHA-256 by ${mine}: this page came neither over TLS nor from this machine`,
    ed25519: (await canEd25519()) ? "Ed25519 by this browser's WebCrypto" : `Ed25519 by ${mine}`,
    bls: `BLS12-381 by ${mine}`,
  };
}

async function canEd25519() {
  if (hasEd25519 === null) {
    try {
      await subtle.importKey("raw", ed25519.Point.BASE.toBytes(), "Ed25519", false, ["verify"]);
      hasEd25519 = true;
    } catch {
      hasEd25519 = false;
    }
  }
  return hasEd25519;
}

/** Refuse a key under which a signature of one message may pass for another's: off the curve, or of small order. */
export function requireStrongEd25519Key(publicKey, field) {
  let isStrong = false;
  try {
    isStrong = publicKey.length === KEY_BYTES && !ed25519.Point.fromBytes(publicKey).isSmallOrder();
  } catch {
    isStrong = false;
  }
  demand(isStrong, field, encodeHex(publicKey), "an Ed25519 key of full order in its one encoding");
}

export async function verifyEd25519(publicKey, message, signature, field) {
  demand(signature.length === SIGNATURE_BYTES, field, `${signature.length} bytes`, `${SIGNATURE_BYTES} bytes`);
  let isTrue = false;
  if (await canEd25519()) {
    const key = await subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
    isTrue = await subtle.verify("Ed25519", key, signature, message);
  } else {
    isTrue = ed25519.verify(signature, message, publicKey, { zip215: false });
  }
  demand(isTrue, field, "a signature that does not verify", `a signature by ${encodeHex(publicKey)}`);
}

const groupKeys = new Map();

/** Decode a point of the prime-order group: on the curve, in the subgroup, not the identity, in its one encoding. */
function decodePoint(Point, raw, size, field) {
  demand(raw.length === size, field, `${raw.length} bytes`, `${size} bytes`);
  let point;
  try {
    point = Point.fromBytes(raw);
    point.assertValidity();
  } catch {
    throw new Refusal(field, encodeHex(raw), "a point of the group of prime order");
  }
  demand(
    !point.is0() && point.isTorsionFree(),
    field,
    encodeHex(raw),
    "a point of the group of prime order, not the identity",
  );
  demand(isEqual(point.toBytes(true), raw), field, encodeHex(raw), "the one encoding of the point");
  return point;
}

export function decodeGroupKey(raw, field = "group key") {
  const name = encodeHex(raw);
  if (!groupKeys.has(name)) {
    groupKeys.clear();
    groupKeys.set(name, decodePoint(bls12_381.G2.Point, raw, GROUP_KEY_BYTES, field));
  }
  return groupKeys.get(name);
}

/** e(seal, g2) = e(H(message), group key): draft-irtf-cfrg-bls-signature-05 section 2.7, signatures in G1. */
export function verifyBls(groupKey, message, seal, field = "seal") {
  const key = decodeGroupKey(groupKey);
  const point = decodePoint(bls12_381.G1.Point, seal, SEAL_BYTES, field);
  const hashed = bls12_381.shortSignatures.hash(message, DOMAINS.BLS_SIGNATURE_DST);
  const isTrue = bls12_381.shortSignatures.verify(point, hashed, key);
  demand(isTrue, field, encodeHex(seal), "a seal of this message under the group key");
}

/** What an envelope's signatures are over (DSSE v1). */
export function encodePae(payloadType, body) {
  const kind = encodeUtf8(payloadType);
  return concat(encodeUtf8(`DSSEv1 ${kind.length} ${payloadType} ${body.length} `), body);
}
