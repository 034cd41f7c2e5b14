"""A gateway without sockets under virtual time, and clients that record every frame in order."""

import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
import trio
import trio_websocket
from attrs import define, field
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

import sfu
from gateway.config import Config
from gateway.gateway import Gateway
from gateway.ops.metrics import Metrics
from gateway.session.lifecycle import serve_client
from protocol.codec import split_sequence
from protocol.limits import SUBPROTOCOL
from sfu.dataplane.memory import MemoryDataPlane
from tests.session.example_media import CAPABILITIES, opus, vp8
from tools.harness.client import secret_of

Frame = dict[str, Any]
TODAY = datetime(2026, 11, 1, 9, 30, 0, 250_000, tzinfo=UTC)


class ClosedEarly(AssertionError):
    """The connection ended, but the test expected a frame."""


@define
class RawClient:
    """The client's end of one connection.

    ``closed`` is the close code, once there is one. ``last_event`` is the ``seq`` of the newest event. It must rise by
    one, and the frames that tests get leave it out.
    """

    websocket: trio_websocket.WebSocketConnection
    stream: trio.abc.Stream
    _texts: list[str | bytes] = field(factory=list)
    closed: int | None = None
    last_event: int = 0
    over: trio.Event = field(factory=trio.Event)
    _came: trio.Event = field(factory=trio.Event)
    _ids: "itertools.count[int]" = field(factory=lambda: itertools.count(1))

    async def read(self) -> None:
        """Read frames until the connection is closed."""
        try:
            while True:
                self._texts.append(self._check_sequence(await self.websocket.get_message()))
                self._came.set()
        except trio_websocket.ConnectionClosed as closed:
            self.closed = closed.reason.code if closed.reason else None
            self.over.set()
            self._came.set()

    def _check_sequence(self, text: str | bytes) -> str | bytes:
        assert isinstance(text, str)
        sequence, rest = split_sequence(text)
        if sequence is None:
            if '"sessionId"' in text and '"mediaKept"' not in text:  # the answer to `join`
                self.last_event = 0
            return text
        # A client that reads too slowly gets `closing` in the place of the waiting events.
        assert sequence == self.last_event + 1 or (sequence > self.last_event and '"type":"closing"' in rest)
        self.last_event = sequence
        return "{" + rest

    async def next(self) -> Frame:
        """Return the oldest frame. Fails if none comes."""
        with trio.fail_after(60):
            while not self._texts:
                if self.over.is_set():
                    raise ClosedEarly(f"closed with {self.closed}")
                self._came = trio.Event()
                await self._came.wait()
        return dict(json.loads(self._texts.pop(0)))

    async def raw(self, text: str | bytes) -> None:
        """Send one frame unchanged."""
        await self.websocket.send_message(text)

    async def request(self, kind: str, /, **data: Any) -> int:
        """Send a request without waiting for its answer."""
        number = next(self._ids)
        await self.raw(json.dumps({"id": number, "type": kind, "data": data}))
        return number

    async def ask(self, kind: str, /, **data: Any) -> Frame:
        """Send a request and return its response. Earlier frames stay unread."""
        number = await self.request(kind, **data)
        seen: list[str | bytes] = []
        while (frame := await self.next()).get("id", -1) != number:
            seen.append(json.dumps(frame))
        self._texts[:0] = seen
        return frame

    async def ok(self, kind: str, /, **data: Any) -> Any:
        """Send a request that must succeed, and return its data."""
        frame = await self.ask(kind, **data)
        assert frame["type"] == "ok", frame
        return frame["data"]

    async def error(self, kind: str, /, **data: Any) -> str:
        """Send a request that must fail, and return the code."""
        frame = await self.ask(kind, **data)
        assert frame["type"] == "error", frame
        return str(frame["data"]["code"])

    async def join(self, user: str, channel: str = "lobby", **data: Any) -> Any:
        """Join with the name as user id, and with the user's secret."""
        own = {"username": user, "userId": user, "sessionSecret": secret_of(user)}
        return await self.ok("join", **{"channelId": channel, **own, **data})

    async def event(self, kind: str, /) -> Any:
        """Return the data of the next frame, which must be an event of this type."""
        frame = await self.next()
        assert frame["type"] == kind, frame
        return frame["data"]

    async def voice_state(self, kind: str, /) -> Any:
        """Return the data of the next frame, which must be a change of the list of this type."""
        data = await self.event("voice_state")
        assert data["type"] == kind, data
        return data

    async def take_all(self) -> list[Frame]:
        """Return all frames that have come by the time every task waits."""
        await wait_all_tasks_blocked()
        taken = self.frames
        self.forget()
        return taken

    @property
    def frames(self) -> list[Frame]:
        """Return all frames that came and were not taken yet."""
        return [json.loads(text) for text in self._texts]

    def forget(self) -> None:
        """Drop all frames that came."""
        self._texts.clear()

    async def close(self, code: int = 1000) -> None:
        """Close the WebSocket in an orderly way."""
        with trio.move_on_after(5):
            await self.websocket.aclose(code)

    async def wait_closed(self) -> int | None:
        """Wait for the end of the connection, and return its close code."""
        with trio.fail_after(60):
            await self.over.wait()
        return self.closed


async def connect_client(
    nursery: trio.Nursery,
    stream: trio.abc.Stream,
    *,
    subprotocols: Sequence[str] = (SUBPROTOCOL,),
    read: bool = True,
) -> RawClient:
    """Open a WebSocket over this stream.  Without ``read``, a test starts :meth:`RawClient.read`."""
    wrap: Any = trio_websocket.wrap_client_stream  # the annotations of trio-websocket know sockets only
    client = RawClient(await wrap(nursery, stream, "localhost", "/ws", subprotocols=subprotocols), stream)
    if read:
        nursery.start_soon(client.read)
    return client


async def join_all(clients: list[RawClient], users: Sequence[str], channel: str) -> list[RawClient]:
    """Let the clients join one after the other.  Return them without their frames so far."""
    for client, user in zip(clients, users, strict=True):
        await client.join(user, channel)
    await wait_all_tasks_blocked()
    for client in clients:
        client.forget()
    return clients


@define
class Rig:
    """A gateway and the way to it. ``log`` holds the log lines as dictionaries. ``remote`` is the address of the next
    clients."""

    gateway: Gateway
    router: sfu.Router
    metrics: Metrics
    nursery: trio.Nursery
    log: list[Any]
    serving: int = 0
    remote: str = "198.51.100.1"
    scopes: list[trio.CancelScope] = field(factory=list)

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.serving += 1
        try:
            with trio.CancelScope() as scope:
                self.scopes.append(scope)
                await serve_client(stream, gateway=self.gateway, remote=self.remote)
        finally:
            self.serving -= 1

    async def connect(
        self,
        *,
        read: bool = True,
        streams: Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]] = memory_stream_pair,
        name: str | None = None,
    ) -> RawClient:
        """Connect a client. Without ``read``, it reads nothing until a test starts :meth:`RawClient.read`.

        ``name`` is the name of the task that serves it.
        """
        ours, theirs = streams()
        self.nursery.start_soon(self.serve, theirs, name=name)
        return await connect_client(self.nursery, ours, read=read)

    async def joined(self, *users: str, channel: str = "lobby") -> list[RawClient]:
        """Return clients that joined one after the other and have taken every frame."""
        return await join_all([await self.connect() for _ in users], users, channel)

    def lines(self, user: str) -> list[Any]:
        """Return the log lines about a user, in order, each with the counts of the media side at that moment."""
        return [line for line in self.log if line.get("user") == user]

    def assert_empty(self) -> None:
        """Check that nothing is left of any session."""
        counts, media = self.gateway.channels.counts(), self.router.counts()
        assert (counts.connections, counts.channels, counts.members) == (0, 0, 0)
        assert (media.peers, media.transports, media.producers, media.consumers) == (0, 0, 0, 0)
        assert self.serving == 0


class Log(list[Any]):
    """A structlog processor that keeps the lines, each with the counts of the media side at that moment."""

    router: sfu.Router | None = None

    def __call__(self, _: Any, level: str, line: Any) -> Any:
        self.append({**line, "level": level, "media": self.router and self.router.counts()})
        raise structlog.DropEvent


@contextmanager
def capture_logs() -> Iterator[Log]:
    """Collect the log lines of the block instead of writing them."""
    log = Log()
    processors = structlog.get_config()["processors"]
    before = list(processors)
    processors[:] = [log]
    try:
        yield log
    finally:
        processors[:] = before


@asynccontextmanager
async def open_rig(*, seed: int = 1, routers: int = 1, **settings: Any) -> AsyncIterator[Rig]:
    """Run a gateway with this configuration while the block runs. Remaining clients are cancelled.

    ``routers`` is the number of its planes. The rig counts the media of the first one.
    """
    config = Config(**settings)
    rng = random.Random(seed)
    numbers = itertools.count(1)
    metrics = Metrics()
    with capture_logs() as log:
        async with (
            trio.open_nursery() as nursery,
            AsyncExitStack() as stack,
        ):
            served = []
            for number in range(routers):
                plane = MemoryDataPlane(lambda path, datagram: None, rng)
                address = ("192.0.2.1", 40000 + number)
                serve = sfu.serve_router(config.media, plane, [address], rng=rng, today=TODAY)
                served.append(await stack.enter_async_context(serve))
            router = log.router = served[0]
            gateway = Gateway(config, served, metrics, new_id=lambda: f"made-up-{next(numbers)}", utc_now=lambda: TODAY)
            metrics.watch(gateway.channels, router)
            nursery.start_soon(gateway.feed.run)
            yield Rig(gateway, router, metrics, nursery, log)
            nursery.cancel_scope.cancel()


@pytest.fixture
def slow_goodbyes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no transport finish its goodbye, so that the exit of a peer takes its whole second."""

    async def hang(_: sfu.Transport) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(sfu.Transport, "say_goodbye", hang)


async def send_transport(client: RawClient) -> str:
    """Create a sending transport and return its id."""
    created = await client.ok("create_transport", direction="send")
    return str(created["transportId"])


async def receive_transport(client: RawClient) -> str:
    """Create a receiving transport with the client's capabilities, and return its id."""
    created = await client.ok("create_transport", direction="receive", rtpCapabilities=CAPABILITIES)
    return str(created["transportId"])


async def microphone(client: RawClient, transport: str, ssrc: int = 1001, **options: Any) -> str:
    """Create an audio producer and return its id."""
    asked = {"kind": "audio", "rtpParameters": opus(ssrc), "source": "microphone", **options}
    return str((await client.ok("produce", transportId=transport, **asked))["producerId"])


async def camera(client: RawClient, transport: str, ssrc: int = 2001, **options: Any) -> str:
    """Create a video producer and return its id."""
    asked = {"kind": "video", "rtpParameters": vp8(ssrc), "source": "camera", **options}
    return str((await client.ok("produce", transportId=transport, **asked))["producerId"])
