"""Changes to the gateway for the time of a run: its log is captured, and its ``ping`` can be made to fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from gateway.session.dispatch import HANDLERS
from gateway.session.session import Session
from protocol.declarations import OkData
from protocol.requests import Ping
from tools.harness.outsiders import RECEIVER
from tools.harness.steps import name_of_connection


@contextmanager
def captured_log() -> Iterator[list[dict[str, Any]]]:
    """Collect the log events of the block as dictionaries.  Nothing is written elsewhere.

    Lines about the harness's own receiver of webhooks are left out, since it fails on purpose.
    """
    lines: list[dict[str, Any]] = []

    def keep(_: Any, level: str, line: Any) -> Any:
        if "exc_info" in line:  # as text, since an exception would keep alive the objects in its frames
            line = {**line, "exc_info": repr(line["exc_info"])}
        if line.get("receiver") != RECEIVER:
            lines.append({**line, "level": level})
        raise structlog.DropEvent

    processors = structlog.get_config()["processors"]
    before = list(processors)
    processors[:] = [keep]
    try:
        yield lines
    finally:
        processors[:] = before


@contextmanager
def breakable_ping(ping_fails_for: set[str]) -> Iterator[None]:
    """During the block, the handler of ``ping`` raises for these clients."""
    original = HANDLERS[Ping]

    def ping(session: Session, data: Ping) -> OkData:
        if name_of_connection(session.member.connection) in ping_fails_for:
            raise RuntimeError("made to fail")
        return original(session, data)

    HANDLERS[Ping] = ping
    try:
        yield
    finally:
        HANDLERS[Ping] = original
