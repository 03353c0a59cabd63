"""What a lab hands to inspectors: fields, records and accelerators, each with all that opens it, as one file.

The file answers one challenge. It is one JSON object in one encoding, so that its SHA-256, which the lab's response
puts on the ledger, is the same for everybody who holds it:

    {"format":"counterseal/openings/v1","ledger":…,"challenge":…,"lab":…,"cluster":…,"interval":…,"report":…,
     "inventory":…,"disclosures":[…],"records":[{"index":…,"salt":…,"record":…,"path":[…]}],
     "chips":[{"index":…,"salt":…,"model":…,"serial":…,"path":[…]}]}

A lab may hand over more than was asked, since a challenge can ask for one row and one inventory alone: hidden fields of
other statements of its own, such as the numbers in its inventories and transfers and what a run came to. Then, and only
then, the file is of version 2, and has at its end

    "parts":[{"leaf":…,"part":…,"disclosures":[…]}]

in ascending order of the statements' leaf hashes and the names of their parts: the cluster of a row, `SHARED` for the
terms that both sides of a transfer know, `WHOLE` for all else.

What is in it is a claim until it is held against the entries that `report`, `inventory` and each `leaf` name, by
`ledger.disclosure.check_disclosures` and `verify_record`, and `ledger.chips.verify_chip`. Nothing here does that.

What answers a sample is a file of its own form, of accelerators alone, whose SHA-256 is in the lab's sample answer:

    {"format":"counterseal/sample-openings/v1","ledger":…,"round":…,"purpose":…,"lab":…,"cluster":…,"sample":…,
     "inventory":…,"chips":[as above]}

Both travel encrypted to each inspector's X25519 key with HPKE, base mode (RFC 9180); `compute_openings_context` is the
`info` that binds a ciphertext to its ledger, to the challenge or the sample, and to the inspector.
"""

import hashlib
import itertools
from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from ledger import domains
from ledger.chips import Chip, ChipOpening
from ledger.disclosure import RECORD_SALT_BYTES, RecordOpening
from ledger.encoding import encode_u64
from ledger.errors import Code, FormatError
from ledger.limits import (
    CHIP_SALT_BYTES,
    CHIP_SERIAL_CHARACTERS_MAX,
    DISCLOSURE_CHARACTERS_MAX,
    DISCLOSURES_PER_ROW_MAX,
    HASH_BYTES,
    INTEGER_MAX,
    INTERVAL_MAX,
    LIST_ITEMS_MAX,
    OPENINGS_BYTES_MAX,
    PROOF_HASHES_MAX,
    RECORD_BYTES_MAX,
    SAMPLE_DRAWN_MAX,
)
from ledger.positions import BeaconRound, Interval, LeafIndex
from ledger.sampling import Purpose
from ledger.statements.intoto import Hex32, Identifier, require_ascending, require_unique

WHOLE: Final = ""
"""Name of the part of a statement that has one."""

SHARED: Final = "shared"
"""Name of the part of a transfer under salts that both sides know."""

_Index = Annotated[LeafIndex, Meta(ge=0, le=INTEGER_MAX)]
_Hash = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
_Path = Annotated[tuple[_Hash, ...], Meta(max_length=PROOF_HASHES_MAX)]


class OpenedRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One record under a row's root; bytes are base64 in the file.

    Attributes:
        index: its position.
        salt: its 16 bytes of salt.
        record: its bytes, as they were hashed.
        path: sibling hashes from the leaf up.
    """

    index: _Index
    salt: Annotated[bytes, Meta(min_length=RECORD_SALT_BYTES, max_length=RECORD_SALT_BYTES)]
    record: Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)]
    path: _Path

    def opening(self) -> RecordOpening:
        """Give it as `ledger.disclosure.verify_record` takes it."""
        return RecordOpening(self.index, self.salt, self.path)


class OpenedChip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One accelerator under an inventory's root; bytes are base64 in the file.

    Attributes:
        index: its position.
        salt: its 32 bytes of salt.
        model: as the charter's annex names it.
        serial: what its maker calls it.
        path: sibling hashes from the leaf up.
    """

    index: _Index
    salt: Annotated[bytes, Meta(min_length=CHIP_SALT_BYTES, max_length=CHIP_SALT_BYTES)]
    model: Identifier
    serial: Annotated[str, Meta(pattern=rf"\A[!-~]{{1,{CHIP_SERIAL_CHARACTERS_MAX}}}\Z")]
    path: _Path

    def chip(self) -> Chip:
        """Give the accelerator."""
        return Chip(self.model, self.serial)

    def opening(self) -> ChipOpening:
        """Give what opens it, as `ledger.chips.verify_chip` takes it."""
        return ChipOpening(self.index, self.salt, self.path)


class OpenedPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hidden fields of one part of another statement of the lab.

    Attributes:
        leaf: hex leaf hash of the statement's entry.
        part: which part of it; `WHOLE` if it has one.
        disclosures: encoded disclosures (`ledger.disclosure`), each once.
    """

    leaf: Hex32
    part: Annotated[str, Meta(pattern=r"\A[a-z0-9-]{0,64}\Z")]
    disclosures: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=DISCLOSURE_CHARACTERS_MAX)], ...],
        Meta(min_length=1, max_length=DISCLOSURES_PER_ROW_MAX),
    ]


class Openings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What answers a challenge.

    Attributes:
        format: `OPENINGS_FORMAT`; `OPENINGS_PARTS_FORMAT` exactly with parts.
        ledger: hex id of the ledger.
        challenge: id of the challenge.
        lab: who answers.
        cluster: about which cluster.
        interval: about when.
        report: leaf hash of the report, or of its latest correction, whose row the fields and records open; null if
            neither is opened.
        inventory: leaf hash of the inventory whose accelerators are opened; null if none are.
        disclosures: encoded disclosures of fields of the row (`ledger.disclosure`), each once.
        records: in ascending order of their positions.
        chips: the same.
        parts: of other statements; none, and not written, in version 1.
    """

    format: str
    ledger: Hex32
    challenge: Identifier
    lab: Identifier
    cluster: Identifier
    interval: Annotated[Interval, Meta(ge=0, le=INTERVAL_MAX)]
    report: Hex32 | None
    inventory: Hex32 | None
    disclosures: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=DISCLOSURE_CHARACTERS_MAX)], ...],
        Meta(max_length=DISCLOSURES_PER_ROW_MAX),
    ]
    records: Annotated[tuple[OpenedRecord, ...], Meta(max_length=LIST_ITEMS_MAX)]
    chips: Annotated[tuple[OpenedChip, ...], Meta(max_length=LIST_ITEMS_MAX)]
    parts: Annotated[tuple[OpenedPart, ...], Meta(max_length=LIST_ITEMS_MAX)] = ()


class SampleOpenings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What answers a sample.

    Attributes:
        format: `SAMPLE_OPENINGS_FORMAT`.
        ledger: hex id of the ledger.
        round: of the sample.
        purpose: of the sample.
        lab: who answers.
        cluster: whose units were drawn.
        sample: leaf hash of the sample's entry.
        inventory: leaf hash of the inventory whose accelerators are opened.
        chips: in ascending order of their positions.
    """

    format: str
    ledger: Hex32
    round: Annotated[BeaconRound, Meta(ge=0, le=INTEGER_MAX)]
    purpose: Purpose
    lab: Identifier
    cluster: Identifier
    sample: Hex32
    inventory: Hex32
    chips: Annotated[tuple[OpenedChip, ...], Meta(max_length=SAMPLE_DRAWN_MAX)]


_DECODER: Final = msgspec.json.Decoder(Openings)
_SAMPLE_DECODER: Final = msgspec.json.Decoder(SampleOpenings)
_ENCODER: Final = msgspec.json.Encoder()
_FileT = TypeVar("_FileT", Openings, SampleOpenings)


def encode_openings(openings: Openings) -> bytes:
    """Write the file.

    Raises:
        FormatError: a value that `parse_openings` would refuse.
    """
    raw = _ENCODER.encode(openings)
    parse_openings(raw)
    return raw


def parse_openings(raw: bytes) -> Openings:
    """Read the file. Whether it opens anything is for whoever holds it against the ledger.

    Raises:
        FormatError: too large, not of the form in its one encoding, positions or disclosures out of order or repeated,
            a report or an inventory named exactly where nothing of it is opened, or the version of another form.
    """
    openings = _read(raw, _DECODER, forms=(domains.OPENINGS_FORMAT, domains.OPENINGS_PARTS_FORMAT))
    _check(openings)
    return openings


def encode_sample_openings(openings: SampleOpenings) -> bytes:
    """Write the file that answers a sample.

    Raises:
        FormatError: a value that `parse_sample_openings` would refuse.
    """
    raw = _ENCODER.encode(openings)
    parse_sample_openings(raw)
    return raw


def parse_sample_openings(raw: bytes) -> SampleOpenings:
    """Read the file that answers a sample. Whether these were drawn, and open anything, is not seen here.

    Raises:
        FormatError: too large, not of the form in its one encoding, or positions out of order or repeated.
    """
    openings = _read(raw, _SAMPLE_DECODER, forms=(domains.SAMPLE_OPENINGS_FORMAT,))
    _require_ascending("chips", [chip.index for chip in openings.chips])
    return openings


def name_sample(*, cluster: str, beacon_round: BeaconRound, purpose: Purpose) -> str:
    """Name a sample where a challenge has its id: no id of a challenge has a slash."""
    return f"{cluster}/{beacon_round}/{purpose}"


def compute_handed(raw: bytes) -> str:
    """Hex SHA-256 of the file: what the response says was handed over."""
    return hashlib.sha256(raw).hexdigest()


def compute_openings_context(*, ledger_id: bytes, challenge: str, nation: str, inspector: str) -> bytes:
    """Give the `info` of HPKE under which the file is encrypted to one inspector.

    It is `OPENINGS || ledger id 32 || lp(challenge) || lp(nation) || lp(inspector)`, where `lp` is u64 length and text,
    and `challenge` is the challenge's id or the sample's name (`name_sample`): a ciphertext of another ledger, for
    another challenge, sample or inspector does not open.
    """
    assert len(ledger_id) == HASH_BYTES
    parts = [part.encode("utf-8") for part in (challenge, nation, inspector)]
    return domains.OPENINGS + ledger_id + b"".join(encode_u64(len(part)) + part for part in parts)


def choose_format(parts: Sequence[OpenedPart]) -> str:
    """Give the version of a file with these parts of other statements: whoever hands over none writes version 1."""
    return domains.OPENINGS_PARTS_FORMAT if parts else domains.OPENINGS_FORMAT


def _read(raw: bytes, decoder: msgspec.json.Decoder[_FileT], *, forms: Sequence[str]) -> _FileT:
    if len(raw) > OPENINGS_BYTES_MAX:
        expected = f"at most {OPENINGS_BYTES_MAX} bytes"
        raise FormatError(field="openings", found=f"{len(raw)} bytes", expected=expected, code=Code.TOO_LARGE)
    try:
        openings = decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(field="openings", found=str(error), expected="what a lab hands to inspectors") from None
    if openings.format not in forms:
        raise FormatError(field="openings.format", found=openings.format, expected=" or ".join(forms))
    if _ENCODER.encode(openings) != raw:
        raise FormatError(field="openings", found="another spelling of the same", expected="the one encoding")
    return openings


def _check(openings: Openings) -> None:
    if openings.format != choose_format(openings.parts):
        expected = f"{choose_format(openings.parts)}, with {len(openings.parts)} parts of other statements"
        raise FormatError(field="openings.format", found=openings.format, expected=expected)
    require_unique(openings.disclosures, field="openings.disclosures")
    for part in openings.parts:
        require_unique(part.disclosures, field="openings.parts.disclosures")
    require_ascending([(part.leaf, part.part) for part in openings.parts], field="openings.parts")
    _require_ascending("records", [record.index for record in openings.records])
    _require_ascending("chips", [chip.index for chip in openings.chips])
    if (openings.report is None) != (not openings.disclosures and not openings.records):
        expected = "a report exactly where fields or records of it are opened"
        raise FormatError(field="openings.report", found=openings.report, expected=expected)
    if (openings.inventory is None) != (not openings.chips):
        expected = "an inventory exactly where accelerators of it are opened"
        raise FormatError(field="openings.inventory", found=openings.inventory, expected=expected)


def _require_ascending(name: str, indices: Sequence[LeafIndex]) -> None:
    if any(after <= before for before, after in itertools.pairwise(indices)):
        raise FormatError(field=f"openings.{name}.index", found="another order", expected="ascending, each once")
