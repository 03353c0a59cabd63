"""Answers: what everything rests on."""

from typing import Any

from observer.web.answers.entries import SealMessage
from observer.web.answers.words import Answer, Base64, Count, Decimal, Head, Hex, State


class Member(Answer, frozen=True, kw_only=True):
    """A member's keys, of the charter.

    Attributes:
        index: its number, from 1.
        id: its name in statements.
        name: what people call it.
        node: name of its keys in notes.
        identity: Ed25519 key of votes and statements.
        cosigner: Ed25519 key of cosignatures.
        cosigner_vkey: the same as C2SP verifier key.
        log_vkey: Ed25519 key of the plain log line, as C2SP verifier key.
        cosigner_ml_dsa_sha256: hash of its ML-DSA-44 key.
        cosigner_ml_dsa: that key, if this copy has the ceremony's transcript; else null.
        http: where it publishes.
    """

    index: Count
    id: str
    name: str
    node: str
    identity: Hex
    cosigner: Hex
    cosigner_vkey: str
    log_vkey: str
    cosigner_ml_dsa_sha256: Hex
    cosigner_ml_dsa: Hex | None
    http: str


class Grid(Answer, frozen=True, kw_only=True):
    """The reporting intervals: interval k begins at `start_ms + k * interval_ms`; see the charter for the windows."""

    start_ms: Count
    interval_ms: Count
    submit_window_ms: Count
    grace_ms: Count
    correction_window_ms: Count
    challenge_window_ms: Count


class Limit(Answer, frozen=True, kw_only=True):
    """A rule that every row of a report promises to respect; `maximum` is a decimal string."""

    id: str
    quantity: str
    maximum: Decimal
    note: str


class Trust(Answer, frozen=True, kw_only=True):
    """What everything rests on: compare `fingerprint` with one from somebody you trust, then check the rest against it.

    Attributes:
        head: what it was read at.
        fingerprint: SHA-256 of the charter's entry.
        charter_base64: the exact bytes of entry 0: a DSSE envelope that every founder signed.
        charter: the charter's predicate, as JSON; a browser should decode it from `charter_base64` instead.
        title: of the charter.
        origin: name of the ledger.
        quorum: how many members make a seal.
        group_key: 96 bytes, a point of G2: the one key of all seals.
        seal_vkey: the same as C2SP verifier key.
        members: in the order of the charter.
        grid: of intervals.
        limits: of the charter.
        policy: the ledger's keys as C2SP tlog-policy.
        head_seal: the seal of the copy's newest block; null where the copy holds the charter alone.
        pinned: true: this copy was pinned to `fingerprint` when it was made.
        states: from best to worst.
        caveat: what no verdict shows.
    """

    head: Head
    fingerprint: Hex
    charter_base64: Base64
    charter: Any  # any JSON object: the charter's predicate
    title: str
    origin: str
    quorum: Count
    group_key: Hex
    seal_vkey: str
    members: list[Member]
    grid: Grid
    limits: list[Limit]
    policy: str
    head_seal: SealMessage | None
    pinned: bool
    states: list[State]
    caveat: str
