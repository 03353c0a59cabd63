"""What an observer noticed, written so that somebody who is registered can put it on the ledger.

An observer is nobody to the rules: it has no key there and signs nothing. It writes the body of an observation about an
entry of its own verified copy, and gives it to a nation or a lab, which issues it under its own name if it agrees. What
was observed, the entry's exact bytes, is written beside it, since whoever issues an observation keeps that.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.errors import FormatError
from ledger.limits import ENTRY_BYTES_MAX, TEXT_CHARACTERS_MAX
from ledger.merkle import leaf_hash
from ledger.positions import LeafIndex, Seconds
from ledger.positions import Sequence as SequenceNumber
from ledger.statements.intoto import ZERO_HASH
from ledger.statements.notices import Observation, encode_observation
from observer.copy import Copy
from observer.files import write_file
from observer.offline import ENTRY_SUFFIX

HEADER: Final = ("ledger", "issuer", "sequence", "previous", "issued_at", "corrects")
"""What whoever issues the observation adds."""

_NOBODY: Final = "nobody"


def make_note(copy: Copy, index: LeafIndex, said: Mapping[str, object]) -> dict[str, Any]:
    """Make the body of an observation of an entry; values of a JSON object are of several types, hence Any.

    Args:
        copy: where the entry is, verified.
        index: of the entry.
        said: about, name, category, confidence and text of `Observation`; index and leaf hash are put before the text.

    Raises:
        FormatError: a value that no party could issue.
        LedgerError: the copy on disk is not what was written.
    """
    entry = copy.tree.read_entry(index)
    assert len(entry) <= ENTRY_BYTES_MAX
    text = f"Entry {index}, leaf hash {leaf_hash(entry).hex()}: {said['text']}"
    if len(text) > TEXT_CHARACTERS_MAX:
        room = TEXT_CHARACTERS_MAX - len(text) + len(str(said["text"]))
        raise FormatError(field="text", found=f"{len(str(said['text']))} characters", expected=f"at most {room}")
    fields = {
        "ledger": copy.charter.fingerprint,
        "issuer": _NOBODY,
        "sequence": SequenceNumber(0),
        "previous": ZERO_HASH,
        "issued_at": Seconds(0),
        "corrects": None,
        **said,
        "digest": hashlib.sha256(entry).hexdigest(),
        "text": text,
    }
    try:
        observation = msgspec.convert(fields, Observation)
    except msgspec.ValidationError as error:
        raise FormatError(field="observation", found=str(error), expected="the fields of an observation") from None
    encode_observation(observation)
    return {name: value for name, value in msgspec.structs.asdict(observation).items() if name not in HEADER}


def write_note(copy: Copy, index: LeafIndex, note: Mapping[str, object], output: Path) -> list[Path]:
    """Write a note, and the entry that it is about beside it.

    Returns:
        The files written.
    """
    entry = output.with_suffix(ENTRY_SUFFIX)
    write_file(entry, copy.tree.read_entry(index))
    write_file(output, msgspec.json.format(msgspec.json.encode(note), indent=2) + b"\n")
    return [output, entry]
