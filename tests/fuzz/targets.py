"""All fuzz targets by name, and the parsers that need none."""

from typing import Final

from tests.fuzz import inspection_targets, inspector_targets, ledger_targets, observer_targets, room_targets
from tests.fuzz.target import Target

_PARTS: Final = (
    ledger_targets.TARGETS,
    inspection_targets.TARGETS,
    inspector_targets.TARGETS,
    room_targets.TARGETS,
    observer_targets.TARGETS,
)
TARGETS: Final[dict[str, Target]] = {name: target for part in _PARTS for name, target in part.items()}
assert len(TARGETS) == sum(map(len, _PARTS))

WITHOUT_TARGET: Final = {
    "ledger.threshold.group.Backend.decode_g1": "says what backends do",
    "ledger.threshold.group.Backend.decode_g2": "says what backends do",
    "ledger.threshold.pyecc.PyEccBackend.decode_g1": "compared with the other backend by its tests; nothing runs it",
    "ledger.threshold.pyecc.PyEccBackend.decode_g2": "compared with the other backend by its tests; nothing runs it",
    "ledger.rules.entries.PreparedEntry.parse_as": "remembers what a parser of a kind read",
}
