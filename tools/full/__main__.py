"""A participant that sends a tone and a picture: ``python -m tools.full ws://127.0.0.1:8080/ws lobby Robin``."""

import json
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import attrs
import trio
from cyclopts import App, Parameter

from protocol.client import ConnectError, ConnectionClosed, RequestError
from tools.full.client import DecodedStream, FullClient, open_full_client
from tools.full.tracks import MovingPattern, Tone

app = App(help_format="plaintext")
_REPORT_EVERY = 0.5


@app.default
def participate(
    url: str,
    channel: str,
    name: str,
    *,
    user_id: str | None = None,
    token: Annotated[str | None, Parameter(env_var="SFU_JOIN_TOKEN")] = None,
    ca: str | None = None,
    pitch: int = 440,
    cb: int = 90,
    cr: int = 200,
) -> int:
    """Join a channel, send a tone and a moving picture, and receive all streams.

    Prints a line of JSON twice a second, with `user`, `source` and measurements
    of each stream. Exits with 0 after SIGTERM or Ctrl-C, and with 1 if the
    gateway refuses or closes the connection.

    Parameters
    ----------
    url
        The gateway's WebSocket, such as ws://127.0.0.1:8080/ws.
    token
        Join token, if the gateway requires one.
    ca
        File with the certificates (PEM) of the authorities to trust for wss.
        The default are the system's.
    pitch
        Pitch of the tone, in Hz.
    cb, cr
        Chroma values of the picture, 16 to 240.
    """

    async def run() -> None:
        context = None if ca is None else ssl.create_default_context(cafile=ca)
        opened = open_full_client(url, channel, name, user_id=user_id, token=token, ssl_context=context)
        async with _until_stopped(), opened as client:
            await client.send_audio(Tone(pitch))
            await client.send_video(MovingPattern((cb, cr)))
            await _report(client)

    status = 0
    try:
        trio.run(run)
    except* (ConnectError, ConnectionClosed, RequestError) as group:
        print(f"error: {group.exceptions[0]}", file=sys.stderr)
        status = 1
    return status


@asynccontextmanager
async def _until_stopped() -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:

        async def listen() -> None:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

        nursery.start_soon(listen)
        yield
        nursery.cancel_scope.cancel()


async def _report(client: FullClient) -> None:
    streams: dict[tuple[str, str], DecodedStream] = {}
    while True:
        await _receive_new_streams(client, streams)
        report = [
            {"user": user, "source": source, **attrs.asdict(stream.latest)}
            for (user, source), stream in streams.items()
        ]
        print(json.dumps(report), flush=True)
        await trio.sleep(_REPORT_EVERY)


async def _receive_new_streams(client: FullClient, streams: dict[tuple[str, str], DecodedStream]) -> None:
    for name in [name for name, stream in streams.items() if stream.closed]:
        del streams[name]
    for participant in client.participants:
        for producer in participant.producers:
            if participant.user_id == client.user_id or (participant.user_id, producer.source) in streams:
                continue
            try:
                stream = await client.receive(participant.user_id, producer.source)
            except RequestError as error:
                if error.code != "not_found":  # the producer has closed meanwhile
                    raise
            else:
                streams[participant.user_id, producer.source] = stream


if __name__ == "__main__":
    sys.exit(app())
