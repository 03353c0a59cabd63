"""How far the beacon is, as an operator reads it: a line of words, and the same as JSON."""

from node.v1 import operator_pb2


def describe_beacon(answer: operator_pb2.GetStatusResponse) -> str:
    """Say in a line which round was drawn last, how many wait since when, and for whose shares."""
    beacon = answer.beacon
    drawn = _find_newest(beacon)
    newest = "beacon: none yet" if drawn is None else f"beacon: newest of round {drawn}"
    if not beacon.open:
        return f"{newest}; no round waits"
    age_s = max(0, answer.block_time_ms // 1000 - beacon.opened_at_s)
    rounds = f"round {beacon.drawn} waits" if beacon.open == 1 else f"{beacon.open} rounds wait, from {beacon.drawn} on"
    waiting = f"{newest}; {rounds} since {age_s} s"
    if beacon.is_made:
        return f"{waiting}: made, not in a block yet"
    missing = f", none from {', '.join(beacon.missing)}" if beacon.missing else ""
    return f"{waiting}: {beacon.shares} of {answer.quorum} shares{missing}"


def encode_beacon_status(beacon: operator_pb2.BeaconStatus) -> dict[str, object]:
    """Give the same for machines."""
    return {
        "newest": _find_newest(beacon),
        "open": beacon.open,
        "opened_at": beacon.opened_at_s if beacon.open else None,
        "shares": beacon.shares,
        "missing": list(beacon.missing),
        "is_made": beacon.is_made,
    }


def _find_newest(beacon: operator_pb2.BeaconStatus) -> int | None:
    """The newest round that has its beacon; None before there is one, whichever round the ledger begins with."""
    return beacon.drawn - 1 if beacon.drawn > beacon.first else None
