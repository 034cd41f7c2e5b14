"""Logs: one line for each event, on standard error, as JSON or for people."""

import io
import json
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.ops.log_writer import non_blocking_stderr

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[LogLevel, ...]] = ("debug", "info", "warning", "error")
"""From the least important to the most important."""

# Messages of libraries below this level do not help an operator.
_LIBRARIES_FROM: Final = logging.WARNING
ADDRESS_FIELD: Final = "remote"
"""The only field with the address of a client."""


_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_least: int = _LEVELS["info"]


def set_level(level: LogLevel) -> None:
    """Leave out lines below this level from now on, also those of loggers that exist."""
    global _least
    _least = _LEVELS[level]


def _drop_below_level(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
    if _LEVELS.get(level, _LEVELS["critical"]) < _least:
        raise structlog.DropEvent
    return event


def configure(
    log_format: LogFormat | None = None, stream: TextIO | None = None, *, with_addresses: bool = False
) -> None:
    """Set the destination and the format of the logs.

    ``log_format`` None means ``console`` on a terminal and ``json`` elsewhere. Without ``stream``, a thread writes to
    standard error (:mod:`gateway.ops.log_writer`). The gateway writes to a ``stream`` directly, so it must never block.
    Lines have the addresses of clients only with ``with_addresses``. Each line of a task and its children has the
    fields that the task binds with ``structlog.contextvars``.
    """
    target = stream or non_blocking_stderr()
    chosen = log_format or ("console" if target.isatty() else "json")
    out = cast(TextIO, _LossyStream(target))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *(() if with_addresses else (_leave_out_addresses,)),
    ]
    last: list[Processor] = _console_processors(out) if chosen == "console" else _json_processors()
    structlog.configure(
        processors=[_drop_below_level, *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _adopt_library_logs(out, shared, last)
    if stream is None:
        non_blocking_stderr(_loss_notice([*shared[1:], *last]))


def _loss_notice(processors: Sequence[Processor]) -> Callable[[int], bytes]:
    """Return the function that makes the line about lost lines. It has no fields of a task, since any task may write
    it."""
    log = structlog.wrap_logger(
        structlog.ReturnLogger(), processors, structlog.make_filtering_bound_logger(logging.INFO)
    )

    def notice(lost: int) -> bytes:
        return f"{log.warning('log lines lost', lost=lost)}\n".encode()

    return notice


class _LossyStream(io.TextIOBase):
    """Drops lines that cannot be written, on a full disk or a pipe without a reader, and raises nothing."""

    def __init__(self, target: TextIO) -> None:
        self._target = target

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._target.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._target.flush()

    def isatty(self) -> bool:
        return self._target.isatty()


def new_reference() -> str:
    """Make a short random text that stands in a line of the log and in the error that the client gets."""
    return secrets.token_hex(4)


def _console_processors(out: TextIO) -> list[Processor]:
    return [
        _escape_control_characters,
        structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]


def _json_processors() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _to_json(event: Any, **_: Any) -> str:
    return json.dumps(event, default=repr)


def _leave_out_addresses(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take the address of the client out. All lines have it in the same field."""
    event.pop(ADDRESS_FIELD, None)
    return event


def _escape_control_characters(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape text that clients chose, so that it cannot look like a line of its own or control the terminal."""
    return {
        key: value.encode("unicode_escape").decode() if isinstance(value, str) and not value.isprintable() else value
        for key, value in event.items()
    }


def _adopt_library_logs(out: TextIO, shared: list[Processor], last: list[Processor]) -> None:
    """Libraries use the standard library's logging. Give their lines our format."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LIBRARIES_FROM)
