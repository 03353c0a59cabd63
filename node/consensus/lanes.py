"""The ways by which what a member says comes to this node: its streams, and its answers to questions.

The core tells them apart, since what comes one way may be another's word than what comes another (`credit`).
"""

from typing import Final, NewType

Lane = NewType("Lane", int)
"""The number of one of a member's streams, from 1, or one of the two below."""

ANSWERS: Final = Lane(0)
"""Over the connection that this node made itself, in answer to a question of its own."""

SIGNED: Final = Lane(-1)
"""No way: the member's own signature shows that the word is its own, whichever way it came."""
