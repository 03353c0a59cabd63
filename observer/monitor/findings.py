"""Alarms of what this observer holds itself: proofs, decisions about them, and what outlets were not given."""

import json
from collections.abc import Mapping
from pathlib import Path

from ledger.errors import Code, ConditionError
from ledger.positions import Millis
from observer.evidence import DECIDED, list_evidence
from observer.monitor.alarms import Alarm, make_alarm
from observer.monitor.journal import OutletState
from observer.monitor.kinds import Kind


def tell_evidence(home: Path, *, ledger: str, now_ms: Millis) -> list[Alarm]:
    """Make the alarms of every proof in the folder of evidence, however often they were made before.

    Args:
        home: the copy's folder.
        ledger: fingerprint of the ledger's charter.
        now_ms: by this machine's clock.

    Raises:
        ConditionError: `STORE_DAMAGED`: what tells where a proof was seen is not as it was written.
    """
    alarms = []
    for folder in list_evidence(home, "contradiction"):
        said, source = _read(folder / "about.json", ("said", "source"))
        title = f"two histories were signed: evidence/{folder.name}"
        text = (
            f"{source} showed a sealed head that cannot be true beside another: {said}. Send proof.json to everybody."
        )
        alarms.append(_make(Kind.FORK_PROVEN, folder, title, text, ledger=ledger, now_ms=now_ms))
        if (folder / DECIDED).exists():
            (because,) = _read(folder / DECIDED, ("because",))
            title = f"decided to go on after {folder.name}"
            alarms.append(_make(Kind.FORK_DECIDED, folder, title, f"Because: {because}", ledger=ledger, now_ms=now_ms))
    for folder in list_evidence(home, "rollback"):
        said, source = _read(folder / "about.json", ("said", "source"))
        title = f"{said}: evidence/{folder.name}"
        text = f"{source} showed it. It says nothing against the ledger: ask that nation."
        alarms.append(_make(Kind.MEMBER_WENT_BACK, folder, title, text, ledger=ledger, now_ms=now_ms))
    return alarms


def _make(kind: Kind, folder: Path, title: str, text: str, *, ledger: str, now_ms: Millis) -> Alarm:
    return make_alarm(
        ledger, kind, folder.name, place=folder.name, title=title, text=text, proof=folder.name, seen_ms=now_ms
    )


def _read(path: Path, names: tuple[str, ...]) -> list[str]:
    try:
        values = json.loads(path.read_bytes())
        return [str(values[name]) for name in names]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        found, expected = f"{type(error).__name__}: {error}", f"an object with {', '.join(names)}"
        raise ConditionError(field=str(path), found=found, expected=expected, code=Code.STORE_DAMAGED) from error


def tell_left_off(outlets: Mapping[str, OutletState], *, ledger: str, now_ms: Millis) -> list[Alarm]:
    """Make the alarm of each outlet that works again and was not given everything.

    Args:
        outlets: by name.
        ledger: fingerprint of the ledger's charter.
        now_ms: by this machine's clock.
    """
    return [
        make_alarm(
            ledger,
            Kind.ALARMS_LEFT_OFF,
            name,
            place=str(outlet.left_off_count),
            title=f"{name} was never given {outlet.left_off_count} alarms in all",
            text="It refused them, or took nothing for too long. `counterseal observe alarms` lists what is kept.",
            seen_ms=now_ms,
        )
        for name, outlet in outlets.items()
        if outlet.left_off_count and outlet.failing_ms is None
    ]
