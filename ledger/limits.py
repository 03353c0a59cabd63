"""Every maximum, and how they relate. Changing one that bounds a kept format is a change of format."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

HASH_BYTES: Final = 32
SEAL_BYTES: Final = 48  # a point of G1, compressed: seals and their shares
GROUP_KEY_BYTES: Final = 96  # a point of G2, compressed
SIGNATURE_BYTES: Final = 64  # Ed25519 (RFC 8032 §5.1.6)
U64_MAX: Final = 2**64 - 1
SIZE_MAX: Final = 2**63 - 1  # C2SP tlog-checkpoint, tlog-witness: sizes and times fit a signed 64-bit integer
INTEGER_MAX: Final = 2**53  # the largest bare JSON integer every reader keeps exactly (RFC 8259 §6)

ENTRY_BYTES_MAX: Final = 0xFFFF  # fits the u16 in an entry bundle (C2SP tlog-tiles)
BLOCK_BYTES_MAX: Final = 4 * MIB
BLOCK_ENTRIES_MAX: Final = 10_000
HEADER_BYTES_MAX: Final = 1 * KIB
MESSAGE_BYTES_MAX: Final = 8 * MIB

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
TILE_LEVEL_MAX: Final = 63
BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (2 + ENTRY_BYTES_MAX)

PROOF_HASHES_MAX: Final = 63
NOTE_BYTES_MAX: Final = 1 * MIB
NOTE_LINES_MAX: Final = 1024
NOTE_LINES_PUBLISHED_MAX: Final = 16
KEY_NAME_BYTES_MAX: Final = 255
ORIGIN_BYTES_MAX: Final = 255
WITNESS_REQUEST_BYTES_MAX: Final = 128 * KIB  # what a witness takes: a proof, and 16 lines of up to 5 kB (signed-note)
WITNESS_ANSWER_BYTES_MAX: Final = 16 * KIB  # what a log takes: a few lines, ML-DSA-44 ones of 3.3 kB among them
WITNESS_SENT_BYTES_MAX: Final = 16 * KIB  # what a log sends: public witnesses refuse more
RECEIPT_BYTES_MAX: Final = 2 * MIB
RECEIPT_EXTRA_BYTES_MAX: Final = 32 * KIB  # its line stays under the 64 KiB at which Go's reader stops
CERTIFICATE_BYTES_MAX: Final = 4 * MIB  # a charter, a verdict, a receipt, and an ML-DSA key of every member
FORK_HEADERS_MAX: Final = 4_608  # how far a proof reaches from a seal back to where two histories part
FORK_BYTES_MAX: Final = 12 * MIB

IDENTIFIER_CHARACTERS_MAX: Final = 64
NESTING_MAX: Final = 8
LIST_ITEMS_MAX: Final = 4_096
SIGNATURES_MAX: Final = 128
SALT_BYTES_MIN: Final = 16
RECORDS_COUNT_MAX: Final = SIZE_MAX

MEMBERS_MIN: Final = 1
MEMBERS_MAX: Final = 200
CEREMONY_MESSAGE_BYTES_MAX: Final = 64 * KIB  # a deal among MEMBERS_MAX: 134 commitments and 200 shares in base64
DRAFT_BYTES_MAX: Final = 2 * MIB  # MEMBERS_MAX public files, of which ML-DSA keys and certificates are the most
TRANSCRIPT_BYTES_MAX: Final = 16 * MIB
VIEWS_AHEAD_MAX: Final = 64
CLOCK_AHEAD_MAX_MS: Final = 2_000
CLOCK_SKEW_ALARM_MS: Final = 500

ERROR_FOUND_CHARACTERS_MAX: Final = 120
ERROR_PART_CHARACTERS_MAX: Final = 2_000  # of a field's name, which may hold a path, or of what was expected

assert ENTRY_BYTES_MAX <= BLOCK_BYTES_MAX < MESSAGE_BYTES_MAX
assert BLOCK_ENTRIES_MAX * HASH_BYTES + HEADER_BYTES_MAX < MESSAGE_BYTES_MAX  # a proposal fits one message
assert NOTE_LINES_PUBLISHED_MAX <= NOTE_LINES_MAX
assert NOTE_BYTES_MAX <= RECEIPT_BYTES_MAX <= MESSAGE_BYTES_MAX
assert RECEIPT_BYTES_MAX + 4 * ENTRY_BYTES_MAX < CERTIFICATE_BYTES_MAX <= MESSAGE_BYTES_MAX
assert 2 * NOTE_BYTES_MAX + 2 * ENTRY_BYTES_MAX + FORK_HEADERS_MAX * 2 * HEADER_BYTES_MAX < FORK_BYTES_MAX
assert WITNESS_SENT_BYTES_MAX <= WITNESS_REQUEST_BYTES_MAX <= NOTE_BYTES_MAX
assert MEMBERS_MAX <= NOTE_LINES_MAX
assert MEMBERS_MAX <= LIST_ITEMS_MAX
assert (SIZE_MAX).bit_length() - 1 <= PROOF_HASHES_MAX

# Statements and the charter.
TEXT_CHARACTERS_MAX: Final = 512
NAME_CHARACTERS_MAX: Final = 128
ADDRESS_CHARACTERS_MAX: Final = 255
TIME_S_MAX: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second of a four-digit year
WINDOW_S_MAX: Final = 20 * 366 * 86_400
INTERVAL_MAX: Final = 2**32 - 1
CONSENSUS_DELAY_MAX_MS: Final = 3_600_000
LAB_KEYS_MAX: Final = 16
CLUSTERS_PER_LAB_MAX: Final = 256  # more rows than an entry can hold: a lab with more clusters could not report them
MODELS_MAX: Final = 256
EVIDENCE_MAX: Final = 64
COUNT_PER_YEAR_MAX: Final = 100_000
INVENTORIES_KEPT_MAX: Final = 64  # of one cluster: what inspection rounds can still draw from
INVENTORY_ROUNDS_KEPT: Final = 256  # how long after its beacon a round's inventory is still known
OPEN_TRANSFERS_MAX: Final = 256  # which one lab was the first to speak of
OBSERVATIONS_PER_YEAR_MAX: Final = 100  # of one issuer
INSPECTORS_MAX: Final = 64
PAUSE_ID_CHARACTERS_MAX: Final = 32  # reports name it in every row, as `pause-<id>`
CAPS_MAX: Final = 16
FROZEN_RUNS_MAX: Final = 64  # in one statement, each with hidden digests, that fits an entry
FROZEN_DIGESTS_MAX: Final = 8
CHALLENGED_UNITS_MAX: Final = 1_024  # records, and chips, that one challenge asks for
SAMPLE_INDICES_LISTED_MAX: Final = 64  # in the entry of a sample; of a larger one anybody draws them from its seed
BAND_MAX: Final = 40  # decade exponent of a number of operations
RUN_CLUSTERS_MAX: Final = 64
RUNS_PER_MODEL_MAX: Final = 16
DISCLOSURE_CHARACTERS_MAX: Final = 256 * KIB
EVIDENCE_FILE_BYTES_MAX: Final = 128 * KIB  # a charter in base64, two votes, a header

assert 4 * (ENTRY_BYTES_MAX + HEADER_BYTES_MAX) // 3 + 8 * KIB < EVIDENCE_FILE_BYTES_MAX
assert TIME_S_MAX * 1000 <= SIZE_MAX
assert MEMBERS_MAX * CEREMONY_MESSAGE_BYTES_MAX <= TRANSCRIPT_BYTES_MAX  # a transcript holds a deal of every member

# Inspections.
CHIP_SERIAL_CHARACTERS_MAX: Final = 128
CHIP_SALT_BYTES: Final = 32
SAMPLE_COUNT_MAX: Final = 2**20  # where all units are wanted, so that none is drawn
SAMPLE_DRAWN_MAX: Final = 2**15  # where nearly all are wanted, the last ones take ten hashes each
SAMPLE_POPULATION_MAX: Final = 10_000_000  # of which a sample's size is computed
SAMPLE_HITS_MAX: Final = 32
SAMPLE_DRAWS_MAX: Final = 1_024
RECORD_BYTES_MAX: Final = 64 * KIB
DISCLOSURES_PER_ROW_MAX: Final = 64
OPENINGS_BYTES_MAX: Final = 32 * MIB  # what one challenge is answered with
