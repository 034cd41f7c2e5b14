"""A whole gateway, with its streams and its media network in memory, under virtual time.

One journal records every output of the gateway, so that tests can compare the order.
"""

import json
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import trio
from attrs import define, field, frozen
from trio.testing import memory_stream_pair

import sfu
from gateway.config import Config
from gateway.gateway import Gateway
from gateway.server import Server, open_server
from protocol import decode_from_gateway
from protocol.limits import SUBPROTOCOL
from sfu.dataplane.interface import DropReason, Path
from sfu.dataplane.memory import MemoryDataPlane
from tests.media.memory_network import Client as MediaClient
from tests.session.example_media import CAPABILITIES
from tests.session.memory_gateway import Frame, RawClient, capture_logs, connect_client, join_all
from tools.light.transport import Identity, LightTransport

Direction = Literal["send", "receive"]
Role = Literal["client", "server"]
TODAY = datetime(2026, 11, 1, 9, 30, 0, 250_000, tzinfo=UTC)
MEDIA_ADDRESS = ("192.0.2.1", 40000)


@frozen
class Note:
    """An output of the gateway at the time ``at``: bytes on a WebSocket's stream, or a datagram to an address."""

    at: float
    to: str | Path
    data: bytes


@define
class Tap(trio.abc.Stream):
    """The gateway's end of a stream, which records the written frames.

    With an event ``may_write``, writing waits until the event is set. With ``dead``, neither the client's bytes nor the
    end of its stream arrive.
    """

    stream: trio.abc.Stream
    client: trio.abc.Stream
    name: str
    journal: list[Note]
    may_write: trio.Event | None = None
    dead: bool = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.may_write is not None:
            await self.may_write.wait()
        self.journal += [Note(trio.current_time(), self.name, frame) for frame in frames(bytes(data))]
        await self.stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self.stream.receive_some(max_bytes)
        if self.dead:
            await trio.sleep_forever()
        return data

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.stream.aclose()


@define
class Gate:
    """A whole gateway, and the means to connect clients to it. ``journal`` records its output in order."""

    server: Server
    nursery: trio.Nursery
    plane: MemoryDataPlane
    rng: random.Random
    media: dict[Path, MediaClient]
    journal: list[Note]
    log: Sequence[Any]
    _taps: list[Tap] = field(factory=list)

    @property
    def router(self) -> sfu.Router:
        return self.server.gateway.routers[0]

    def stream(self, name: str = "") -> trio.abc.Stream:
        """Return the client's end of a new connection."""
        ours, theirs = memory_stream_pair()
        self._taps.append(Tap(theirs, ours, name or f"stream {len(self._taps)}", self.journal))
        self.nursery.start_soon(self._serve, self._taps[-1])
        return ours

    def taps(self, name: str) -> list[Tap]:
        """Return the gateway's ends of the streams of this name."""
        return [tap for tap in self._taps if tap.name == name]

    async def _serve(self, stream: trio.abc.Stream) -> None:
        await self.server.serve_stream(stream)

    async def connect(
        self, name: str = "", *, subprotocols: Sequence[str] = (SUBPROTOCOL,), read: bool = True
    ) -> RawClient:
        """Open a WebSocket. The journal has its frames under ``name``."""
        return await connect_client(self.nursery, self.stream(name), subprotocols=subprotocols, read=read)

    async def joined(self, *users: str, channel: str = "lobby") -> list[RawClient]:
        """Return clients that joined one after the other and have taken every frame."""
        return await join_all([await self.connect(user) for user in users], users, channel)

    def media_client(
        self, created: Any, identity: Identity, *, dtls_role: Role = "client", host: str = "198.51.100.1"
    ) -> MediaClient:
        """Make the client's side of a transport from the answer to ``create_transport``. It starts when it is run."""
        ice, dtls = created["iceParameters"], created["dtlsParameters"]
        transport = LightTransport(
            identity,
            sfu.parameters.IceParameters(ice["usernameFragment"], ice["password"]),
            sfu.parameters.DtlsParameters(tuple(sfu.parameters.DtlsFingerprint(**one) for one in dtls["fingerprints"])),
            dtls_role=dtls_role,
            rng=self.rng,
        )
        path = Path(host, 1024 + len(self.media))
        client = self.media[path] = MediaClient(transport, path, self.plane.deliver, self.rng)
        return client

    async def connected(self, client: RawClient, direction: Direction, identity: Identity) -> tuple[str, MediaClient]:
        """Connect a transport of this client and return it with its media. Events in the meantime are dropped."""
        asked = {"rtpCapabilities": CAPABILITIES} if direction == "receive" else {}
        created = await client.ok("create_transport", direction=direction, **asked)
        media = self.media_client(created, identity)
        await client.ok("connect_transport", transportId=created["transportId"], dtlsParameters=dtls_parameters(media))
        self.nursery.start_soon(media.run)
        assert await find(client, "transport_state") == {"transportId": created["transportId"], "state": "connected"}
        return created["transportId"], media

    def switch_off(self, client: RawClient) -> None:
        """Turn the client's machine off. Its connection stays open, but nothing comes from it any more."""
        for tap in self._taps:
            tap.dead |= tap.client is client.stream

    def written(self, name: str) -> bytes:
        """Return all bytes that were written on one WebSocket's stream."""
        return b"".join(note.data for note in self.journal if note.to == name)


def dtls_parameters(media: MediaClient, **changed: Any) -> dict[str, Any]:
    """Return a media client's parameters for ``connect_transport``."""
    ours = media.transport.dtls_parameters
    fingerprints = [{"algorithm": one.algorithm, "value": one.value} for one in ours.fingerprints]
    return {"role": ours.role, "fingerprints": fingerprints, **changed}


async def find(client: RawClient, kind: str) -> Any:
    """Return the data of the next event of this type, and drop the frames before it."""
    while (frame := await client.next())["type"] != kind:
        pass
    return frame["data"]


async def closing(client: RawClient) -> tuple[int | None, Frame]:
    """Wait for the end. Return the close code and the ``closing`` event, which must be the last message."""
    code = await client.wait_closed()
    last = client.frames[-1]
    assert last["type"] == "closing", client.frames
    assert "id" not in last
    assert last["data"]["code"] == code
    assert last["data"]["reason"]
    assert set(last["data"]) <= {"reason", "code", "retryAfterMs"}
    assert isinstance(last["data"].get("retryAfterMs", 0), int)
    return code, last["data"]


@asynccontextmanager
async def open_gate(*, seed: int = 1, rng: random.Random | None = None, **settings: Any) -> AsyncIterator[Gate]:
    """Run a gateway with this configuration while the block runs, without writing its log."""
    rng = rng or random.Random(seed)
    journal: list[Note] = []
    media: dict[Path, MediaClient] = {}

    def transmit(path: Path, datagram: bytes) -> DropReason | None:
        journal.append(Note(trio.current_time(), path, datagram))
        if path in media:
            media[path].receive(datagram)
        return None

    plane = MemoryDataPlane(transmit, rng)

    def open_router(media_settings: sfu.MediaSettings) -> AbstractAsyncContextManager[sfu.Router]:
        return sfu.serve_router(media_settings, plane, [MEDIA_ADDRESS], rng=rng, today=TODAY)

    make_gateway: Any = partial(Gateway, utc_now=lambda: TODAY)
    with capture_logs() as log:
        async with (
            trio.open_nursery() as nursery,
            open_server(
                Config(planes=1, **settings), listeners=(), open_router=open_router, make_gateway=make_gateway
            ) as server,
        ):
            log.router = server.gateway.routers[0]
            yield Gate(server, nursery, plane, rng, media, journal, log)
            nursery.cancel_scope.cancel()
    check_frames(journal)


def check_frames(journal: Sequence[Note]) -> None:
    """Check that docs/protocol.md has every sent message, and a null only where it says *or null*."""
    for data in {note.data for note in journal if isinstance(note.to, str) and note.data[0] == 0x81}:  # text frames
        text = data[header_size(data) :].decode()
        frame = json.loads(text)
        if "id" in frame:
            assert set(frame) == {"id", "type", "data"}
            assert frame["type"] in ("ok", "error")
            assert (frame["id"] is None) == (frame["data"].get("code") == "malformed")
        else:
            decode_from_gateway(text, {})
            assert set(frame) - {"seq"} == {"type", "data"}
        assert nulls(frame["data"]) == []


def frames(data: bytes) -> Iterator[bytes]:
    """Split one send into its WebSocket frames. An HTTP response before them is one piece."""
    if data.startswith(b"HTTP"):
        yield data
        return
    while data:
        head = header_size(data)
        size = data[1] if head == 2 else int.from_bytes(data[2:head], "big")
        yield data[: head + size]
        data = data[head + size :]


def header_size(frame: bytes) -> int:
    """Return the number of bytes before the payload of a server's frame (RFC 6455 section 5.2)."""
    return {126: 4, 127: 10}.get(frame[1], 2)


def nulls(value: Any, path: str = "") -> list[str]:
    """Return the places of unexpected nulls."""
    if isinstance(value, dict):
        own = [(key, inner) for key, inner in value.items() if key not in ("metadata", "data", "layers")]
        return [one for key, inner in own for one in nulls(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [one for inner in value for one in nulls(inner, f"{path}[]")]
    return [path] if value is None else []


async def hang_up(client: RawClient) -> None:
    """Let the client's process die: its stream ends without a close frame."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await trio.aclose_forcefully(client.stream)
