"""Those who submit: each nation hands its statements in, one after another, and asks until it has its receipts."""

from collections.abc import Callable
from typing import Final

from ledger.merkle import leaf_hash
from tests.simulation.checkers.every import Checkers
from tests.simulation.member import Scene

ASK_AGAIN_MS: Final = 700
HandTo = Callable[[int, bytes, "Desk"], None]


class Desk:
    """One nation's statements, in their order; at most a few are on their way at a time."""

    def __init__(self, scene: Scene, name: str, statements: tuple[bytes, ...], hand_to: HandTo) -> None:
        self._scene, self._hand_to = scene, hand_to
        self._checkers: Checkers = scene.checkers
        self._chance = scene.world.make_chance(f"desk {name}")
        self._statements = statements
        self._leaves = [leaf_hash(statement) for statement in statements]
        self._sealed = 0
        self._wanted = 0

    def want_next(self, at: int) -> bytes:
        """Have one more statement handed in, first at this member; gives its leaf hash."""
        is_idle = self._sealed == self._wanted
        self._wanted += 1
        assert self._wanted <= len(self._statements), "make more statements"
        if is_idle:
            self._hand_in(at)
        return self._leaves[self._wanted - 1]

    def _hand_in(self, at: int) -> None:
        """Give a member all that is wanted, and ask another one if no receipt comes."""
        number = self._sealed
        if number == self._wanted:
            return
        for statement in self._statements[number : self._wanted]:
            self._hand_to(at, statement, self)
        others = list(self._scene.members)
        self._scene.world.after(
            ASK_AGAIN_MS, lambda: self._hand_in(self._chance.choice(others)) if self._sealed == number else None
        )

    def on_receipt(self, member: int, leaf: bytes, index: int) -> None:
        """Take a receipt: this statement is done with."""
        self._checkers.on_acknowledged(member, leaf, index)
        if self._sealed < len(self._leaves) and self._leaves[self._sealed] == leaf:
            self._sealed += 1
            if self._sealed < self._wanted:
                self._scene.world.after(1, lambda: self._hand_in(member))

    def wrong_statement(self) -> bytes:
        """Give one that no member may take now: of too high a number, or with a byte changed."""
        if self._chance.randrange(2):
            return self._statements[-1]
        garbled = bytearray(self._statements[min(self._sealed, len(self._statements) - 1)])
        garbled[self._chance.randrange(len(garbled))] ^= 1
        return bytes(garbled)
