"""Logs: one line for each thing that happened, on standard error, as JSON or for people."""

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

# What other libraries log below this is of no use to an operator.
_LIBRARIES_FROM: Final = logging.WARNING


def configure(log_format: LogFormat | None = None, stream: TextIO | None = None) -> None:
    """Where logs go and how they look.

    ``log_format`` None stands for ``console`` on a terminal and ``json`` elsewhere.  Without ``stream`` a thread writes
    to standard error (:mod:`gateway.ops.log_writer`); a ``stream`` is written to at once, so it must be one that never
    blocks.  Fields bound with ``structlog.contextvars`` in a task are on each line of that task and its children.
    """
    target = stream or non_blocking_stderr()
    chosen = log_format or ("console" if target.isatty() else "json")
    out = cast(TextIO, _LossyStream(target))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = _console_processors(out) if chosen == "console" else _json_processors()
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _adopt_library_logs(out, shared, last)
    if stream is None:
        non_blocking_stderr(_loss_notice([*shared[1:], *last]))


def _loss_notice(processors: Sequence[Processor]) -> Callable[[int], bytes]:
    """The line that says how many were lost, like all others; of no task, whichever it is that finds room again."""
    log = structlog.wrap_logger(
        structlog.ReturnLogger(), processors, structlog.make_filtering_bound_logger(logging.INFO)
    )

    def notice(lost: int) -> bytes:
        return f"{log.warning('log lines lost', lost=lost)}\n".encode()

    return notice


class _LossyStream(io.TextIOBase):
    """Lines that cannot be written (a full disk, a pipe that nobody reads any more) are lost, and nothing else is."""

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
    """A few characters by which a line of the log is found again; told to whoever is affected."""
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


def _escape_control_characters(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What clients chose must not look like a line of its own, nor speak to the terminal."""
    return {
        key: value.encode("unicode_escape").decode() if isinstance(value, str) and not value.isprintable() else value
        for key, value in event.items()
    }


def _adopt_library_logs(out: TextIO, shared: list[Processor], last: list[Processor]) -> None:
    """Libraries use the standard library's logging; their lines look like ours."""
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
