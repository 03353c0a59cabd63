"""Did a byte on disk or on the wire change? Every format against the digest that was accepted for it."""

import pytest

from tests.formats import formats
from tests.formats.draws import Draw


@pytest.mark.parametrize("name", formats.FORMATS)
def test_the_bytes_of_a_format_are_those_that_were_accepted(name: str) -> None:
    reason = f"{name}: its bytes changed. If that is meant, raise its version and run {formats.COMMAND}"
    assert formats.compute(name) == formats.read().get(name), reason


def test_every_accepted_digest_is_of_a_format_that_is_made() -> None:
    assert list(formats.read()) == list(formats.FORMATS)


def test_no_two_formats_are_digested_over_the_same_values() -> None:
    digests = [accepted["sha256"] for accepted in formats.read().values()]
    assert len(dict.fromkeys(map(str, digests))) == len(formats.FORMATS)


def test_draws_of_one_seed_are_the_same_for_ever() -> None:
    """Known answer: `Random.random()` is the sequence that Python keeps; all else is made of it."""
    draw = Draw("formats")
    assert draw.raw(8).hex() == "743185b3f3621c5a"


def test_a_changed_byte_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "checkpoint"
    made = formats.FORMATS[name].make
    spaced = formats.Format(lambda draw: made(draw).replace(b"\n", b" \n", 1))
    monkeypatch.setattr(formats, "FORMATS", {**formats.FORMATS, name: spaced})
    assert formats.compute(name) != formats.read()[name]
