"""The format of log lines."""

import errno
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.ops.log import configure, new_reference


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


class Terminal(io.StringIO):
    """Claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def as_json(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_is_one_object_a_line_with_time_and_level() -> None:
    out = io.StringIO()
    configure("json", out)
    structlog.get_logger().info("listening", url="http://127.0.0.1:8080")
    structlog.get_logger().warning("draining", clients=2)
    first, second = as_json(out)
    assert (first["event"], first["level"], first["url"]) == ("listening", "info", "http://127.0.0.1:8080")
    assert first["timestamp"].endswith("Z")
    assert (second["level"], second["clients"]) == ("warning", 2)


def test_an_exception_stays_in_its_line() -> None:
    out = io.StringIO()
    configure("json", out)
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    (line,) = as_json(out)
    assert "RuntimeError: boom" in line["exception"]


def test_the_context_of_a_task_is_on_its_lines() -> None:
    out = io.StringIO()
    configure("json", out)
    with structlog.contextvars.bound_contextvars(session="s1", user="alice"):
        structlog.get_logger().info("joined")
    structlog.get_logger().info("later")
    joined, later = as_json(out)
    assert (joined["session"], joined["user"]) == ("s1", "alice")
    assert "session" not in later


@pytest.mark.parametrize("value", ["two\nlines", "\x1b[31mred", "bell\x07", "\u2028separator", "a\rb", "\x9b31mred"])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_text_chosen_by_clients_cannot_pose_as_a_line_of_the_log(log_format: Any, value: str) -> None:
    out = io.StringIO()
    configure(log_format, out)
    structlog.get_logger().info("joined", user=value)
    (line,) = out.getvalue().removesuffix("\n").split("\n")
    assert line.isascii()
    assert "\x1b" not in line
    assert "\r" not in line


def test_logs_are_for_people_on_a_terminal_and_for_machines_elsewhere() -> None:
    terminal, file = Terminal(), io.StringIO()
    configure(None, terminal)
    structlog.get_logger().info("listening", url="x")
    configure(None, file)
    structlog.get_logger().info("listening", url="x")
    assert "\x1b[" in terminal.getvalue()
    assert as_json(file)[0]["event"] == "listening"


def test_only_a_terminal_gets_colours() -> None:
    out = io.StringIO()
    configure("console", out)
    structlog.get_logger().info("listening", url="x")
    assert "\x1b[" not in out.getvalue()
    assert "listening" in out.getvalue()


def test_lines_of_libraries_look_like_ours() -> None:
    out = io.StringIO()
    configure("json", out)
    logging.getLogger("some.library").warning("watch %s", "out")
    logging.getLogger("some.library").info("chatter")
    (line,) = as_json(out)
    assert (line["event"], line["level"], line["logger"]) == ("watch out", "warning", "some.library")


def test_references_are_short_and_not_the_same_twice() -> None:
    references = {new_reference() for _ in range(100)}
    assert len(references) == 100
    assert {len(reference) for reference in references} == {8}


class Full(io.StringIO):
    """Behaves like a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_log_that_cannot_be_written_stops_nobody(log_format: Any) -> None:
    configure(log_format, Full())
    structlog.get_logger().info("written")
    logging.getLogger("some.library").warning("watch out")
