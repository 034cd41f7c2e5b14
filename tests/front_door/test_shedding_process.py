"""A gateway process under real load: it refuses newcomers, and those inside lose no packet."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest
import trio

from protocol.client import RequestError, Timeouts, new_session_secret
from protocol.errors import ErrorCode
from protocol.requests import GetStats
from tests.eventually import eventually
from tests.front_door.test_planes import OPUS
from tests.front_door.test_planes import identity as identity  # a fixture
from tests.front_door.test_watches import get
from tests.gateway_process import GatewayProcess, run_gateway
from tools.light import Identity, LightClient, open_light_client

LISTENERS = 4
FULL, AGAIN = "no room for newcomers", "room for newcomers again"
# Far below what a machine carries, so that a test can pass it.
LOW_PLANE = ("--planes", "1", "--max-plane-load", "0.004", "--max-loop-load", "1", "--max-loop-delay", "60")
LOW_LOOP = ("--planes", "1", "--max-loop-load", "0.05", "--max-plane-load", "1", "--work-share", "1")


def is_full(gateway: GatewayProcess) -> bool:
    """Whether newcomers are refused, by the log: a look at the metrics would be a load."""
    said = [line["event"] for line in gateway.log() if line["event"] in (FULL, AGAIN)]
    return bool(said) and said[-1] == FULL


async def until_full(gateway: GatewayProcess, *, full: bool = True) -> None:
    """Wait until newcomers are refused, or until they may join again."""
    await eventually(lambda: is_full(gateway) == full, 60)


async def assert_refused(gateway: GatewayProcess, identity: Identity) -> None:
    """Check that a newcomer is refused with 4429, and that the gateway calls itself not ready."""
    with pytest.raises(RequestError) as refused:
        async with open_light_client(gateway.websocket_url, "lobby", "newcomer", identity):
            pass
    assert (refused.value.code, refused.value.retry_after_ms) == (ErrorCode.RATE_LIMITED, 5000)
    assert " 503 " in (await get(gateway.url, "/readyz")).splitlines()[0]
    # A close counts once the connection has ended, which is a moment after its client knows.
    with trio.fail_after(10):
        while True:
            metrics = await trio.to_thread.run_sync(gateway.metrics)
            if metrics["sfu_newcomers_refused_total"] == metrics['sfu_closes_total{code="4429"}'] >= 1:
                return
            await trio.sleep(0.05)


async def assert_taken(gateway: GatewayProcess, identity: Identity) -> None:
    assert " 200 " in (await get(gateway.url, "/readyz")).splitlines()[0]
    async with open_light_client(gateway.websocket_url, "lobby", "newcomer", identity):
        pass


class Speaker:
    """Sends packets until it is stopped, and counts them."""

    def __init__(self, client: LightClient) -> None:
        self.client = client
        self.sent = 0

    async def talk(self) -> None:
        endpoint = await self.client.transport("send")
        while True:
            for _ in range(4):
                self.sent += 1
                assert endpoint.send_rtp(OPUS[:2] + (self.sent % 65536).to_bytes(2) + OPUS[4:])
            await trio.sleep(0.004)


async def test_at_more_load_than_allowed_newcomers_are_refused_and_those_inside_lose_nothing(
    identity: Identity, tmp_path: Path
) -> None:
    with run_gateway(tmp_path / "log", *LOW_PLANE, shed=True) as gateway:
        async with AsyncExitStack() as stack:

            def client(name: str, secret: str | None = None) -> AbstractAsyncContextManager[LightClient]:
                return open_light_client(
                    gateway.websocket_url,
                    "lobby",
                    name,
                    identity,
                    user_id=name,
                    session_secret=secret,
                    timeouts=Timeouts(resume=5),
                )

            speaker = Speaker(await stack.enter_async_context(client("speaker")))
            producer = await speaker.client.publish("audio", ssrc=42)
            listeners = [await stack.enter_async_context(client(f"listener-{number}")) for number in range(LISTENERS)]
            for listener in listeners:
                await listener.subscribe(producer)
            secret = new_session_secret()
            async with trio.open_nursery() as talking:
                async with client("dora", secret) as dora:
                    talking.start_soon(speaker.talk)
                    await until_full(gateway)
                    await dora.kill()
                await assert_refused(gateway, identity)
                # Neither a client that lost its connection nor one that brings another is a newcomer.
                async with client("dora", secret):
                    listeners[0].signalling.reconnect()
                    await listeners[0].signalling.request(GetStats())
                assert is_full(gateway)
                talking.cancel_scope.cancel()
            for listener in listeners:
                receiving = await listener.transport("receive")
                await receiving.until(lambda: len(receiving.transport.rtp) >= speaker.sent)  # noqa: B023 - it waits
                assert len(receiving.transport.rtp) == speaker.sent
            await until_full(gateway, full=False)
            await assert_taken(gateway, identity)


async def test_a_busy_event_loop_takes_no_newcomers(identity: Identity, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", *LOW_LOOP, shed=True) as gateway:
        async with open_light_client(gateway.websocket_url, "lobby", "ada", identity) as ada:
            async with trio.open_nursery() as asking:

                async def ask() -> None:
                    while True:
                        with trio.move_on_after(0.005):
                            await ada.signalling.request(GetStats())
                            await trio.sleep(0.005)

                asking.start_soon(ask)
                asking.start_soon(ask)
                await until_full(gateway)
                await assert_refused(gateway, identity)
                asking.cancel_scope.cancel()
            await until_full(gateway, full=False)
            await assert_taken(gateway, identity)
