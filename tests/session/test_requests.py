"""Every request: its effect, its answer and its errors."""

import weakref
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gateway.session.dispatch import HANDLERS, handler
from gateway.session.session import Session
from protocol import REQUESTS, Delivered, Join, Leave, Ping, ResumeSession
from tests.session.example_media import CAPABILITIES, DTLS_PARAMETERS, ICE_CREDENTIALS, NOTHING_IN_COMMON, opus
from tests.session.memory_gateway import RawClient, camera, microphone, open_rig, receive_transport, send_transport

NEEDS_A_CHANNEL: list[tuple[str, dict[str, Any]]] = [
    ("leave", {}),
    ("create_transport", {"direction": "send"}),
    ("connect_transport", {"transportId": "t", "dtlsParameters": DTLS_PARAMETERS}),
    ("restart_ice", {"transportId": "t"}),
    ("set_ice_parameters", {"transportId": "t", "iceParameters": ICE_CREDENTIALS}),
    ("produce", {"transportId": "t", "kind": "audio", "rtpParameters": opus(), "source": "microphone"}),
    ("consume", {"transportId": "t", "producerId": "p", "rtpCapabilities": CAPABILITIES}),
    ("consume_many", {"transportId": "t", "producerIds": ["p"]}),
    ("update", {"username": "Ada"}),
    ("pause", {"producerId": "p"}),
    ("resume", {"consumerId": "c"}),
    ("close", {"transportId": "t"}),
    ("set_layers", {"consumerId": "c", "spatial": 0, "temporal": 0}),
    ("set_priority", {"consumerId": "c", "priority": 2}),
    ("message", {"data": 1}),
    ("ping", {}),
    ("stats", {}),
    ("renew_token", {"token": "t"}),
    ("remove_participant", {"userId": "ben"}),
    ("readmit_participant", {"userId": "ben"}),
    ("mute", {"userId": "ben", "source": "camera"}),
    ("unmute", {"userId": "ben", "source": "camera"}),
    ("deafen", {"userId": "ben"}),
    ("undeafen", {"userId": "ben"}),
    ("lock_channel", {}),
    ("unlock_channel", {}),
    ("limit_members", {"maxMembers": 5}),
    ("end_channel", {}),
]


def test_every_request_but_those_of_the_session_itself_has_a_handler() -> None:
    assert HANDLERS.keys() == {*REQUESTS.values()} - {Join, Leave, ResumeSession}


def test_a_handler_that_returns_another_class_than_the_request_declares_is_refused() -> None:
    with pytest.raises(TypeError, match="ping must return Done"):

        @handler(needs=None)
        def ping(session: Session, data: Ping) -> Delivered:
            return Delivered(0)


@pytest.mark.parametrize(("kind", "data"), NEEDS_A_CHANNEL, ids=[kind for kind, _ in NEEDS_A_CHANNEL])
async def test_everything_but_join_needs_a_channel(autojump_clock: MockClock, kind: str, data: dict[str, Any]) -> None:
    async with open_rig() as rig:
        client = await rig.connect()
        assert await client.error(kind, **data) == "not_joined"
        (ada,) = await rig.joined("ada")
        await ada.ok("leave")
        assert await ada.error(kind, **data) == "not_joined"


@pytest.mark.parametrize(
    ("kind", "data"),
    [(kind, data) for kind, data in NEEDS_A_CHANNEL if any(key.endswith("Id") and key != "userId" for key in data)],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_unknown_object_is_not_found(autojump_clock: MockClock, kind: str, data: dict[str, Any]) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        assert await ada.error(kind, **data) == "not_found"


async def test_a_client_cannot_join_twice_without_leaving(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        assert await ada.error("join", channelId="cellar", username="ada") == "already_joined"
        await ada.ok("ping")


async def test_a_new_transport_has_everything_that_a_client_needs(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        created = await ada.ok("create_transport", direction="send")
        assert created["iceParameters"]["iceLite"] is True
        (candidate,) = created["iceCandidates"]
        assert candidate["address"] == candidate["ip"] == "192.0.2.1"
        assert created["dtlsParameters"]["role"] == "auto"
        (fingerprint,) = created["dtlsParameters"]["fingerprints"]
        assert fingerprint["algorithm"] == "sha-256"
        restarted = await ada.ok("restart_ice", transportId=created["transportId"])
        assert restarted["iceParameters"]["usernameFragment"] != created["iceParameters"]["usernameFragment"]


async def test_there_is_one_transport_of_each_direction_at_a_time(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        sending = await send_transport(ada)
        await receive_transport(ada)
        assert await ada.error("create_transport", direction="send") == "conflict"
        assert await ada.error("create_transport", direction="receive") == "conflict"
        await ada.ok("close", transportId=sending)
        await send_transport(ada)


async def test_connect_transport_is_answered_at_once_and_works_only_once(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        sending = await send_transport(ada)
        asked = {"transportId": sending, "dtlsParameters": DTLS_PARAMETERS}
        begun = autojump_clock.current_time()
        await ada.ok("connect_transport", **asked)
        await microphone(ada, sending)
        assert autojump_clock.current_time() == begun  # the answer did not wait for a handshake
        assert await ada.error("connect_transport", **asked) == "conflict"


async def test_producing_on_a_receive_transport_and_consuming_on_a_send_transport_conflict(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        sending, receiving = await send_transport(ada), await receive_transport(ada)
        voice = await microphone(ada, sending)
        assert await _produce(ada, receiving) == "conflict"
        assert await ada.error("consume", transportId=sending, producerId=voice) == "conflict"


async def _produce(client: RawClient, transport: str, **changes: Any) -> str:
    asked = {"kind": "audio", "rtpParameters": opus(7), "source": "other", **changes}
    return await client.error("produce", transportId=transport, **asked)


async def test_the_response_of_produce_comes_before_the_event_it_causes(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        sending = await send_transport(ada)
        number = await ada.request(
            "produce", transportId=sending, kind="audio", rtpParameters=opus(), source="microphone"
        )
        answer, change = await ada.take_all()
        assert answer["id"] == number
        assert change["data"]["type"] == "user_updated"
        assert change["data"]["participant"]["producers"][0]["producerId"] == answer["data"]["producerId"]


async def test_the_answer_to_consume_names_the_owner_and_the_parameters(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        picture = await camera(ada, await send_transport(ada), paused=True)
        consumed = await ben.ok("consume", transportId=await receive_transport(ben), producerId=picture)
        assert consumed["producerId"] == picture
        assert (consumed["userId"], consumed["kind"], consumed["source"]) == ("ada", "video", "camera")
        assert consumed["producerPaused"] is True
        parameters = consumed["rtpParameters"]
        assert parameters["mid"].isdecimal()
        assert parameters["rtcp"]["cname"]
        assert len(parameters["encodings"]) == 1
        assert parameters["encodings"][0]["ssrc"]
        assert parameters["msid"] == f"ada {consumed['consumerId']}"


@pytest.mark.parametrize("source", ["screen", "screen_audio"])
async def test_a_screen_and_its_sound_share_a_stream_id(autojump_clock: MockClock, source: str) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        producer = await microphone(ada, await send_transport(ada), source=source)
        consumed = await ben.ok("consume", transportId=await receive_transport(ben), producerId=producer)
        assert consumed["rtpParameters"]["msid"].startswith("ada-screen ")


async def test_capabilities_in_consume_override_those_of_the_transport(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        voice = await microphone(ada, await send_transport(ada))
        asked = {"transportId": await receive_transport(ben), "producerId": voice}
        await ben.ok("consume", **asked)
        assert await ben.error("consume", **asked, rtpCapabilities=NOTHING_IN_COMMON) == "unsupported"


async def test_consume_without_any_capabilities_names_the_missing_field(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        voice = await microphone(ada, await send_transport(ada))
        receiving = (await ben.ok("create_transport", direction="receive"))["transportId"]
        answer = await ben.ask("consume", transportId=receiving, producerId=voice)
        assert (answer["data"]["code"], answer["data"]["path"]) == ("invalid", "data.rtpCapabilities")


async def test_consume_many_answers_for_each_producer_as_consume_does(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        sending = await send_transport(ada)
        voice, picture = await microphone(ada, sending), await camera(ada, sending, paused=True)
        receiving = await receive_transport(ben)
        asked = {"transportId": receiving, "producerIds": [picture, "gone", voice, picture], "paused": False}
        answer = await ben.ok("consume_many", **asked)
        first, second = answer["consumers"]
        assert [each["producerId"] for each in (first, second)] == [picture, voice]
        assert (first["kind"], first["source"], first["producerPaused"]) == ("video", "camera", True)
        assert second["rtpParameters"]["msid"] == f"ada {second['consumerId']}"
        assert second["rtpParameters"]["codecs"][0]["mimeType"] == "audio/opus"
        refused = [(each["producerId"], each["code"]) for each in answer["refused"]]
        assert refused == [("gone", "not_found"), (picture, "conflict")]
        for consumer in (first, second):
            await ben.ok("pause", consumerId=consumer["consumerId"])


async def test_consume_many_keeps_what_fits_into_a_limit(autojump_clock: MockClock) -> None:
    async with open_rig(max_consumers=1) as rig:
        ada, ben = await rig.joined("ada", "ben")
        sending = await send_transport(ada)
        producers = [await microphone(ada, sending), await camera(ada, sending)]
        answer = await ben.ok("consume_many", transportId=await receive_transport(ben), producerIds=producers)
        assert [each["producerId"] for each in answer["consumers"]] == producers[:1]
        assert [(each["producerId"], each["code"]) for each in answer["refused"]] == [(producers[1], "limit_exceeded")]


async def test_what_is_wrong_for_all_producers_makes_consume_many_fail(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        sending = await send_transport(ada)
        voice = await microphone(ada, sending)
        receiving = (await ben.ok("create_transport", direction="receive"))["transportId"]
        answer = await ben.ask("consume_many", transportId=receiving, producerIds=[voice])
        assert (answer["data"]["code"], answer["data"]["path"]) == ("invalid", "data.rtpCapabilities")
        assert await ben.error("consume_many", transportId=sending, producerIds=[voice]) == "forbidden"


async def test_update_changes_the_entry_of_the_list_and_everybody_learns_it(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        watcher = await rig.connect()
        await watcher.ok("watch", channelIds=["lobby"])
        await ada.take_all()
        assert await ada.ok("update", username="Ada L.", metadata={"hand": "up"}) == {}
        for client in (ada, ben, watcher):
            change = await client.voice_state("user_updated")
            assert (change["userId"], change["username"], change["revision"]) == ("ada", "Ada L.", 3)
            assert change["participant"]["metadata"] == {"hand": "up"}
        await ada.ok("update", metadata={})
        change = await ben.voice_state("user_updated")
        assert (change["participant"]["username"], change["participant"]["metadata"]) == ("Ada L.", {})
        await ada.ok("update", username="Ada L.")  # nothing new
        await ada.ok("update")
        late = await (await rig.connect()).join("cleo")
        assert late["revision"] == 5
        assert [each["username"] for each in late["participants"]][:2] == ["Ada L.", "ben"]


async def test_a_new_name_stays_when_the_client_moves(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await ada.ok("update", username="Countess")
        moved = await ada.ok("move", channelId="studio")
        assert [each["username"] for each in moved["participants"]] == ["Countess"]


async def test_updates_are_limited_as_messages_are(autojump_clock: MockClock) -> None:
    async with open_rig(message_rate=1, message_burst=2) as rig:
        (ada,) = await rig.joined("ada")
        for name in ("one", "two"):
            await ada.ok("update", username=name)
        assert await ada.error("update", username="three") == "rate_limited"


async def test_many_producers_in_one_request_count_as_several_requests(autojump_clock: MockClock) -> None:
    async with open_rig(request_rate=1, request_burst=5) as rig:
        (ada,) = await rig.joined("ada")  # costs one of the five
        assert await ada.error("consume_many", transportId="t", producerIds=["p"] * 32) == "not_found"
        assert await ada.error("ping") == "rate_limited"


async def test_much_metadata_in_a_large_channel_costs_more(autojump_clock: MockClock) -> None:
    async with open_rig(message_rate=1, message_burst=2) as rig:
        ada, *_ = await rig.joined(*(f"user-{number}" for number in range(20)))
        await ada.ok("update", metadata={"about": "x" * 4000})
        assert await ada.error("update", username="Ada") == "rate_limited"


async def test_without_a_common_codec_consume_fails_and_the_client_stays(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        sending = await send_transport(ada)
        strange = opus()
        strange["codecs"] = [{"mimeType": "audio/PCMU", "payloadType": 0, "clockRate": 8000}]
        assert await _produce(ada, sending, rtpParameters=strange) == "unsupported"
        await ada.ok("ping")


async def test_parameters_that_contradict_themselves_are_named_by_their_path(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        sending = await send_transport(ada)
        asked: dict[str, Any] = {"kind": "video", "rtpParameters": opus(), "source": "camera"}
        answer = await ada.ask("produce", transportId=sending, **asked)
        assert answer["data"]["code"] in {"invalid", "unsupported"}
        assert answer["data"].get("path", "data.rtpParameters").startswith("data.rtpParameters")


async def test_a_client_may_consume_its_own_stream(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        voice = await microphone(ada, await send_transport(ada))
        consumed = await ada.ok("consume", transportId=await receive_transport(ada), producerId=voice)
        await ada.take_all()
        number = await ada.request("close", producerId=voice)
        answer, closed, change = await ada.take_all()
        assert (answer["id"], answer["type"]) == (number, "ok")
        assert closed["data"] == {"consumerId": consumed["consumerId"], "reason": "producer_closed"}
        assert change["data"]["type"] == "user_updated"


async def test_a_producer_of_another_channel_is_not_found(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada", channel="cellar")
        (ben,) = await rig.joined("ben")
        voice = await microphone(ada, await send_transport(ada))
        receiving = await receive_transport(ben)
        assert await ben.error("consume", transportId=receiving, producerId=voice) == "not_found"
        assert await ben.error("close", producerId=voice) == "not_found"


async def test_another_members_object_is_forbidden(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        sending, receiving = await send_transport(ada), await receive_transport(ada)
        voice = await microphone(ada, sending)
        heard = (await ada.ok("consume", transportId=receiving, producerId=voice))["consumerId"]
        for kind in ("pause", "resume", "close"):
            assert await ben.error(kind, producerId=voice) == "forbidden"
            assert await ben.error(kind, consumerId=heard) == "forbidden"
        assert await ben.error("close", transportId=sending) == "forbidden"
        assert await ben.error("restart_ice", transportId=sending) == "forbidden"
        given = {"transportId": sending, "iceParameters": ICE_CREDENTIALS}
        assert await ben.error("set_ice_parameters", **given) == "forbidden"
        assert await ben.error("connect_transport", transportId=sending, dtlsParameters=DTLS_PARAMETERS) == "forbidden"
        assert await ben.error("set_layers", consumerId=heard, spatial=0, temporal=0) == "forbidden"
        assert await ben.error("set_priority", consumerId=heard, priority=2) == "forbidden"
        assert await ben.error("consume", transportId=receiving, producerId=voice) == "forbidden"
        assert await _produce(ben, sending) == "forbidden"


async def test_more_producers_than_allowed_exceed_the_limit(autojump_clock: MockClock) -> None:
    async with open_rig(max_producers=2) as rig:
        (ada,) = await rig.joined("ada")
        sending = await send_transport(ada)
        await microphone(ada, sending, 1)
        await microphone(ada, sending, 2)
        assert await _produce(ada, sending) == "limit_exceeded"


async def test_more_consumers_than_allowed_exceed_the_limit(autojump_clock: MockClock) -> None:
    async with open_rig(max_consumers=1) as rig:
        (ada,) = await rig.joined("ada")
        voice = await microphone(ada, await send_transport(ada))
        asked = {"transportId": await receive_transport(ada), "producerId": voice}
        await ada.ok("consume", **asked)
        assert await ada.error("consume", **asked) == "limit_exceeded"


async def test_the_owners_of_consumers_are_notified_when_the_producer_pauses_and_resumes(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        voice = await microphone(ada, await send_transport(ada))
        heard = (await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice))["consumerId"]
        await ben.take_all()
        for kind, paused in (("pause", True), ("resume", False)):
            await ada.ok(kind, producerId=voice)
            received, change = await ben.take_all()
            assert received["type"] == "consumer_updated"
            assert received["data"] == {
                "consumerId": heard,
                "producerPaused": paused,
                "layers": None,
                "starved": False,
            }
            assert change["data"]["participant"]["producers"][0]["paused"] is paused


async def test_closing_a_consumer_or_changing_its_layers_notifies_no_other_client(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        voice = await microphone(ada, await send_transport(ada))
        heard = (await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice))["consumerId"]
        await ada.take_all()
        await ben.ok("resume", consumerId=heard)
        await ben.ok("pause", consumerId=heard)
        await ben.ok("set_layers", consumerId=heard, spatial=1, temporal=2)
        await ben.ok("set_priority", consumerId=heard, priority=255)
        await ben.ok("close", consumerId=heard)
        assert await ben.error("close", consumerId=heard) == "not_found"
        assert await ada.take_all() == []


async def test_a_message_goes_to_everybody_else(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await rig.joined("ada", "ben", "cleo")
        assert await ada.ok("message", data={"text": "grüß euch", "n": None}) == {"delivered": 2}
        for client in (ben, cleo):
            assert await client.event("message") == {"from": "ada", "data": {"text": "grüß euch", "n": None}}
        assert await ada.take_all() == []


async def test_a_message_goes_once_to_each_named_member_present(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await rig.joined("ada", "ben", "cleo")
        answer = await ada.ok("message", data=1, to=["ben", "nobody", "ben"])
        assert answer == {"delivered": 1}
        assert await ben.event("message") == {"from": "ada", "data": 1}
        assert await cleo.take_all() == []
        assert await ada.ok("message", data=2, to=[]) == {"delivered": 0}


async def test_a_message_to_oneself_comes_after_its_response(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await ada.request("message", data="note", to=["ada"])
        assert [frame["type"] for frame in await ada.take_all()] == ["ok", "message"]


async def test_messages_are_limited_by_number_and_by_bytes_to_all_receivers(autojump_clock: MockClock) -> None:
    async with open_rig(message_rate=1, message_burst=4) as rig:
        ada, ben = await rig.joined("ada", "ben")
        for _ in range(4):
            await ada.ok("message", data=1)
        assert await ada.error("message", data=1) == "rate_limited"
        assert await ben.ok("message", data=1) == {"delivered": 1}
        await ada.ok("ping")
    async with open_rig(message_rate=1, message_burst=4) as rig:
        clients = await rig.joined(*(f"user-{number}" for number in range(30)))
        assert (await clients[0].ok("message", data="x" * 16_000))["delivered"] == 29
        assert await clients[0].error("message", data=1) == "rate_limited"


async def test_equal_capabilities_are_kept_once_and_only_while_in_use(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, cleo = await rig.joined("ada", "ben", "cleo")
        for client in (ada, ben):
            await receive_transport(client)
        await cleo.ok("create_transport", direction="receive", rtpCapabilities=NOTHING_IN_COMMON)
        of_ada, of_ben, of_cleo = (one.receiver for one in rig.gateway.routers[0].directory.transports.values())
        assert of_ada is of_ben
        assert of_ada is not None
        assert of_ada != of_cleo
        gone = weakref.ref(of_ada)
        del of_ada, of_ben
        await ada.close()
        assert gone() is not None
        await ben.close()
        await trio.sleep(1)
        assert gone() is None


async def test_messages_do_not_endanger_a_member_who_reads_slowly(autojump_clock: MockClock) -> None:
    async with open_rig(message_backlog_bytes=64 * 1024, message_rate=1000, message_burst=1000) as rig:
        ada, ben = await rig.joined("ada", "ben")
        slow = next(
            member for member in rig.gateway.channels.channels["lobby"].members.values() if member.user_id == "ben"
        )
        outbox = slow.connection.outbox
        with trio.CancelScope() as scope:
            # Nothing is sent to Ben while this holds the lock of his stream.
            async with slow.connection.attachment.shared._sending:  # type: ignore[union-attr]
                delivered = [(await ada.ok("message", to=["ben"], data="x" * 16_000))["delivered"] for _ in range(20)]
                assert delivered == [1] * 5 + [0] * 15
                assert outbox.size < 100 * 1024
                scope.cancel()
        assert (await ada.ok("message", to=["ben"], data=1))["delivered"] == 1
        assert ben.closed is None
