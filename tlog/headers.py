"""Bundles of sealed headers, hashed and compared again: a run of them at a time, in whatever process.

Inside a bundle each header names the one before it and every seal is verified; a seal vouches for all headers before
it. How bundles hang together, up to the block that the checkpoint is of, is for `tlog.verifying` to say from the links
that come out of here. Of an earlier, partial bundle some seals may be missing: they became known later.
Source: `ledger.blocks`.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.blocks import (
    HEADERS_PER_BUNDLE,
    NO_SEAL,
    SealedHeader,
    parse_header_bundle,
    seal_message,
    verify_header_chain,
)
from ledger.errors import FormatError, LedgerError, ProofError, SignatureError
from ledger.limits import HEADER_BYTES_MAX, SEAL_BYTES, TILE_WIDTH
from ledger.threshold import bls
from ledger.tiles import headers_path
from tlog.faults import NOT_THE_BEGINNING, UNVOUCHED, Faults, Problem, map_reads, try_parsing
from tlog.resources import Reader

HEADERS_BYTES_MAX: Final = TILE_WIDTH * (2 + HEADER_BYTES_MAX + SEAL_BYTES)


@dataclass(frozen=True, slots=True)
class Blocks:
    """One bundle of headers: its place, how many the checkpoint covers, and partial ones beside it."""

    index: int
    width: int
    widths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """What every header must lead to.

    Attributes:
        origin: of the ledger.
        ledger_id: of the ledger.
        group_key: under which seals are verified.
        grid_start_s: when interval 0 begins.
        interval_s: how long an interval is.
    """

    origin: str
    ledger_id: bytes
    group_key: bytes
    grid_start_s: int
    interval_s: int


@dataclass(slots=True)
class Link:
    """How one bundle of headers hangs together with its neighbours; None where it could not be read.

    Attributes:
        index: of the bundle.
        parent: digest that its first header names as its parent's.
        last: digest of its last header.
        is_sealed: whether a seal vouches for that last header.
        intervals: of the grid, in which its blocks lie.
    """

    index: int
    parent: bytes | None = None
    last: bytes | None = None
    is_sealed: bool = False
    intervals: tuple[int, ...] = ()


def check_blocks(reader: Reader, run: Sequence[Blocks], chain: Chain, *, is_remote: bool) -> tuple[Faults, list[Link]]:
    """Hash headers, follow their chain inside each bundle, and verify every seal."""
    whole, links = Faults(), []
    for faults, link in map_reads(lambda each: _check_blocks(reader, each, chain), run, is_remote=is_remote):
        whole.join(faults)
        links.append(link)
    return whole, links


def read_headers(reader: Reader, index: int, width: int, faults: Faults) -> list[SealedHeader] | None:
    """Read the headers of a bundle that a checkpoint covers, from the full one if the partial one is gone."""
    path, full = headers_path(index, width), headers_path(index)
    read = faults.read_or_full(reader, path, None if path == full else full, size_max=HEADERS_BYTES_MAX)
    if read is None:
        return None
    headers = try_parsing(path, lambda: parse_header_bundle(read[0]), faults)
    count = HEADERS_PER_BUNDLE if read[1] else width
    if headers is not None and len(headers) != count:
        faults.add(path, Problem.WRONG, f"{len(headers)} headers instead of {count}")
        return None
    return None if headers is None else headers[:width]


def _check_blocks(reader: Reader, blocks: Blocks, chain: Chain) -> tuple[Faults, Link]:
    link, faults, path = Link(blocks.index), Faults(), headers_path(blocks.index, blocks.width)
    headers = read_headers(reader, blocks.index, blocks.width, faults)
    if headers is not None:
        try:
            _verify_headers(headers, blocks.index * TILE_WIDTH, chain)
        except LedgerError as error:
            faults.add_error(path, error)
            headers = None
    if headers is not None:
        link.parent, link.last = headers[0].header.parent, headers[-1].header.digest
        link.is_sealed = headers[-1].seal != NO_SEAL
        times_s = (sealed.header.time_ms // 1000 - chain.grid_start_s for sealed in headers)
        link.intervals = tuple(sorted({time_s // chain.interval_s for time_s in times_s if time_s >= 0}))
    for width in blocks.widths:
        part = None if headers is None else headers[:width]
        _check_partial_headers(reader, headers_path(blocks.index, width), part, chain, faults)
    return faults, link


def _verify_headers(headers: Sequence[SealedHeader], first_height: int, chain: Chain) -> None:
    """Check heights, ledger, chain and seals.

    Raises:
        ProofError: a header contradicts its predecessor, or its place.
        FormatError: a seal is no point.
        SignatureError: a seal does not verify.
    """
    first = headers[0].header
    if first.height != first_height:
        raise ProofError(field="header.height", found=first.height, expected=str(first_height))
    if first.ledger_id != chain.ledger_id:
        raise ProofError(field="header.ledger_id", found=first.ledger_id.hex(), expected=chain.ledger_id.hex())
    verify_header_chain([sealed.header for sealed in headers])
    _verify_seals(headers, chain)


def _verify_seals(headers: Sequence[SealedHeader], chain: Chain) -> None:
    signed = [(seal_message(each.header, chain.origin), each.seal) for each in headers if each.seal != NO_SEAL]
    randomness = secrets.token_bytes(bls.BATCH_WEIGHT_BYTES * len(signed))
    bls.verify_signatures_batch(chain.group_key, signed, randomness=randomness, field="seals")


def _check_partial_headers(
    reader: Reader, path: str, believed: Sequence[SealedHeader] | None, chain: Chain, faults: Faults
) -> None:
    """Hold an earlier bundle against the newer one: the same headers, and seals that are the same or were not known."""
    raw = faults.read(reader, path, size_max=HEADERS_BYTES_MAX)
    if raw is None:  # it went since it was listed
        return
    headers = try_parsing(path, lambda: parse_header_bundle(raw), faults)
    if headers is None:
        return
    if believed is None:
        faults.add(path, Problem.UNCHECKED, UNVOUCHED)
    elif [each.header.raw for each in headers] != [each.header.raw for each in believed]:
        faults.add(path, Problem.WRONG, NOT_THE_BEGINNING)
    else:
        pairs = zip(headers, believed, strict=True)
        try:
            _verify_seals([each for each, other in pairs if each.seal not in {NO_SEAL, other.seal}], chain)
        except (FormatError, SignatureError) as error:
            faults.add_error(path, error)
