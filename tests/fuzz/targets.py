"""All fuzz targets by name, and the parsers that need none."""

from typing import Final

from tests.fuzz import ledger_targets, room_targets
from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {**ledger_targets.TARGETS, **room_targets.TARGETS}
assert len(TARGETS) == len(ledger_targets.TARGETS) + len(room_targets.TARGETS)

WITHOUT_TARGET: Final = {
    "ledger.threshold.group.Backend.decode_g1": "says what backends do",
    "ledger.threshold.group.Backend.decode_g2": "says what backends do",
    "ledger.threshold.pyecc.PyEccBackend.decode_g1": "compared with the other backend by its tests; nothing runs it",
    "ledger.threshold.pyecc.PyEccBackend.decode_g2": "compared with the other backend by its tests; nothing runs it",
    "ledger.rules.entries.PreparedEntry.parse_as": "remembers what a parser of a kind read",
}
