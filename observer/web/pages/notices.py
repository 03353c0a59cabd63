"""Misconduct, incidents, observations and measures, from the ledger; and from beside it what this observer found."""

from pathlib import Path
from typing import Final

import msgspec

from ledger.errors import FormatError
from ledger.limits import KIB
from ledger.positions import LeafIndex
from ledger.statements.dsse import parse_envelope
from ledger.statements.intoto import find_kind
from ledger.statements.misconduct import MISCONDUCT, parse_misconduct
from ledger.statements.notices import (
    ENFORCEMENT,
    INCIDENT,
    OBSERVATION,
    parse_enforcement,
    parse_incident,
    parse_observation,
)
from observer.evidence import DECIDED, list_evidence
from observer.files import read_file
from observer.web.answers.notices import Evidence, Notice, Notices
from observer.web.pages.proven import Shown, describe_head, read_entry
from observer.web.parameters import Asked

NOTICE_KINDS: Final = (MISCONDUCT, INCIDENT, OBSERVATION, ENFORCEMENT)
EVIDENCE_SHOWN_MAX: Final = 100
_ABOUT_BYTES_MAX: Final = 64 * KIB


class _About(msgspec.Struct):
    said: str
    source: str
    height: int
    seen_ms: int


def show_notices(shown: Shown, asked: Asked) -> Notices:
    """Make a page of notices, newest first.

    Raises:
        LedgerError: the copy on disk is not what was written, or what lies beside it cannot be read.
    """
    kind, limit = asked.word_or_none("kind"), asked.number("limit")
    found, count = shown.view.find(
        kinds=NOTICE_KINDS if kind is None else (kind,),
        issuer=None,
        before=asked.number_or_none("before"),
        limit=limit + 1,
    )
    return Notices(
        head=describe_head(shown.copy.head.header),
        notices=[_read_notice(shown, index) for index in found[:limit]],
        notices_count=count,
        before=found[limit - 1] if len(found) > limit else None,
        evidence=_list_evidence(shown.copy.path.parent),
    )


def _read_notice(shown: Shown, index: LeafIndex) -> Notice:
    entry, _ = read_entry(shown.copy, index)
    time_ms = shown.view.time_of_entry(index)
    try:
        return _describe(parse_envelope(entry).payload, index, time_ms)
    except FormatError as error:  # a quorum sealed it all the same
        return _make(index, time_ms, OBSERVATION, issuer="", about="", headline=f"not of its form: {error.field}")


def _describe(payload: bytes, index: LeafIndex, time_ms: int) -> Notice:
    kind = find_kind(payload)
    if kind == MISCONDUCT:
        report = parse_misconduct(payload).predicate
        accused, headline = report.evidence.accused, report.evidence.misconduct
        return _make(index, time_ms, kind, issuer=report.issuer, about=accused, headline=headline)
    if kind == INCIDENT:
        incident = parse_incident(payload).predicate
        about = "/".join((incident.issuer, ", ".join(incident.clusters))) if incident.clusters else incident.issuer
        return _make(
            index,
            time_ms,
            kind,
            issuer=incident.issuer,
            about=about,
            headline=incident.category,
            level=incident.severity,
            interval=incident.interval,
        )
    if kind == OBSERVATION:
        seen = parse_observation(payload).predicate
        about = seen.about if seen.name is None else f"{seen.about} {seen.name}"
        return _make(
            index,
            time_ms,
            kind,
            issuer=seen.issuer,
            about=about,
            headline=seen.category,
            level=seen.confidence,
            text=seen.text,
        )
    measure = parse_enforcement(payload).predicate
    return _make(
        index,
        time_ms,
        ENFORCEMENT,
        issuer=measure.issuer,
        about=measure.lab,
        headline=measure.measure,
        interval=measure.interval,
        until=measure.until,
        text=measure.text,
    )


def _make(
    index: LeafIndex,
    time_ms: int,
    kind: str,
    *,
    issuer: str,
    about: str,
    headline: str,
    level: str | None = None,
    interval: int | None = None,
    until: int | None = None,
    text: str | None = None,
) -> Notice:
    return Notice(
        index=index,
        kind=kind,  # type: ignore[arg-type]  # one of `NOTICE_KINDS`
        issuer=issuer,
        time_ms=time_ms,
        about=about,
        headline=headline,
        level=level,
        interval=interval,
        until=until,
        text=text,
    )


def _list_evidence(home: Path) -> list[Evidence]:
    """Read what this observer keeps, what nobody has decided about first."""
    found = []
    for kind in ("contradiction", "rollback"):
        for folder in list_evidence(home, kind)[-EVIDENCE_SHOWN_MAX:]:
            raw = read_file(folder / "about.json", size_max=_ABOUT_BYTES_MAX, field="evidence")
            try:
                about = msgspec.json.decode(raw, type=_About)
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                raise FormatError(
                    field=str(folder), found=str(error), expected="about.json as it was written"
                ) from None
            found.append(
                Evidence(
                    name=folder.name,
                    kind=kind,
                    said=about.said,
                    source=about.source,
                    height=about.height,
                    seen_ms=about.seen_ms,
                    is_decided=(folder / DECIDED).exists(),
                )
            )
    return sorted(found, key=lambda each: (each.is_decided, -each.seen_ms))[:EVIDENCE_SHOWN_MAX]
