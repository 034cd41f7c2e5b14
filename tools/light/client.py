"""A light client of a whole gateway: signalling on a WebSocket, media on light transports."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import trio
from attrs import define

from protocol import Joined
from protocol.client import Client, ConnectError, Decode, Timeouts, connect_over
from protocol.client_websocket import open_stream
from protocol.codec import decode_from_gateway
from protocol.declarations import RequestData
from tools.light.light_media import Answer, LightMedia
from tools.light.loss import NetworkLoss
from tools.light.packet_meter import PacketMeter
from tools.light.poller import Poller
from tools.light.transport import Identity

_TIMEOUTS = Timeouts(resume=0)


@define
class _Connector:
    """Opens the streams of one client to the gateway.  ``newest`` is the present one."""

    url: str
    ssl_context: ssl.SSLContext | None
    newest: trio.abc.Stream
    killed: bool = False

    async def open(self) -> trio.abc.Stream:
        if self.killed:
            raise OSError("the client was killed")
        self.newest = (await open_stream(self.url, self.ssl_context))[0]
        return self.newest


@define(kw_only=True)
class LightClient(LightMedia):
    """A participant in a channel.  :func:`open_light_client` makes it.  ``signalling`` can send every request."""

    signalling: Client
    joined: Joined
    _connector: _Connector

    async def kill(self) -> None:
        """End the TCP connection as a killed process does, without a close frame.

        Then leave the client's block.  This ends the transports, also without a goodbye.
        """
        self._connector.killed = True
        await trio.aclose_forcefully(self._connector.newest)

    async def change_network(self, *, host: str | None = None) -> None:
        """Resume the session over another WebSocket, and continue the media from other UDP ports (:meth:`move`).

        The client must have been opened with ``timeouts.resume`` above 0.
        """
        self.signalling.reconnect()
        await self.move(host=host)


@asynccontextmanager
async def open_light_client(
    url: str,
    channel_id: str,
    username: str,
    identity: Identity,
    *,
    rng: random.Random | None = None,
    user_id: str | None = None,
    token: str | None = None,
    session_secret: str | None = None,
    poller: Poller | None = None,
    packet_meter: PacketMeter | None = None,
    on_rtcp: Callable[[bytes], object] | None = None,
    loss: NetworkLoss | None = None,
    feedback: bool = False,
    timeouts: Timeouts = _TIMEOUTS,
    decode: Decode = decode_from_gateway,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[LightClient]:
    """Connect to the gateway's WebSocket ``url`` and stay in a channel for as long as the block runs.

    Clients of one process may share ``decode``, which reads their frames, and ``poller``, which reads their sockets.
    Leaving the block closes the WebSocket with 1000.  With ``timeouts.resume`` a broken one is replaced.  A client with
    the same ``user_id`` and ``session_secret`` may take the seat of a lost one.  ``ssl_context`` says what to trust for
    ``wss:``, in place of what the system trusts.

    Raises what :func:`protocol.client.connect` and ``join`` raise.  Exceptions from the block come out unchanged.
    """
    connector, host, path = await _connect(url, timeouts, ssl_context)
    async with connect_over(
        connector.newest, host=host, path=path, timeouts=timeouts, decode=decode, open_stream=connector.open
    ) as signalling:

        async def requests(asked: Iterable[RequestData[Answer]]) -> list[Answer]:
            return [await signalling.request(data) for data in asked]

        joined = await signalling.join(
            channel_id, username, user_id=user_id, token=token, session_secret=session_secret
        )
        async with _open_tasks() as tasks:
            yield LightClient(
                signalling=signalling,
                joined=joined,
                identity=identity,
                rng=rng or random.SystemRandom(),
                tasks=tasks,
                connector=connector,
                router_capabilities=joined.router_rtp_capabilities,
                requests=requests,
                poller=poller,
                packet_meter=packet_meter,
                on_rtcp=on_rtcp,
                loss=loss,
                feedback=feedback,
            )


@asynccontextmanager
async def _open_tasks() -> AsyncIterator[trio.Nursery]:
    """Run tasks that raise nothing until the block ends.  Exceptions of the block come out unchanged."""
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:
                failure = error
                raise
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup:
        # The nursery wraps the block's exception in a group.
        if isinstance(failure, Exception):
            raise failure from None
        raise


async def _connect(url: str, timeouts: Timeouts, ssl_context: ssl.SSLContext | None) -> tuple[_Connector, str, str]:
    try:
        with trio.fail_after(timeouts.connect):
            stream, host, path = await open_stream(url, ssl_context)
            return _Connector(url, ssl_context, stream), host, path
    except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
        raise ConnectError(f"cannot connect to {url}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    reason = error.__cause__ or error  # trio keeps the errors of all addresses in the cause
    while isinstance(reason, BaseExceptionGroup):
        reason = reason.exceptions[0]
    return str(reason) or "it took too long"
