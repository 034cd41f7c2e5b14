"""A participant with a tone and a moving picture: ``python -m tools.full ws://127.0.0.1:8080/ws lobby Robin``."""

import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import attrs
import trio
from cyclopts import App, Parameter

from protocol.client import ConnectError, ConnectionClosed, RequestError
from tools.full.client import FullClient, Reception, open_full_client
from tools.full.tracks import Pattern, Tone

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
    pitch: int = 440,
    cb: int = 90,
    cr: int = 200,
) -> int:
    """Join a channel, send a tone and a moving picture, receive what the others send.

    Twice a second a line of JSON on standard output tells what came so far: for
    each stream `user`, `source` and what was measured of it. Ends with status 0
    at SIGTERM or Ctrl-C, with 1 when the gateway does not want it.

    Parameters
    ----------
    url
        The gateway's WebSocket, such as ws://127.0.0.1:8080/ws.
    token
        The gateway's join token, if it wants one.
    pitch
        Of the tone, in Hz.
    cb, cr
        Colour of the picture: its chroma values, 16 to 240.
    """

    async def run() -> None:
        async with _until_told_to_stop(), open_full_client(url, channel, name, user_id=user_id, token=token) as client:
            await client.send_audio(Tone(pitch))
            await client.send_video(Pattern((cb, cr)))
            await _report(client)

    status = 0
    try:
        trio.run(run)
    except* (ConnectError, ConnectionClosed, RequestError) as group:
        print(f"error: {group.exceptions[0]}", file=sys.stderr)
        status = 1
    return status


@asynccontextmanager
async def _until_told_to_stop() -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:

        async def listen() -> None:
            with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

        nursery.start_soon(listen)
        yield
        nursery.cancel_scope.cancel()


async def _report(client: FullClient) -> None:
    receptions: dict[tuple[str, str], Reception] = {}
    while True:
        await _receive_what_is_new(client, receptions)
        streams = [
            {"user": user, "source": source, **attrs.asdict(reception.latest)}
            for (user, source), reception in receptions.items()
        ]
        print(json.dumps(streams), flush=True)
        await trio.sleep(_REPORT_EVERY)


async def _receive_what_is_new(client: FullClient, receptions: dict[tuple[str, str], Reception]) -> None:
    for stream in [stream for stream, reception in receptions.items() if reception.closed]:
        del receptions[stream]
    for participant in client.participants:
        for producer in participant.producers:
            stream = (participant.user_id, producer.source)
            if participant.user_id == client.user_id or stream in receptions:
                continue
            try:
                receptions[stream] = await client.receive(*stream)
            except RequestError as error:
                if error.code != "not_found":  # it has gone since
                    raise


if __name__ == "__main__":
    sys.exit(app())
