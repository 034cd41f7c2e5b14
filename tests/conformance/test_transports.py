"""Transports: creating, connecting, restarting and closing them, and the events about their state."""

import hashlib
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives.serialization import Encoding
from trio.testing import MockClock, wait_all_tasks_blocked

from sfu.parameters import IceParameters
from tests.conformance.whole_gateway import Direction, Role, closing, dtls_parameters, find, open_gate
from tests.session.example_media import CAPABILITIES, DTLS_PARAMETERS
from tests.session.memory_gateway import RawClient, microphone, receive_transport, send_transport
from tools.light.transport import Identity

DIRECTIONS: tuple[Direction, Direction] = ("send", "receive")


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_the_answer_to_create_transport_has_every_field(autojump_clock: MockClock, direction: Direction) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        created = await ada.ok("create_transport", direction=direction)
        assert set(created) == {"transportId", "iceParameters", "iceCandidates", "dtlsParameters"}
        assert set(created["iceParameters"]) == {"usernameFragment", "password", "iceLite"}
        assert created["iceParameters"]["iceLite"] is True
        assert len(created["iceParameters"]["usernameFragment"]) >= 4  # RFC 8445 section 5.3
        assert len(created["iceParameters"]["password"]) >= 22
        (candidate,) = created["iceCandidates"]
        assert (candidate["address"], candidate["ip"], candidate["port"]) == ("192.0.2.1", "192.0.2.1", 40000)
        assert (candidate["protocol"], candidate["type"]) == ("udp", "host")
        assert candidate["foundation"]
        assert candidate["priority"] > 0
        assert created["dtlsParameters"]["role"] == "auto"
        (fingerprint,) = created["dtlsParameters"]["fingerprints"]
        assert fingerprint["algorithm"] == "sha-256"
        assert len(bytes.fromhex(fingerprint["value"].replace(":", ""))) == 32
        # There is no trickle ICE: no candidate comes later.
        await trio.sleep(20)
        assert await ada.take_all() == []


async def test_every_announced_address_is_a_candidate_from_the_start(autojump_clock: MockClock) -> None:
    async with open_gate(media_announce=("203.0.113.5", "2001:db8::5")) as gate:
        (ada,) = await gate.joined("ada")
        created = await ada.ok("create_transport", direction="send")
        assert {one["address"] for one in created["iceCandidates"]} == {"203.0.113.5", "2001:db8::5"}
        assert all(one["ip"] == one["address"] for one in created["iceCandidates"])
        assert len({one["priority"] for one in created["iceCandidates"]}) == 2


async def test_credentials_of_transports_differ(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        made = [await ada.ok("create_transport", direction=direction) for direction in DIRECTIONS]
        assert len({one["transportId"] for one in made}) == 2
        assert len({one["iceParameters"]["usernameFragment"] for one in made}) == 2
        assert len({one["iceParameters"]["password"] for one in made}) == 2


# Connecting.


@pytest.mark.parametrize(("received", "real"), [("client", "client"), ("server", "server"), ("auto", "server")])
async def test_dtls_connects_in_every_role(
    autojump_clock: MockClock, identity: Identity, received: str, real: Role
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        created = await ada.ok("create_transport", direction="send")
        media = gate.media_client(created, identity, dtls_role=real)
        transport = created["transportId"]
        await ada.ok("connect_transport", transportId=transport, dtlsParameters=dtls_parameters(media, role=received))
        gate.nursery.start_soon(media.run)
        assert await ada.event("transport_state") == {"transportId": transport, "state": "connected"}
        await trio.sleep(1)
        assert media.transport.connected


async def test_a_missing_role_means_auto(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        created = await ada.ok("create_transport", direction="send")
        media = gate.media_client(created, identity, dtls_role="server")
        parameters = dtls_parameters(media)
        del parameters["role"]
        await ada.ok("connect_transport", transportId=created["transportId"], dtlsParameters=parameters)
        gate.nursery.start_soon(media.run)
        assert (await ada.event("transport_state"))["state"] == "connected"


def fingerprint(identity: Identity, algorithm: str, *, upper: bool = True) -> dict[str, str]:
    der = identity.certificate.x509.public_bytes(Encoding.DER)
    digest = hashlib.new(algorithm.replace("-", ""), der).digest()
    value = ":".join(f"{byte:02X}" for byte in digest)
    return {"algorithm": algorithm, "value": value if upper else value.lower()}


def wrong(algorithm: str, size: int) -> dict[str, str]:
    return {"algorithm": algorithm, "value": ":".join(["AB"] * size)}


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
async def test_every_known_hash_is_accepted_in_upper_and_lower_case(
    autojump_clock: MockClock, identity: Identity, algorithm: str, upper: bool
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        created = await ada.ok("create_transport", direction="send")
        media = gate.media_client(created, identity)
        given = [fingerprint(identity, algorithm, upper=upper)]
        parameters = dtls_parameters(media, fingerprints=given)
        await ada.ok("connect_transport", transportId=created["transportId"], dtlsParameters=parameters)
        gate.nursery.start_soon(media.run)
        assert (await ada.event("transport_state"))["state"] == "connected"


async def test_one_fingerprint_of_several_must_match(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        created = await ada.ok("create_transport", direction="send")
        media = gate.media_client(created, identity)
        given = [wrong("sha-256", 32), wrong("sha-512", 64), fingerprint(identity, "sha-384", upper=False)]
        parameters = dtls_parameters(media, fingerprints=given)
        await ada.ok("connect_transport", transportId=created["transportId"], dtlsParameters=parameters)
        gate.nursery.start_soon(media.run)
        assert (await ada.event("transport_state"))["state"] == "connected"


async def test_a_certificate_without_a_matching_fingerprint_fails_the_transport(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        created = await ada.ok("create_transport", direction="send")
        media = gate.media_client(created, identity)
        parameters = dtls_parameters(media, fingerprints=[wrong("sha-256", 32), wrong("sha-512", 64)])
        await ada.ok("connect_transport", transportId=created["transportId"], dtlsParameters=parameters)
        gate.nursery.start_soon(media.run)
        assert [(await ada.event("transport_state"))["state"] for _ in range(2)] == ["failed", "closed"]


@pytest.mark.parametrize(
    "fingerprints",
    [
        [],
        [wrong("sha-1", 20)],
        [wrong("sha-256", 31)],
        [{"algorithm": "sha-256", "value": "no hex"}],
        [wrong("sha-256", 32)] * 17,
    ],
)
async def test_malformed_fingerprints_are_invalid(autojump_clock: MockClock, fingerprints: list[Any]) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        given = {"role": "client", "fingerprints": fingerprints}
        error = (await ada.ask("connect_transport", transportId=await send_transport(ada), dtlsParameters=given))[
            "data"
        ]
        assert error["code"] == "invalid"
        assert error["path"].startswith("data.dtlsParameters.fingerprints")


async def test_connect_transport_is_answered_before_the_handshake(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        sending, receiving = await send_transport(ada), await receive_transport(ada)
        begun = trio.current_time()
        for transport in (sending, receiving):
            assert await ada.ok("connect_transport", transportId=transport, dtlsParameters=DTLS_PARAMETERS) == {}
        voice = await microphone(ada, sending)
        await ada.ok("consume", transportId=receiving, producerId=voice, paused=False)
        assert trio.current_time() == begun


async def test_ice_and_dtls_must_connect_within_ten_seconds(autojump_clock: MockClock) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        transport = await send_transport(ada)
        await trio.sleep(60)  # there is no limit before connect_transport
        await ada.ok("connect_transport", transportId=transport, dtlsParameters=DTLS_PARAMETERS)
        begun = trio.current_time()
        assert await ada.event("transport_state") == {"transportId": transport, "state": "failed"}
        assert trio.current_time() - begun == pytest.approx(10)
        assert await ada.event("transport_state") == {"transportId": transport, "state": "closed"}
        await send_transport(ada)


# A connected transport.


async def call(gate: Any, identity: Identity) -> tuple[RawClient, Any, str, RawClient, Any, str]:
    """Let Ada send to Ben, with both transports connected."""
    ada, ben = await gate.joined("ada", "ben")
    sending, ada_media = await gate.connected(ada, "send", identity)
    voice = await microphone(ada, sending)
    receiving, ben_media = await gate.connected(ben, "receive", identity)
    heard = (await ben.ok("consume", transportId=receiving, producerId=voice, paused=False))["consumerId"]
    await ada.take_all()
    await ben.take_all()
    return ada, ada_media, sending, ben, ben_media, heard


async def test_new_credentials_replace_the_old_ones_and_everything_else_stays(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        ada, media, sending, ben, _, heard = await call(gate, identity)
        old = await ada.ok("restart_ice", transportId=sending)
        fresh = await ada.ok("restart_ice", transportId=sending)
        assert set(fresh) == {"iceParameters"}
        assert set(fresh["iceParameters"]) == {"usernameFragment", "password", "iceLite"}
        assert fresh["iceParameters"]["iceLite"] is True
        assert fresh["iceParameters"] != old["iceParameters"]
        media.transport.use_ice(
            IceParameters(fresh["iceParameters"]["usernameFragment"], fresh["iceParameters"]["password"])
        )
        await trio.sleep(30)
        assert await ada.take_all() == await ben.take_all() == []
        (kept,) = (await ada.ok("stats"))["transports"]
        assert (kept["transportId"], kept["state"]) == (sending, "connected")
        assert [one["consumerId"] for one in (await ben.ok("stats"))["consumers"]] == [heard]


async def test_the_client_is_notified_of_a_silent_transport_and_of_its_return(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        ada, media, sending, *_ = await call(gate, identity)
        media.reachable = False
        assert await ada.event("transport_state") == {"transportId": sending, "state": "disconnected"}
        media.reachable = True
        assert await ada.event("transport_state") == {"transportId": sending, "state": "connected"}


async def test_a_transport_that_is_silent_for_too_long_is_closed_with_its_streams(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        ada, media, sending, ben, _, heard = await call(gate, identity)
        media.reachable = False
        states = []
        while (frame := await ada.next())["type"] != "voice_state":
            states += [frame["data"]["state"]] if frame["type"] == "transport_state" else []
        assert frame["data"]["participant"]["producers"] == []
        states += [(await ada.event("transport_state"))["state"] for _ in range(2)]
        assert states == ["disconnected", "failed", "closed"]
        assert await find(ben, "consumer_closed") == {"consumerId": heard, "reason": "producer_closed"}
        assert (await ben.voice_state("user_updated"))["participant"]["producers"] == []
        again = await send_transport(ada)
        assert again != sending


async def test_a_consumer_on_a_transport_that_failed_is_closed_as_failed(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        _, _, _, ben, media, heard = await call(gate, identity)
        media.reachable = False
        frames = [await ben.next() for _ in range(5)]
        received = [frame["data"] for frame in frames if frame["type"] != "connection_quality"]
        assert received[1] == {"consumerId": heard, "reason": "failed"}
        assert [one.get("state") for one in received] == ["disconnected", None, "failed", "closed"]
        assert await ben.error("resume", consumerId=heard) == "not_found"


async def test_a_close_notify_closes_the_transport_at_once(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_gate() as gate:
        ada, media, sending, ben, _, heard = await call(gate, identity)
        begun = trio.current_time()
        media.transport.close()
        media.flush()
        assert (await find(ada, "transport_state")) == {"transportId": sending, "state": "closed"}
        assert await ben.event("consumer_closed") == {"consumerId": heard, "reason": "producer_closed"}
        assert trio.current_time() == begun
        again, _ = await gate.connected(ada, "send", identity)
        await microphone(ada, again)


# Closing.


async def test_closing_a_transport_closes_its_streams_and_nothing_else(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        ada, media, sending, ben, ben_media, heard = await call(gate, identity)
        assert await ada.ok("close", transportId=sending) == {}
        # A client gets no event about an object that it closed itself. Only the list has changed.
        assert [frame["type"] for frame in await ada.take_all()] == ["voice_state"]
        assert media.transport.closed_by_gateway
        assert await ben.event("consumer_closed") == {"consumerId": heard, "reason": "producer_closed"}
        stats = await ada.ok("stats")
        assert stats == {"transports": [], "producers": [], "consumers": []}
        (kept,) = (await ben.ok("stats"))["transports"]
        assert kept["state"] == "connected"
        assert not ben_media.transport.closed_by_gateway
        await send_transport(ada)


async def test_closing_a_receiving_transport_closes_its_consumers_without_an_event(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        ada, _, _, ben, _, heard = await call(gate, identity)
        (receiving,) = [one["transportId"] for one in (await ben.ok("stats"))["transports"]]
        await ben.ok("close", transportId=receiving)
        assert await ben.take_all() == await ada.take_all() == []
        assert await ben.error("close", consumerId=heard) == "not_found"


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_the_handshake_of_a_second_transport_in_the_other_direction_is_its_own(
    autojump_clock: MockClock, identity: Identity, direction: Direction
) -> None:
    async with open_gate() as gate:
        (ada,) = await gate.joined("ada")
        first, _ = await gate.connected(ada, direction, identity)
        other = "receive" if direction == "send" else "send"
        created = await ada.ok("create_transport", direction=other, rtpCapabilities=CAPABILITIES)
        states = {one["transportId"]: one["state"] for one in (await ada.ok("stats"))["transports"]}
        assert states == {first: "connected", created["transportId"]: "new"}
        await ada.ok("connect_transport", transportId=created["transportId"], dtlsParameters=DTLS_PARAMETERS)
        states = {one["transportId"]: one["state"] for one in (await ada.ok("stats"))["transports"]}
        assert states[created["transportId"]] == "connecting"


async def test_a_session_that_ends_says_goodbye_on_its_transports(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        _, ada_media, _, ben, ben_media, _ = await call(gate, identity)
        await ben.raw(b"binary")
        await closing(ben)
        await wait_all_tasks_blocked()
        assert ben_media.transport.closed_by_gateway
        assert not ada_media.transport.closed_by_gateway
