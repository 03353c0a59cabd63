"""The terms of a transfer, as the sending lab hands them to the receiving one: in private, they open what both say.

One JSON object: `version` 1, `terms` (the disclosure whose digest is both sides' `match`), `reason`, and `chips` with
`model`, `serial` and `salt` (base64) of each accelerator, in the order of the tree under `chips_root`.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from lab.collectors.chips import CHIPS_COUNT_MAX
from lab.inventories import compute_root
from lab.stored import StoredChip
from ledger.errors import Code, FormatError, ProofError
from ledger.limits import CHIP_SALT_BYTES, DISCLOSURE_CHARACTERS_MAX, MIB
from ledger.statements.intoto import parse_quantity
from ledger.statements.inventories import SharedTerms, TransferReason, parse_terms

TERMS_BYTES_MAX: Final = 128 * MIB


class TermsChip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One accelerator that moves."""

    model: str
    serial: str
    salt: Annotated[bytes, Meta(min_length=CHIP_SALT_BYTES, max_length=CHIP_SALT_BYTES)]


class TermsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is handed over.

    Attributes:
        version: of this format.
        terms: the disclosure of the shared terms.
        reason: why it moves, as the sender says.
        chips: what moves.
    """

    version: Literal[1] = 1
    terms: Annotated[str, Meta(max_length=DISCLOSURE_CHARACTERS_MAX)]
    reason: TransferReason
    chips: Annotated[tuple[TermsChip, ...], Meta(max_length=CHIPS_COUNT_MAX)]

    def shared(self) -> SharedTerms:
        """Read the terms."""
        return parse_terms(self.terms)

    def stored(self) -> tuple[StoredChip, ...]:
        """Give the accelerators as the vault keeps them."""
        return tuple(StoredChip(chip.model, chip.serial, chip.salt) for chip in self.chips)


_DECODER: Final = msgspec.json.Decoder(TermsFile)


def encode_terms_file(file: TermsFile) -> bytes:
    """Write the file.

    Raises:
        FormatError, ProofError: it contradicts itself.
    """
    raw = msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"
    parse_terms_file(raw)
    return raw


def parse_terms_file(raw: bytes) -> TermsFile:
    """Read the file, and hold its accelerators against its terms.

    Raises:
        FormatError: not of the form, or not as many accelerators, or of another model, than the terms say.
        ProofError: the accelerators are not those under the root.
    """
    if len(raw) > TERMS_BYTES_MAX:
        expected = f"at most {TERMS_BYTES_MAX} bytes"
        raise FormatError(field="terms", found=f"{len(raw)} bytes", expected=expected, code=Code.TOO_LARGE)
    try:
        file = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        expected = "the file that `counterseal lab transfer out` wrote"
        raise FormatError(field="terms", found=str(error), expected=expected) from None
    terms = file.shared()
    count = parse_quantity(terms.count, field="terms.count")
    if count != len(file.chips) or any(chip.model != terms.model for chip in file.chips):
        expected = f"{count} of {terms.model}, as the terms say"
        raise FormatError(field="terms.chips", found=f"{len(file.chips)} accelerators", expected=expected)
    root = compute_root(file.stored())
    if root != terms.chips_root:
        raise ProofError(field="terms.chips", found=root, expected=f"those under root {terms.chips_root}")
    return file
