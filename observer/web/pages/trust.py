"""What everything rests on: the charter, its fingerprint, and the keys that follow from it."""

from ledger import domains
from ledger.blocks import NO_SEAL
from ledger.charter import Member as MemberOfCharter
from ledger.encoding import encode_base64
from ledger.notes import compute_verifier_key, encode_vkey
from ledger.policy import encode_policy
from ledger.rules.grid import compute_grid
from ledger.statements.intoto import parse_quantity
from ledger.statements.verdicts import STATES_BY_SEVERITY
from ledger.verify import CAVEAT
from observer.copy import Copy
from observer.web.answers.trust import Grid, Limit, Member, Trust
from observer.web.pages.entries import describe_seal
from observer.web.pages.proven import Shown, describe_head
from observer.web.parameters import Asked


def show_trust(shown: Shown, _asked: Asked) -> Trust:
    """Make the page of trust."""
    copy, charter = shown.copy, shown.copy.charter
    grid = compute_grid(charter.predicate.grid)
    return Trust(
        head=describe_head(copy.head.header),
        fingerprint=charter.fingerprint,
        charter_base64=encode_base64(charter.entry),
        charter=charter.predicate,
        title=charter.title,
        origin=charter.origin,
        quorum=charter.quorum,
        group_key=charter.group_key.hex(),
        seal_vkey=encode_vkey(compute_verifier_key(charter.origin, domains.NOTE_SEAL, charter.group_key)),
        members=[_describe_member(copy, member) for member in charter.members],
        grid=Grid(
            start_ms=grid.start_ms,
            interval_ms=grid.interval_ms,
            submit_window_ms=grid.submit_window_ms,
            grace_ms=grid.grace_ms,
            correction_window_ms=grid.correction_window_ms,
            challenge_window_ms=charter.predicate.grid.challenge_window_s * 1000,
        ),
        limits=[
            Limit(
                id=limit.id,
                quantity=limit.quantity,
                maximum=str(parse_quantity(limit.maximum, field="maximum")),
                note=limit.note,
            )
            for limit in charter.predicate.limits
        ],
        policy=encode_policy(copy.keys),
        head_seal=None if copy.head.seal == NO_SEAL else describe_seal(copy, copy.head),
        pinned=True,
        states=[state.value for state in STATES_BY_SEVERITY],  # type: ignore[misc]  # the words of `State`
        caveat=CAVEAT,
    )


def _describe_member(copy: Copy, member: MemberOfCharter) -> Member:
    cosigner = compute_verifier_key(member.node, domains.NOTE_COSIGNATURE_ED25519, member.cosigner)
    log = compute_verifier_key(copy.charter.origin, domains.NOTE_ED25519, member.log)
    ml_dsa = copy.ml_dsa_keys.get(member.index)
    return Member(
        index=member.index,
        id=member.id,
        name=member.name,
        node=member.node,
        identity=member.identity.hex(),
        cosigner=member.cosigner.hex(),
        cosigner_vkey=encode_vkey(cosigner),
        log_vkey=encode_vkey(log),
        cosigner_ml_dsa_sha256=member.cosigner_ml_dsa_sha256,
        cosigner_ml_dsa=None if ml_dsa is None else ml_dsa.hex(),
        http=member.http,
    )
