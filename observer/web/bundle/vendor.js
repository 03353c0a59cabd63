// What the page takes from elsewhere, and nothing beside it: BLS12-381, Ed25519, and SHA-256 for browsers that keep their
// own from pages without TLS. `scripts/bundle` makes static/vendor/noble-bls12-381.js of it.
export { bls12_381 } from "@noble/curves/bls12-381.js";
export { ed25519 } from "@noble/curves/ed25519.js";
export { sha256 } from "@noble/hashes/sha2.js";
