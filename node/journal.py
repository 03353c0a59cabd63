"""What a node tells its operator: structured lines on stderr, JSON for machines or coloured text for people.

Code says `structlog.get_logger("consensus").warning("block refused", height=7)`; this module decides how that looks.
Lines of the libraries we use (uvicorn, grpc, asyncio) come out in the same form.

Never a secret: a value whose name sounds like one is hidden, bytes are shown by their number alone (who means a digest
logs its hex), and tracebacks carry no values of variables.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN: Final = "[hidden]"
_SECRET: Final = re.compile(
    r"passphrase|password|secret|private|salt|seed|token|(?:^|_)(?:share|disclosure)s?$", re.IGNORECASE
)


def open_journal(*, level: str, form: Literal["json", "console"], stream: TextIO = sys.stderr) -> None:
    """Set up logging for the whole process; a second call replaces the first.

    Args:
        level: least severity written: debug, info, warning or error.
        form: JSON lines, or text for a person at a terminal.
        stream: where lines go.
    """
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if form == "json":
        last += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_encode_line)]
    else:
        plain = structlog.dev.plain_traceback  # the other formatters print the values of local variables
        last.append(structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain))
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def hide_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Replace what must not be written, at any depth."""
    del logger, method
    return {name: value if name == "exc_info" else _censor(name, value) for name, value in event.items()}


# Why Any: a log line takes any value; what is not plain becomes text when the line is encoded.
def _censor(name: str, value: Any) -> Any:
    match value:
        case _ if _SECRET.search(name):
            return HIDDEN
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes>"
        case Mapping():
            return {str(key): _censor(str(key), item) for key, item in value.items()}
        case list() | tuple():
            return [_censor("", item) for item in value]
        case _:
            return value


def _encode_line(event: EventDict, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode("utf-8")
