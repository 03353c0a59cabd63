"""What a finding says to a person and to a program, in one place, so that no way of showing it leaves anything out."""

from datetime import UTC, datetime
from typing import Any, Final

from ledger.limits import TIME_S_MAX
from ledger.positions import Millis
from ledger.statements.verdicts import Verdict
from ledger.verify import CAVEAT
from observer.offline import Finding

_ASSURANCE: Final = {
    "A0": ": it rests on what the lab declared, or did not; only signatures, times and arithmetic were checked"
}


def format_time(time_ms: Millis) -> str:
    """Write a block's time in UTC, to the second."""
    if time_ms // 1000 > TIME_S_MAX:
        return f"{time_ms} ms"
    return f"{datetime.fromtimestamp(time_ms // 1000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"


def encode_verdict(verdict: Verdict) -> dict[str, Any]:
    """Give a verdict as JSON has it; Any because its values are of several types."""
    return {
        "nation": verdict.nation,
        "lab": verdict.lab,
        "cluster": verdict.cluster,
        "interval": verdict.interval,
        "state": verdict.state.value,
        "reasons": [reason.value for reason in verdict.reasons],
        "assurance": verdict.assurance,
        "report": verdict.report,
        "time_ms": verdict.time_ms,
    }


def encode_finding(finding: Finding) -> dict[str, Any]:
    """Give a finding as JSON has it; Any because its values are of several types."""
    receipt = finding.receipt
    checkpoint, seal = receipt.checkpoint.checkpoint, receipt.checkpoint.seal
    subject, verdict = finding.subject, finding.verdict
    return {
        "holds": True,
        "kind": finding.kind,
        "title": finding.charter.title,
        "origin": finding.charter.origin,
        "charter_fingerprint": finding.charter.fingerprint,
        "fingerprint_compared": finding.is_pinned,
        "index": receipt.index,
        "leaf": receipt.leaf.hex(),
        "entry_kind": None if subject is None else subject.kind,
        "entry_subject": None if subject is None else subject.name,
        "sealed_at_ms": seal.time_ms,
        "height": seal.height,
        "tree_size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "members_count": len(finding.charter.members),
        "quorum": finding.charter.quorum,
        "cosigners": list(receipt.checkpoint.cosigners),
        "cosigners_ml_dsa": list(receipt.checkpoint.cosigners_ml_dsa),
        "verdict": None if verdict is None else encode_verdict(verdict),
        "assurance": None if verdict is None else verdict.assurance,
        "caveat": CAVEAT,
    }


def describe_finding(finding: Finding) -> list[str]:
    """Say in lines what was proven, under which charter, when, by how many, and what it does not show."""
    receipt, charter = finding.receipt, finding.charter
    checkpoint, seal = receipt.checkpoint.checkpoint, receipt.checkpoint.seal
    cosigners, post_quantum = receipt.checkpoint.cosigners, receipt.checkpoint.cosigners_ml_dsa
    count = len(charter.members)
    sealers = f"by a quorum of {charter.quorum} of {count} members"
    cosigned = f"by {len(cosigners)} of {count} members, {len(post_quantum)} of them post-quantum"
    subject = "of a kind this version does not know"
    if finding.subject is not None:
        subject = f"{finding.subject.kind} {finding.subject.name}"
    return [
        f"holds      this {finding.kind} proves that its entry stands on the ledger {charter.origin} ({charter.title})",
        f"charter    {charter.fingerprint}",
        f"           {_describe_pin(finding)}",
        f"entry      {receipt.index} of {checkpoint.size}: {subject}",
        f"leaf hash  {receipt.leaf.hex()}",
        f"sealed     {format_time(seal.time_ms)}, block {seal.height}, {sealers}",
        f"cosigned   {cosigned}{': ' if cosigners else ''}{', '.join(cosigners)}",
        *_describe_verdict(finding.verdict),
        CAVEAT,
    ]


def _describe_pin(finding: Finding) -> str:
    if finding.is_pinned:
        return "the charter whose fingerprint you gave"
    return (
        "not compared: this result is only as good as that fingerprint; compare it with one from somebody you trust,"
        " or give --charter-fingerprint"
    )


def _describe_verdict(verdict: Verdict | None) -> list[str]:
    if verdict is None:
        return ["assurance  none: it proves that the entry was made and when, not that what it says is true"]
    reasons = f" because of {', '.join(verdict.reasons)}" if verdict.reasons else ""
    place = f"{verdict.lab}, cluster {verdict.cluster}, interval {verdict.interval} ({verdict.nation})"
    return [
        f"verdict    {verdict.state}{reasons}: {place}",
        f"assurance  {verdict.assurance}{_ASSURANCE.get(verdict.assurance, '')}",
        f"           as of {format_time(verdict.time_ms)}; a later verdict may supersede it",
    ]
