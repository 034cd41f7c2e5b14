"""Each limit of the configuration counts when a client reaches it, under the name of its setting."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.channel.removals import Removals
from gateway.config import SETTINGS, Config
from gateway.connection.rates import TokenBucket
from gateway.ops.limit_metrics import LIMITS
from gateway.ops.metrics import Metrics
from gateway.server import open_server
from tests.session.memory_gateway import Rig, microphone, open_rig, receive_transport, send_transport
from tests.session.test_isolation import stuck_member
from tests.session.test_requests import _produce

# Settings that bound something and have no count of their own: what shows them instead.
SHOWN_ELSEWHERE = {
    "request_burst": "counts as request_rate",
    "message_burst": "counts as message_rate",
    "work_burst": "counts as work_share",
    "address_work_burst": "counts as address_work_share",
    "error_window": "counts as error_budget",
    "max_voices": "is in force all the time in a large channel",
    "max_loop_load": "sfu_full and sfu_newcomers_refused_total",
    "max_loop_delay": "sfu_full and sfu_newcomers_refused_total",
    "max_plane_load": "sfu_full and sfu_newcomers_refused_total",
    "max_receive_loss": "sfu_full and sfu_newcomers_refused_total",
    "max_packet_rate": "sfu_drops_total, too_much_media",
    "max_bitrate": "sfu_drops_total, too_much_media",
    "journal_bytes": "sfu_journal_bytes; the oldest changes are forgotten",
    "journal_channel_bytes": "the oldest changes are forgotten",
}
Cause = Callable[[Rig], Awaitable[object]]


def reached(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.render().decode())
    [family] = [family for family in families if family.name == "sfu_limits_reached"]
    return {sample.labels["setting"]: sample.value for sample in family.samples if sample.value}


def test_every_setting_that_is_a_limit_has_a_count() -> None:
    signs = ("max_", "_bytes", "_messages", "_rate", "_burst", "_share", "_budget", "_window", "_age")
    limits = {setting.name for setting in SETTINGS if any(sign in setting.name for sign in signs)}
    assert limits - {"share_bandwidth"} == set(LIMITS) | SHOWN_ELSEWHERE.keys()


async def second_member(rig: Rig) -> None:
    await rig.joined("ada")
    await (await rig.connect()).request("join", channelId="lobby", username="ben", userId="ben")


async def second_channel(rig: Rig) -> None:
    await rig.joined("ada")
    await (await rig.connect()).request("join", channelId="attic", username="ben", userId="ben")


async def second_producer(rig: Rig) -> None:
    (ada,) = await rig.joined("ada")
    sending = await send_transport(ada)
    await microphone(ada, sending, 1)
    assert await _produce(ada, sending) == "limit_exceeded"


async def second_consumer(rig: Rig) -> None:
    (ada,) = await rig.joined("ada")
    sending = await send_transport(ada)
    voices = [await microphone(ada, sending, ssrc) for ssrc in (1, 2)]
    receiving = await receive_transport(ada)
    for voice in voices:
        await ada.ask("consume", transportId=receiving, producerId=voice)


async def two_consumers_at_once(rig: Rig) -> None:
    (ada,) = await rig.joined("ada")
    sending = await send_transport(ada)
    voices = [await microphone(ada, sending, ssrc) for ssrc in (1, 2)]
    await ada.ask("consume_many", transportId=await receive_transport(ada), producerIds=voices)


async def large_message(rig: Rig) -> None:
    (ada,) = await rig.joined("ada")
    await ada.request("message", data="x" * 1500)


async def huge_message(rig: Rig) -> None:
    (ada,) = await rig.joined("ada")
    await ada.request("message", data="x" * 4000)


async def large_message_of_a_stranger(rig: Rig) -> None:
    await (await rig.connect()).request("message", data="x" * 2000)


async def slow_reader(rig: Rig) -> None:
    await stuck_member(rig)
    (ada,) = await rig.joined("ada")
    for number in range(10):
        await ada.ok("message", data=[number, "x" * 15_000])


async def reader_that_stops(rig: Rig) -> None:
    await stuck_member(rig)
    (ada,) = await rig.joined("ada")
    await ada.ok("message", data=1)
    await trio.sleep(5)


async def many_waiting_messages(rig: Rig) -> None:
    await rig.joined("ada")
    [connection] = rig.gateway.connections.values()
    assert connection.attachment is not None
    for number in range(6):
        connection.receive(connection.attachment, f'{{"id":{number},"type":"ping"}}', 30)


async def large_waiting_messages(rig: Rig) -> None:
    await rig.joined("ada")
    [connection] = rig.gateway.connections.values()
    assert connection.attachment is not None
    for number in range(6):
        connection.receive(connection.attachment, f'{{"id":{number},"type":"ping"}}', 1_000_000)


async def messages_to_a_slow_reader(rig: Rig) -> None:
    ada, _ = await rig.joined("ada", "ben")
    slow = rig.gateway.channels.channels["lobby"].members["ben"].connection
    with trio.CancelScope() as scope:
        async with slow.attachment.shared._sending:  # type: ignore[union-attr]
            for _ in range(4):
                await ada.ok("message", to=["ben"], data="x" * 900)
            scope.cancel()


async def many_requests(rig: Rig) -> None:
    (ada,) = await rig.joined("ada")
    for _ in range(2):
        await ada.ask("ping")


async def many_messages(rig: Rig) -> None:
    (ada,) = await rig.joined("ada")
    for _ in range(4):
        await ada.ask("message", data=1)


async def many_mistakes(rig: Rig) -> None:
    client = await rig.connect()
    for _ in range(4):
        await client.raw("{")


async def debt(rig: Rig) -> None:
    (ada,) = await rig.joined("ada")
    [connection] = rig.gateway.connections.values()
    assert connection.account is not None
    connection.account.own.charge(2, trio.current_time())
    await ada.ok("ping")


async def debt_of_neighbours(rig: Rig) -> None:
    (ada,) = await rig.joined("ada")
    [connection] = rig.gateway.connections.values()
    assert connection.account is not None
    connection.account.address = TokenBucket(0.5, 1)
    connection.account.address.charge(2, trio.current_time())
    await ada.ok("ping")


@pytest.mark.parametrize(
    ("setting", "config", "cause"),
    [
        ("max_members", {"max_members": 1}, second_member),
        ("max_channels", {"max_channels": 1}, second_channel),
        ("max_producers", {"max_producers": 1}, second_producer),
        ("max_consumers", {"max_consumers": 1}, second_consumer),
        ("max_consumers", {"max_consumers": 1}, two_consumers_at_once),
        ("max_message_bytes", {"max_message_bytes": 1024}, large_message),
        ("max_message_bytes", {"max_message_bytes": 1024}, huge_message),
        ("max_stranger_bytes", {"max_stranger_bytes": 1024}, large_message_of_a_stranger),
        ("outbox_bytes", {"outbox_bytes": 64 * 1024}, slow_reader),
        ("outbox_age", {"outbox_age": 3}, reader_that_stops),
        ("inbox_messages", {"inbox_messages": 4}, many_waiting_messages),
        ("inbox_bytes", {}, large_waiting_messages),
        ("unread_bytes", {"unread_bytes": 2_000_000}, large_waiting_messages),
        ("message_backlog_bytes", {"message_backlog_bytes": 1024}, messages_to_a_slow_reader),
        ("request_rate", {"request_rate": 1, "request_burst": 2}, many_requests),
        ("message_rate", {"message_rate": 1, "message_burst": 2}, many_messages),
        ("error_budget", {"error_budget": 2}, many_mistakes),
        ("work_share", {}, debt),
        ("address_work_share", {}, debt_of_neighbours),
    ],
)
async def test_a_limit_counts_when_a_client_reaches_it(
    autojump_clock: MockClock, setting: str, config: dict[str, Any], cause: Cause
) -> None:
    async with open_rig(**config) as rig:
        await cause(rig)
        await wait_all_tasks_blocked()
        counts = reached(rig.metrics)
        assert counts.keys() == {setting}
        ended = [line for line in rig.log if line["event"] == "client disconnected" and "setting" in line]
        assert {line["setting"] for line in ended} <= {setting}


def test_a_full_list_of_removals_says_that_it_forgot_one() -> None:
    removals = Removals(1)
    assert removals.add("lobby", "ada", 10, 0) is False
    assert removals.add("lobby", "ada", 20, 0) is False
    assert removals.add("lobby", "ben", 20, 0) is True


async def test_a_scrape_shows_limits_and_how_much_of_them_is_in_use() -> None:
    async with open_server(Config(media_port=0, planes=1, max_connections=7), listeners=()) as server:
        families = text_string_to_metric_families(server.gateway.metrics.render().decode())
        shown = {
            (sample.name, sample.labels["setting"]): sample.value
            for family in families
            for sample in family.samples
            if "setting" in sample.labels
        }
    assert shown["sfu_limit", "max_connections"] == 7
    assert shown["sfu_limit_used", "max_connections"] == 0
    assert {setting for name, setting in shown if name == "sfu_limit"} == set(LIMITS)
    assert {setting for name, setting in shown if name == "sfu_limit_used"} < set(LIMITS)
