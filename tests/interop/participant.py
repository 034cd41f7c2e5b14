"""A pymediasoup participant in a separate process: ``python -m tools.full``."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define

from tests.gateway_process import GatewayProcess, poll_until

Stream = dict[str, Any]
_STOP_TIMEOUT = 10


@define
class Participant:
    """The participant's process, and its reports of the streams that it receives."""

    user_id: str
    process: "subprocess.Popen[bytes]"
    reports: Path
    errors: Path

    def receives(
        self, user_id: str, source: str, is_right: Callable[[Stream], bool], within: float = 15
    ) -> Stream | None:
        """Wait until its reports of a user's stream are right."""
        return poll_until(lambda: self._latest(user_id, source), lambda now: now is not None and is_right(now), within)

    def no_longer_receives(self, user_id: str, within: float = 5) -> None:
        """Wait until it receives nothing from a user."""
        poll_until(lambda: {stream["user"] for stream in self._streams()}, lambda users: user_id not in users, within)

    def freezes(self) -> None:
        """Stop the process.  Its sockets stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def is_killed(self) -> None:
        self.process.kill()
        self.process.wait(_STOP_TIMEOUT)

    def _latest(self, user_id: str, source: str) -> Stream | None:
        for stream in self._streams():
            if (stream["user"], stream["source"]) == (user_id, source):
                return stream
        return None

    def _streams(self) -> list[Stream]:
        assert self.process.poll() is None, self.errors.read_text()
        whole = self.reports.read_text().rpartition("\n")[0]  # the last line may be incomplete
        streams: list[Stream] = json.loads(whole.rpartition("\n")[2] or "[]")
        return streams


@contextmanager
def run_participant(gateway: GatewayProcess, channel: str, name: str, folder: Path) -> Iterator[Participant]:
    """Start a participant whose user id is its name in small letters.  SIGTERM has to end it with status 0."""
    user_id = name.lower()
    command = [sys.executable, "-m", "tools.full", gateway.websocket_url, channel, name, "--user-id", user_id]
    reports, errors = folder / f"{user_id}.reports", folder / f"{user_id}.errors"
    with (
        reports.open("wb") as out,
        errors.open("wb") as err,
        subprocess.Popen(command, stdout=out, stderr=err) as process,
    ):
        try:
            yield Participant(user_id, process, reports, errors)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(_STOP_TIMEOUT) == 0, errors.read_text()
            assert errors.read_text() == ""
        finally:
            if process.poll() is None:
                process.kill()
