// The tags that hashes and signatures begin with, as ledger/domains.py has them; a test holds the two against each other.

export const DOMAINS = Object.freeze({
  LEAF_PREFIX: "\x00",
  NODE_PREFIX: "\x01",
  BLOCK: "counterseal/block/v1\n",
  SEAL: "counterseal/seal/v1\n",
  NOTE_ED25519: "\x01",
  NOTE_COSIGNATURE_ED25519: "\x04",
  NOTE_SEAL: "\xffcounterseal/seal/v1",
  COSIGNATURE_ED25519: "cosignature/v1\n",
  RECEIPT_HEADER: "c2sp.org/tlog-proof@v1",
  CERTIFICATE_FORMAT: "counterseal/certificate/v1",
  BLS_SIGNATURE_DST: "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_",
  STATEMENT_TYPE: "https://in-toto.io/Statement/v1",
  PAYLOAD_TYPE: "application/vnd.in-toto+json",
  PREDICATE_PREFIX: "urn:counterseal:",
});

/** A tag's bytes: each character is one byte, so that 0xff stays 0xff. */
export function tag(name) {
  return Uint8Array.from(DOMAINS[name], (character) => character.charCodeAt(0));
}
