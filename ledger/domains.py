"""Every domain-separation tag, destination and format version, in one place.

A tag says what a hash or a signature is about. None is a prefix of another, so no message of one kind can be
read as a message of another; `tests/test_house.py` asserts that, and that these literals occur nowhere else.
Sources: RFC 9380 (hash to curve), draft-irtf-cfrg-bls-signature-05 §4.2 (ciphersuites), C2SP signed-note,
tlog-cosignature, tlog-proof, RFC 6962 §2.1.
"""

from typing import Final

# RFC 6962 §2.1: one byte before a leaf, another before an inner node.
LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"

# What members sign and hash.
VOTE: Final = b"counterseal/vote/v1\n"
BLOCK: Final = b"counterseal/block/v1\n"
SEAL: Final = b"counterseal/seal/v1\n"
BEACON: Final = b"counterseal/beacon/v1\n"
STATE: Final = b"counterseal/state/v1\n"
CEREMONY: Final = b"counterseal/ceremony/v1\n"
CEREMONY_MESSAGE: Final = b"counterseal/ceremony-message/v1\n"
CEREMONY_SESSION: Final = b"counterseal/ceremony-session/v1\n"
CEREMONY_SHARE: Final = b"counterseal/ceremony-share/v1\n"
EVIDENCE: Final = b"counterseal/evidence/v1\n"
TLS_VOUCHER: Final = b"counterseal/tls-voucher/v1\n"
HANDSHAKE: Final = b"counterseal/handshake/v1\n"
KEYSTORE: Final = b"counterseal/keystore/v1\n"
VOTE_LOG: Final = b"counterseal/votelog/v1\n"
SNAPSHOT: Final = b"counterseal/snapshot/v1\n"
NEXT_KEY: Final = b"counterseal/next-key/v1\n"
SAMPLE: Final = b"counterseal/sample/v1\n"
SAMPLE_NONCE: Final = b"counterseal/sample-nonce/v1\n"
OPENINGS: Final = b"counterseal/openings-for/v1\n"

# Signed-note key types (C2SP signed-note, tlog-cosignature).
NOTE_ED25519: Final = b"\x01"
NOTE_COSIGNATURE_ED25519: Final = b"\x04"
NOTE_COSIGNATURE_ML_DSA_44: Final = b"\x06"
NOTE_SEAL: Final = b"\xffcounterseal/seal/v1"

COSIGNATURE_ED25519: Final = b"cosignature/v1\n"
COSIGNATURE_ML_DSA_44: Final = b"subtree/v1\n\0"

RECEIPT_HEADER: Final = "c2sp.org/tlog-proof@v1"
CERTIFICATE_FORMAT: Final = "counterseal/certificate/v1"
MISCONDUCT_FORMAT: Final = "counterseal/misconduct/v1"
FORK_FORMAT: Final = "counterseal/fork/v1"
ROLLBACK_FORMAT: Final = "counterseal/rollback/v1"
OPENINGS_FORMAT: Final = "counterseal/openings/v1"
OPENINGS_PARTS_FORMAT: Final = "counterseal/openings/v2"
SAMPLE_OPENINGS_FORMAT: Final = "counterseal/sample-openings/v1"
INSPECTION_REPORT_FORMAT: Final = "counterseal/inspection-report/v1"
INSPECTION_REPORT_PARTS_FORMAT: Final = "counterseal/inspection-report/v2"
BALANCE_REPORT_FORMAT: Final = "counterseal/balance-report/v1"
SAMPLE_REPORT_FORMAT: Final = "counterseal/sample-inspection-report/v1"

# BLS: signatures in G1, keys in G2, the ciphersuite's own destination.
BLS_SIGNATURE_DST: Final = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
BLS_POSSESSION_DST: Final = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"

# Statements.
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
PREDICATE_PREFIX: Final = "urn:counterseal:"

RESERVED_ORIGIN_PREFIXES: Final = ("cosignature/", "subtree/", "counterseal/")
