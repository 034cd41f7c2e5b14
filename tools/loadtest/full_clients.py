"""Full clients beside the light ones: pymediasoup on aiortc, each in a process of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import Any, Final

import trio
from attrs import define, field

from tools.loadtest.child import ChildProcess
from tools.loadtest.plan import TOKEN_VARIABLE, Plan
from tools.loadtest.processes import open_python

#: Longest wait until a full client has joined, in seconds.
JOIN_SECONDS: Final = 30.0
_LONGEST_LINE: Final = 1024 * 1024


class NoFullClientsError(Exception):
    """Full clients cannot run here.  The text says why."""


@define(eq=False)
class FullClientProcess:
    """The conductor's end of a full client.  ``expected`` is the number of streams that the client should decode."""

    user_id: str
    channel_id: str
    child: ChildProcess
    expected: int
    joined: trio.Event = field(factory=trio.Event)
    failure: str | None = None
    _best: dict[tuple[str, str], dict[str, Any]] = field(factory=dict)

    async def follow(self) -> None:
        """Read the client's reports until its process ends."""
        stdout = self.child.process.stdout
        assert stdout is not None
        rest = b""
        async for data in stdout:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(line)
            if len(rest) > _LONGEST_LINE:
                break
        self.failure = self.child.last_lines() or "it ended"
        self.joined.set()

    def _take(self, line: bytes) -> None:
        try:
            streams = json.loads(line)
        except ValueError:
            return  # a library printed something
        self.joined.set()
        for stream in streams:
            # A report leaves ended streams out, and counts a stream anew after its sender came back.
            key = (stream["user"], stream["source"])
            if stream["frames"] >= self._best.get(key, stream)["frames"]:
                self._best[key] = stream

    @property
    def streams(self) -> list[dict[str, Any]]:
        """The newest report of each stream, with ``user``, ``source`` and the decoded ``frames``."""
        return list(self._best.values())

    def frames(self, source: str) -> int:
        """Frames decoded from all sources of this name, such as ``camera``."""
        return sum(int(stream["frames"]) for stream in self.streams if stream["source"] == source)

    @property
    def decoded(self) -> int:
        """Streams with at least one decoded frame."""
        return sum(1 for stream in self.streams if stream["frames"])

    @property
    def undecoded(self) -> int:
        return max(0, self.expected - self.decoded)


def _expected(plan: Plan, channel_id: str) -> int:
    """Return the number of streams that a full client receives.  Each full client sends a tone and a picture."""
    light = sum(slot.publishes and slot.channel_id == channel_id for slot in plan.slots())
    others = sum(plan.channel_id(number % plan.channels) == channel_id for number in range(plan.full)) - 1
    return light * len(plan.kinds) + 2 * others


@asynccontextmanager
async def open_full_clients(plan: Plan) -> AsyncIterator[list[FullClientProcess]]:
    """Run the plan's full clients for as long as the block runs.  Raises :exc:`NoFullClientsError`."""
    if plan.full and find_spec("pymediasoup") is None:
        raise NoFullClientsError("full clients need pymediasoup. Install it: pip install 'trio-sfu[loadtest]'")
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        clients = []
        for number in range(plan.full):
            user_id, channel_id = f"full-{number}", plan.channel_id(number % plan.channels)
            arguments = ["-m", "tools.full", plan.url, channel_id, user_id, "--user-id", user_id]
            secret = {} if plan.token is None else {TOKEN_VARIABLE: plan.token}
            if plan.ca is not None:
                arguments += ["--ca", plan.ca]
            child = await stack.enter_async_context(open_python(user_id, arguments, secret))
            clients.append(FullClientProcess(user_id, channel_id, child, _expected(plan, channel_id)))
            nursery.start_soon(clients[-1].follow)
        yield clients
        nursery.cancel_scope.cancel()
