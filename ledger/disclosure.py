"""Salted fields and records: commit today, open exactly one of them years later.

Fields (SD-JWT, RFC 9901 §4.2). A disclosure is base64url(JSON `[salt, name, value]`), and the statement holds only
base64url(SHA-256(disclosure)), sorted and among decoys, so that neither a value nor the number of fields shows.
Records (RFC 6962 §2.1). A row holds one root over leaves `index u64 || salt 16 bytes || SHA-256(record)`; a record is
opened with its salt and its path.

Whoever loses a salt can never open what it hides. Salts are arguments here: fresh, from a source of randomness, at
least 128 bits, one for each field of each statement and one for each record. Nothing here draws them.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias

from ledger.encoding import decode_base64url, encode_base64url, encode_u64, require_bytes
from ledger.errors import FormatError, ProofError
from ledger.limits import (
    DISCLOSURE_CHARACTERS_MAX,
    HASH_BYTES,
    INTEGER_MAX,
    LIST_ITEMS_MAX,
    NESTING_MAX,
    RECORDS_COUNT_MAX,
    SALT_BYTES_MIN,
)
from ledger.merkle import (
    EMPTY_FRONTIER,
    Hash,
    compute_levels,
    compute_root,
    leaf_hash,
    prove_inclusion,
    verify_inclusion,
)
from ledger.positions import LeafIndex, TreeSize

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue] | None"
"""A disclosed value: JSON without floating point, which no two readers agree on."""

RECORD_SALT_BYTES: Final = 16
RESERVED_NAMES: Final = ("_sd", "...")
"""RFC 9901 §4.2.1: names of the construction itself."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One opened field: the salt that hid it, its name and its value."""

    salt: bytes
    name: str
    value: JsonValue


def encode_disclosure(disclosure: Disclosure) -> str:
    """Write base64url(JSON `[salt, name, value]`), without spaces. Keep the string: the digest is over it.

    Raises:
        FormatError: a value that `parse_disclosure` would refuse.
    """
    parts = [encode_base64url(disclosure.salt), disclosure.name, disclosure.value]
    try:
        raw = json.dumps(parts, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(field="disclosure.value", found=str(error), expected="a JSON value") from None
    text = encode_base64url(raw)
    if parse_disclosure(text) != disclosure:
        raise FormatError(field="disclosure.value", found=disclosure.name, expected="lists, and text for keys")
    return text


def parse_disclosure(text: str) -> Disclosure:
    """Read a disclosure.

    White space inside the JSON is allowed, as other SD-JWT tools write it: the digest is over the string as it came,
    so another spelling is another commitment.

    Raises:
        FormatError: not base64url, not such an array, a short salt, a reserved or repeated name, a number that is not
            an integer, text that is not Unicode, too deep or too long.
    """
    if len(text) > DISCLOSURE_CHARACTERS_MAX:
        raise FormatError(
            field="disclosure", found=f"{len(text)} characters", expected=f"at most {DISCLOSURE_CHARACTERS_MAX}"
        )
    raw = decode_base64url(text, field="disclosure")
    parts = _read_json(raw)
    if not isinstance(parts, list) or len(parts) != 3:
        raise FormatError(field="disclosure", found=type(parts).__name__, expected="an array of salt, name and value")
    salt, name, value = parts
    if not isinstance(salt, str) or not isinstance(name, str):
        raise FormatError(field="disclosure", found="an array of another kind", expected="text for salt and name")
    salt_bytes = decode_base64url(salt, field="disclosure.salt")
    _require_salt(salt_bytes, field="disclosure.salt")
    if name in RESERVED_NAMES or not name:
        raise FormatError(field="disclosure.name", found=name, expected="a name that the construction does not use")
    return Disclosure(salt_bytes, name, value)


def compute_digest(disclosure: str) -> str:
    """Give base64url(SHA-256(disclosure)): what the statement holds for the encoded disclosure.

    Source: RFC 9901 §4.2.3.
    """
    return encode_base64url(hashlib.sha256(disclosure.encode("ascii")).digest())


def compute_decoy(randomness: bytes) -> str:
    """Give a digest that opens to nothing, so that the number of digests does not tell the number of fields.

    Source: RFC 9901 §4.2.7.
    """
    _require_salt(randomness, field="decoy")
    return encode_base64url(hashlib.sha256(randomness).digest())


@dataclass(frozen=True, slots=True)
class CommittedFields:
    """What goes on the ledger, and what stays with the lab.

    Attributes:
        digests: of fields and decoys, in ascending order.
        disclosures: the encoded disclosure of each field, by name; secret until opened.
    """

    digests: tuple[str, ...]
    disclosures: Mapping[str, str] = field(repr=False)


def commit_fields(
    values: Mapping[str, JsonValue], *, salts: Sequence[bytes], decoys: Sequence[bytes] = ()
) -> CommittedFields:
    """Commit to every field, and mix decoys among them.

    Args:
        values: JSON value by name.
        salts: one for each value in its order, fresh, at least 16 bytes.
        decoys: randomness of the same kind, one for each decoy.

    Raises:
        FormatError: a salt too short or used twice, or a value that cannot be disclosed later.
    """
    assert len(salts) == len(values)
    if len(frozenset((*salts, *decoys))) != len(salts) + len(decoys):
        raise FormatError(field="disclosure.salt", found="a salt twice", expected="a fresh salt for each field")
    disclosures = {
        name: encode_disclosure(Disclosure(salt, name, value))
        for (name, value), salt in zip(values.items(), salts, strict=True)
    }
    digests = [compute_digest(text) for text in disclosures.values()] + [compute_decoy(raw) for raw in decoys]
    return CommittedFields(tuple(sorted(digests)), disclosures)


def check_disclosures(digests: Sequence[str], disclosures: Sequence[str]) -> tuple[Disclosure, ...]:
    """Check that each disclosure opens a digest of the statement, and read it.

    Raises:
        FormatError: a disclosure that is not of the form, or a name or a digest that occurs twice.
        ProofError: a disclosure whose digest the statement does not have.
    """
    committed = frozenset(digests)
    if len(committed) != len(digests):
        raise FormatError(field="digests", found="a digest twice", expected="each digest once")
    opened: dict[str, Disclosure] = {}
    for text in disclosures:
        disclosure = parse_disclosure(text)
        if compute_digest(text) not in committed:
            raise ProofError(
                field=f"disclosure.{disclosure.name}", found=compute_digest(text), expected="a digest of the row"
            )
        if disclosure.name in opened:
            raise FormatError(field="disclosure.name", found=disclosure.name, expected="each name once")
        opened[disclosure.name] = disclosure
    return tuple(opened.values())


@dataclass(frozen=True, slots=True)
class RecordsRoot:
    """What a row says of its records: the root over them and their number."""

    root: Hash
    count: int


@dataclass(frozen=True, slots=True)
class RecordLeaf:
    """A record without its content: position, salt, hash of the bytes."""

    index: LeafIndex
    salt: bytes
    record_sha256: bytes

    def encode(self) -> bytes:
        """Write the leaf's 56 bytes, whose `leaf_hash` stands in the tree."""
        assert len(self.salt) == RECORD_SALT_BYTES
        assert len(self.record_sha256) == HASH_BYTES
        return encode_u64(self.index) + self.salt + self.record_sha256


@dataclass(frozen=True, slots=True)
class RecordOpening:
    """All that opens one record, beside the record itself.

    Attributes:
        index: its position.
        salt: its 16 bytes of salt.
        proof: sibling hashes from the leaf up.
    """

    index: LeafIndex
    salt: bytes
    proof: tuple[Hash, ...]


class RecordsTree:
    """Hashes of all records of a row, for opening any number of them; 64 bytes a record.

    A lab that only needs the root of very many records uses `commit_records`, which keeps 63 hashes at most.
    """

    def __init__(self, records: Iterable[bytes], salts: Iterable[bytes]) -> None:
        """Hash every record with its salt, and every perfect subtree above them.

        Raises:
            FormatError: a salt that is not 16 bytes.
        """
        self._salts: list[bytes] = []
        leaves = []
        for leaf in _leaves(records, salts):
            self._salts.append(leaf.salt)
            leaves.append(leaf_hash(leaf.encode()))
        self._levels = compute_levels(leaves)

    def root(self) -> RecordsRoot:
        """Give what the row says."""
        leaves = self._levels[0]
        return RecordsRoot(compute_root(leaves), len(leaves))

    def open_record(self, index: LeafIndex) -> RecordOpening:
        """Prove one record.

        Raises:
            ProofError: no record has the index.
        """
        size = TreeSize(len(self._salts))
        proof = prove_inclusion(index=index, size=size, read=lambda level, at: self._levels[level][at])
        return RecordOpening(index, self._salts[index], tuple(proof))


def commit_records(records: Iterable[bytes], salts: Iterable[bytes]) -> RecordsRoot:
    """Hash records in order into one root, in constant memory.

    Args:
        records: the bytes of each record.
        salts: 16 fresh bytes for each; as many as there are records.

    Raises:
        FormatError: a salt that is not 16 bytes, or not as many salts as records.
    """
    frontier = EMPTY_FRONTIER.extend(leaf_hash(leaf.encode()) for leaf in _leaves(records, salts))
    return RecordsRoot(frontier.root(), frontier.size)


def prove_record(records: Sequence[bytes], salts: Sequence[bytes], index: LeafIndex) -> RecordOpening:
    """Open one record; for many of the same row, keep a `RecordsTree`.

    Raises:
        FormatError: a salt that is not 16 bytes, or not as many salts as records.
        ProofError: no record has the index.
    """
    return RecordsTree(records, salts).open_record(index)


def verify_record(root: RecordsRoot, record: bytes, opening: RecordOpening) -> None:
    """Check that `record` is the one the row committed to at this index.

    Args:
        root: of a row in a sealed report: this function believes it.
        record: the bytes handed over.
        opening: what the lab handed over with it.

    Raises:
        FormatError: a salt that is not 16 bytes.
        ProofError: another record, another position, another salt, or no such position.
    """
    require_bytes(opening.salt, field="record.salt", size=RECORD_SALT_BYTES)
    if not 0 <= opening.index < root.count <= RECORDS_COUNT_MAX:
        raise ProofError(field="record.index", found=opening.index, expected=f"an index below {root.count}")
    leaf = RecordLeaf(opening.index, opening.salt, hashlib.sha256(record).digest())
    verify_inclusion(
        leaf=leaf_hash(leaf.encode()),
        index=opening.index,
        size=TreeSize(root.count),
        proof=opening.proof,
        root=root.root,
    )


def _leaves(records: Iterable[bytes], salts: Iterable[bytes]) -> Iterator[RecordLeaf]:
    """Pair records with salts; one more of either is refused, not ignored."""
    for index, (record, salt) in enumerate(itertools.zip_longest(records, salts)):
        if record is None or salt is None:
            raise FormatError(field="record.salt", found="more of one than the other", expected="one salt a record")
        require_bytes(salt, field="record.salt", size=RECORD_SALT_BYTES)
        yield RecordLeaf(LeafIndex(index), salt, hashlib.sha256(record).digest())


def _require_salt(salt: bytes, *, field: str) -> None:
    if len(salt) < SALT_BYTES_MIN:
        raise FormatError(field=field, found=f"{len(salt)} bytes", expected=f"at least {SALT_BYTES_MIN} bytes")


# A string, or an opening or closing bracket; a lone quotation mark is a string that never ends.
_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{}]', re.DOTALL)
_INTEGER_DIGITS_MAX: Final = len(str(INTEGER_MAX)) + 1


def _read_json(raw: bytes) -> JsonValue:
    """Read JSON in which every reader sees the same: no repeated names, no floating point, no half characters.

    Depth is bounded by a linear scan before the decoder, which recurses, sees the bytes.
    """
    depth = 0
    for match in _STRUCTURE.finditer(raw):
        match match[0]:
            case b"[" | b"{":
                depth += 1
                if depth > NESTING_MAX:
                    _refuse(f"nesting {depth}", f"nesting of at most {NESTING_MAX}")
            case b"]" | b"}":
                depth -= 1
            case b'"':
                _refuse("text without an end", "JSON")
    try:
        value: JsonValue = _DECODER.decode(raw.decode("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FormatError(field="disclosure", found=str(error), expected="JSON in UTF-8") from None
    _check_value(value)
    return value


def _read_object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) != len(pairs):
        _refuse("a name twice in an object", "each name once")
    return value


def _read_integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS_MAX or text == "-0" or abs(int(text)) > INTEGER_MAX:
        _refuse(text, "an integer of at most 2**53, above as a decimal string")
    return int(text)


def _refuse_number(text: str) -> NoReturn:
    _refuse(text, "an integer")


def _refuse(found: str, expected: str) -> NoReturn:
    raise FormatError(field="disclosure", found=found, expected=expected)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_read_object,
    parse_int=_read_integer,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
)


def _check_value(value: JsonValue) -> None:
    """Refuse what JSON allows and we do not; the depth is bounded already."""
    match value:
        case str():
            if "\0" in value or not _is_unicode(value):
                _refuse(ascii(value), "text of Unicode characters without NUL")
        case list():
            if len(value) > LIST_ITEMS_MAX:
                _refuse(f"{len(value)} items", f"at most {LIST_ITEMS_MAX}")
            for item in value:
                _check_value(item)
        case dict():
            if len(value) > LIST_ITEMS_MAX:
                _refuse(f"{len(value)} names", f"at most {LIST_ITEMS_MAX}")
            for name, item in value.items():
                if name in RESERVED_NAMES:
                    _refuse(name, "a name that the construction does not use")
                _check_value(name)
                _check_value(item)
        case _:
            pass


def _is_unicode(text: str) -> bool:
    """Say whether UTF-8 can write it: no half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
