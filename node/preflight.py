"""What must be right before a node runs, each checked with a sentence for the operator who must mend it."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ledger.blocks import Header
from ledger.charter import Charter
from ledger.errors import Code, ConditionError, FormatError, SignatureError
from ledger.limits import CLOCK_AHEAD_MAX_MS
from ledger.positions import Millis
from ledger.threshold.transcripts import Transcript, compute_transcript_digest, parse_transcript
from node.keys import CosignerKey, IdentityKey, LogKey, ShareKey
from node.schema import damaged


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """The secrets a running node signs with, each handed out by the keystore."""

    identity: IdentityKey
    cosigner: CosignerKey
    log: LogKey
    share: ShareKey


def require_own_keys(charter: Charter, keys: MemberKeys) -> None:
    """Check that these are the keys of the member in the charter.

    Raises:
        ConditionError: `CONFIG`.
    """
    member = charter.member(keys.share.member)
    pairs = (
        ("identity", keys.identity.public_key, member.identity),
        ("cosigner", keys.cosigner.public_key, member.cosigner),
        ("log", keys.log.public_key, member.log),
        ("share", keys.share.public_share, charter.public_share(member.index)),
    )
    for name, found_key, expected in pairs:
        if found_key != expected:
            raise ConditionError(
                field=f"keys.{name}",
                found=found_key.hex(),
                expected=f"{expected.hex()} of member {member.id} in the charter",
                code=Code.CONFIG,
            )


def require_known_members(charter: Charter, named: Iterable[str]) -> None:
    """Check that settings name members of the charter alone: a mistyped one would do nothing, in silence.

    Raises:
        ConditionError: `CONFIG`.
    """
    known = [member.id for member in charter.members]
    for name in named:
        if name not in known:
            raise ConditionError(
                field="peer.addresses", found=name, expected="one of " + ", ".join(known), code=Code.CONFIG
            )


def require_clock(now: Millis, newest: Header) -> None:
    """Check this clock against what a quorum's clocks said: one that is far behind refuses every proposal.

    Raises:
        ConditionError: `CLOCK_AHEAD`.
    """
    if newest.time_ms > now + CLOCK_AHEAD_MAX_MS:
        raise ConditionError(
            field="this machine's clock",
            found=_say_time(now),
            expected=f"not before {_say_time(newest.time_ms)}, the newest block's time; set the clock",
            code=Code.CLOCK_AHEAD,
        )


def read_transcript(charter: Charter, raw: bytes) -> Transcript:
    """Read the transcript that the store kept beside the charter.

    Raises:
        FormatError: it is not the one that the charter names.
    """
    digest = compute_transcript_digest(raw).hex()
    if digest != charter.predicate.transcript:
        raise FormatError(field="transcript", found=digest, expected=charter.predicate.transcript)
    return parse_transcript(raw)


@contextlib.contextmanager
def believed(path: Path) -> Iterator[None]:
    """Say of what was read from the store that it is not what was written.

    Raises:
        ConditionError: `STORE_DAMAGED`.
    """
    try:
        yield
    except (FormatError, SignatureError) as error:
        raise damaged(path, error.found, field=error.field, expected=error.expected) from error


def _say_time(time_ms: Millis) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="seconds")
