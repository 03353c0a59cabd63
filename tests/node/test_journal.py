"""The node's log: one line a happening, in one form, and never a secret in it."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from node.journal import HIDDEN, open_journal


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging as it was: other tests share this process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def opened(level: str = "info", form: Literal["json", "console"] = "json") -> io.StringIO:
    stream = io.StringIO()
    open_journal(level=level, form=form, stream=stream)
    return stream


def test_a_line_is_json_with_level_name_time_and_values() -> None:
    stream = opened()
    structlog.get_logger("consensus").warning("block refused", height=7, member="bb")
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "block refused", "level": "warning", "logger": "consensus", "height": 7, "member": "bb"}


def test_lines_below_the_level_are_not_written() -> None:
    stream = opened(level="warning")
    structlog.get_logger("consensus").info("entered view")
    logging.getLogger("uvicorn.access").info("GET /checkpoint")
    assert stream.getvalue() == ""


def test_lines_of_libraries_have_the_same_form() -> None:
    stream = opened()
    logging.getLogger("uvicorn.error").error("port %d taken", 7303)
    line = json.loads(stream.getvalue())
    assert line["event"] == "port 7303 taken"
    assert line["logger"] == "uvicorn.error"
    assert line["level"] == "error"


@pytest.mark.parametrize(
    "name",
    ["passphrase", "key_passphrase", "secret_scalar", "private_key", "salt", "share", "seal_share", "TOKEN", "seed"],
)
@pytest.mark.parametrize("form", ["json", "console"])
def test_what_sounds_like_a_secret_is_hidden(name: str, form: Literal["json", "console"]) -> None:
    stream = opened(form=form)
    structlog.get_logger("keystore").info("opened", **{name: "hunter2", "nested": [{name: "hunter2"}]})
    assert "hunter2" not in stream.getvalue()
    assert HIDDEN in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_bytes_are_shown_by_their_number_alone(form: Literal["json", "console"]) -> None:
    stream = opened(form=form)
    structlog.get_logger("keystore").info("opened", keys=[b"hunter2"], raw=bytearray(b"hunter2"))
    assert "hunter2" not in stream.getvalue()
    assert "<7 bytes>" in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_carries_no_values_of_variables(form: Literal["json", "console"]) -> None:
    stream = opened(form=form)

    def fail(passphrase: str) -> None:
        del passphrase
        hidden = "hunter" + str(2)
        raise RuntimeError(len(hidden))

    try:
        fail("hunter3")
    except RuntimeError:
        structlog.get_logger("driver").exception("stopped")
    assert "in fail" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


async def test_what_is_bound_to_a_task_stands_in_its_lines() -> None:
    stream = opened()

    async def work(member: str) -> None:
        structlog.contextvars.bind_contextvars(member=member)
        structlog.get_logger("peers").info("connected")

    async with asyncio.TaskGroup() as group:
        group.create_task(work("aa"))
        group.create_task(work("bb"))
    assert sorted(json.loads(line)["member"] for line in stream.getvalue().splitlines()) == ["aa", "bb"]


def test_a_value_that_json_does_not_know_is_written_as_text() -> None:
    stream = opened()
    structlog.get_logger("driver").info("odd", value={1, 2}.__class__, text="ü\n")
    assert json.loads(stream.getvalue())["text"] == "ü\n"
    assert stream.getvalue().count("\n") == 1


def test_opening_again_replaces_instead_of_doubling() -> None:
    first, second = opened(), opened()
    structlog.get_logger("driver").info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1
