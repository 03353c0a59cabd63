"""A CSV list of accelerators, as inventories and transfers are made from it.

UTF-8, comma, quotes doubled inside quotes (RFC 4180), LF or CRLF, a header line first, columns in any order:

    cluster  id of the cluster, as registered; not in the list of a transfer
    model    as the charter's annex names it
    serial   what its maker calls it: 1 to 128 visible ASCII characters
    rack     where it stands; may be left out, and goes nowhere but into the vault

An accelerator stands in a list once, whatever its cluster.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ledger.chips import Chip
from ledger.errors import Code, FormatError
from ledger.limits import IDENTIFIER_CHARACTERS_MAX, MIB

LIST_BYTES_MAX: Final = 64 * MIB
CHIPS_COUNT_MAX: Final = 500_000
RACK_CHARACTERS_MAX: Final = 128
_IDENTIFIER: Final = re.compile(rf"[a-z0-9-]{{1,{IDENTIFIER_CHARACTERS_MAX}}}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListedChip:
    """One line of a list.

    Attributes:
        cluster: its cluster's id; empty in the list of a transfer.
        model: of the annex.
        serial: of its maker.
        rack: where it stands; empty if the list does not say.
    """

    cluster: str
    model: str
    serial: str
    rack: str


def parse_chip_list(raw: bytes, *, with_clusters: bool) -> tuple[ListedChip, ...]:
    """Read a list of accelerators, in its order.

    Args:
        raw: contents of the file.
        with_clusters: whether there is a column of clusters, or must be none.

    Raises:
        FormatError: too large, not such a list, a cell of another form, or an accelerator that stands in it twice;
            `field` says in which line.
    """
    if len(raw) > LIST_BYTES_MAX:
        expected = f"at most {LIST_BYTES_MAX} bytes"
        raise FormatError(field="chips", found=f"{len(raw)} bytes", expected=expected, code=Code.TOO_LARGE)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(field="chips", found=str(error), expected="UTF-8") from None
    rows = _number(text)
    _, columns = next(rows, (0, []))
    required = ("cluster", "model", "serial") if with_clusters else ("model", "serial")
    if sorted(columns) not in (sorted(required), sorted((*required, "rack"))):
        expected = f"a header line of {', '.join(required)}, and perhaps rack"
        raise FormatError(field="chips line 1", found=", ".join(columns), expected=expected)
    listed: dict[tuple[str, str], ListedChip] = {}
    for line, cells in rows:
        if not cells:
            continue
        if len(cells) != len(columns):
            expected = f"{len(columns)}, as the header has"
            raise FormatError(field=f"chips line {line}", found=f"{len(cells)} cells", expected=expected)
        chip = _read_chip(dict(zip(columns, cells, strict=True)), f"chips line {line}", with_clusters=with_clusters)
        if (chip.model, chip.serial) in listed:
            found = f"{chip.model} {chip.serial}"
            raise FormatError(field=f"chips line {line}", found=found, expected="each accelerator once")
        if len(listed) == CHIPS_COUNT_MAX:
            raise FormatError(field="chips", found="more", expected=f"at most {CHIPS_COUNT_MAX} accelerators")
        listed[chip.model, chip.serial] = chip
    return tuple(listed.values())


def _number(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give each row with the number of the line it ends on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise FormatError(field=f"chips line {reader.line_num}", found=str(error), expected="CSV") from None
        if row is None:
            return
        yield reader.line_num, row


def _read_chip(cells: dict[str, str], place: str, *, with_clusters: bool) -> ListedChip:
    chip = ListedChip(cells.get("cluster", ""), cells["model"], cells["serial"], cells.get("rack", ""))
    if with_clusters and not _IDENTIFIER.match(chip.cluster):
        raise FormatError(field=f"{place}.cluster", found=chip.cluster, expected="the id of a cluster")
    if len(chip.rack) > RACK_CHARACTERS_MAX:
        expected = f"at most {RACK_CHARACTERS_MAX} characters"
        raise FormatError(field=f"{place}.rack", found=chip.rack, expected=expected)
    try:
        Chip(chip.model, chip.serial).digest()
    except FormatError as error:
        raise FormatError(field=place, found=error.found, expected=error.expected) from None
    return chip
