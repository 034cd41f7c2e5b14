"""RFC 6455 against a gateway in a process of its own: the cases of Autobahn's test suite that concern a server.

Each section has the number of Autobahn's. A request shows that its message arrived whole: the gateway answers with its
id, and repeats an unknown type. Binary messages (1.2) are not part of the protocol. Compression (12 and 13) is not
negotiated.
"""

import socket
from collections.abc import Iterator

import pytest

from protocol.limits import MAX_REQUEST_BYTES, PATH, SUBPROTOCOL
from tests.conformance.raw_websocket import Peer, frame, open_peer, pieces, request
from tests.gateway_process import GatewayProcess, run_gateway
from tools.light.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, upgrade_request

BINARY = 2
NORMAL, PROTOCOL_ERROR, NOT_TEXT, INVALID_TEXT, TOO_BIG = 1000, 1002, 1003, 1007, 1009
GREETING = "Hello-µ@ßöäüàá-UTF-8!!"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with run_gateway(tmp_path_factory.mktemp("gateway") / "log", "--request-burst", "100000") as running:
        yield running


@pytest.fixture
def peer(gateway: GatewayProcess) -> Iterator[Peer]:
    with open_peer(gateway.port) as opened:
        yield opened


def fragments(data: bytes, size: int) -> Iterator[bytes]:
    """Cut a text message into fragments of this size."""
    parts = list(pieces(data, size))
    for place, part in enumerate(parts):
        yield frame(CONTINUATION if place else TEXT, part, fin=place == len(parts) - 1)


# 1: framing.


@pytest.mark.parametrize("size", [0, 125, 126, 127, 128, 65535, 65536])
@pytest.mark.parametrize("chop", [0, 997])
def test_a_text_message_of_each_form_of_length_is_read(peer: Peer, size: int, chop: int) -> None:
    peer.send(frame(TEXT, request(1, size=size)), chop=chop)
    assert peer.answer(1)["type"] == "ok"


def test_an_empty_text_message_is_a_message(peer: Peer) -> None:
    peer.send(frame(TEXT), frame(TEXT, request(1)))
    peer.answer(1)
    assert [text["data"].get("code") for text in peer.texts] == ["malformed", None]


@pytest.mark.parametrize("size", [0, 125, 65536])
def test_a_binary_message_closes_with_1003(peer: Peer, size: int) -> None:
    peer.send(frame(BINARY, bytes(size)))
    assert peer.end().code == NOT_TEXT


@pytest.mark.parametrize("form", [b"\x81\xfe\x00\x01", b"\x81\xff" + bytes(7) + b"\x01", b"\x81\xff\x80" + bytes(7)])
def test_a_length_that_is_not_in_its_shortest_form_closes_with_1002(peer: Peer, form: bytes) -> None:
    peer.send(form, b"\0\0\0\0x")
    assert peer.end().code == PROTOCOL_ERROR


@pytest.mark.parametrize("opcode", [TEXT, PING, CLOSE])
def test_a_frame_without_a_mask_closes_with_1002(peer: Peer, opcode: int) -> None:
    peer.send(frame(opcode, b"", masked=False))
    assert peer.end().code == PROTOCOL_ERROR


# 2: pings and pongs.


@pytest.mark.parametrize("payload", [b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125])
@pytest.mark.parametrize("chop", [0, 1])
def test_a_pong_repeats_the_payload_of_its_ping(peer: Peer, payload: bytes, chop: int) -> None:
    peer.send(frame(PING, payload), chop=chop)
    assert peer.pong() == [payload]


def test_a_ping_of_126_bytes_closes_with_1002(peer: Peer) -> None:
    peer.send(frame(PING, b"\xfe" * 126))
    assert peer.end().code == PROTOCOL_ERROR


@pytest.mark.parametrize("payload", [b"", b"unsolicited"])
def test_an_unsolicited_pong_is_ignored(peer: Peer, payload: bytes) -> None:
    peer.send(frame(PONG, payload), frame(PING, b"a ping"), frame(TEXT, request(1)))
    peer.answer(1)
    assert peer.pong() == [b"a ping"]


@pytest.mark.parametrize("chop", [0, 1])
def test_ten_pings_get_ten_pongs_in_their_order(peer: Peer, chop: int) -> None:
    payloads = [b"payload-%d" % number for number in range(10)]
    peer.send(*(frame(PING, payload) for payload in payloads), chop=chop)
    assert peer.pong(10) == payloads


# 3 and 4: reserved bits and opcodes.


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
def test_a_reserved_bit_closes_with_1002_and_earlier_messages_count(peer: Peer, rsv: int, opcode: int) -> None:
    peer.send(frame(TEXT, request(1)), frame(opcode, rsv=rsv), frame(TEXT, request(2)))
    end = peer.end()
    assert end.code == PROTOCOL_ERROR
    assert 2 not in [text.get("id") for text in end.texts]


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"reserved opcode payload"])
def test_a_reserved_opcode_closes_with_1002(peer: Peer, opcode: int, payload: bytes) -> None:
    peer.send(frame(TEXT, request(1)), frame(opcode, payload), frame(PING), chop=1 if opcode in (5, 13) else 0)
    end = peer.end()
    assert (end.code, end.pongs) == (PROTOCOL_ERROR, ())


# 5: fragmentation.


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_in_fragments_closes_with_1002(peer: Peer, opcode: int) -> None:
    peer.send(frame(opcode, b"fragment1", fin=False), frame(CONTINUATION, b"fragment2"))
    end = peer.end()
    assert (end.code, end.pongs) == (PROTOCOL_ERROR, ())


@pytest.mark.parametrize("size", [1, 7, 20])
@pytest.mark.parametrize("chop", [0, 1])
def test_a_message_in_fragments_is_read_whole(peer: Peer, size: int, chop: int) -> None:
    peer.send(*fragments(request(1, GREETING), size), chop=chop)
    assert GREETING in peer.answer(1)["data"]["message"]


@pytest.mark.parametrize("chop", [0, 1])
def test_pings_between_fragments_are_answered_at_once(peer: Peer, chop: int) -> None:
    first, *middle, last = fragments(request(1), 5)
    peer.send(first, frame(PING, b"1"), *middle, frame(PING, b"2"), chop=chop)
    assert peer.pong(2) == [b"1", b"2"]
    assert not peer.texts
    peer.send(last)
    assert peer.answer(1)["type"] == "ok"


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("chop", [0, 1])
def test_a_continuation_of_nothing_closes_with_1002(peer: Peer, fin: bool, chop: int) -> None:
    peer.send(frame(CONTINUATION, b"non-continuation payload", fin=fin), frame(TEXT, request(1)), chop=chop)
    end = peer.end()
    assert (end.code, end.texts) == (PROTOCOL_ERROR, ())


def test_a_continuation_behind_a_whole_message_closes_with_1002(peer: Peer) -> None:
    peer.send(*fragments(request(1), 9), frame(CONTINUATION, b"fragment3", fin=False), frame(TEXT, request(2)))
    end = peer.end()
    assert end.code == PROTOCOL_ERROR
    assert 2 not in [text.get("id") for text in end.texts]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_inside_another_one_closes_with_1002(peer: Peer, opcode: int) -> None:
    peer.send(frame(TEXT, b'{"id":1,', fin=False), frame(opcode, b'"type":"ping"}'))
    assert peer.end().code == PROTOCOL_ERROR


# 6: UTF-8.


def test_empty_fragments_make_an_empty_message(peer: Peer) -> None:
    peer.send(frame(TEXT, fin=False), frame(CONTINUATION, fin=False), frame(CONTINUATION), frame(TEXT, request(1)))
    peer.answer(1)
    assert [text["data"].get("code") for text in peer.texts] == ["malformed", None]


VALID = [
    "κόσμε", GREETING, "\x7f", "\x80", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff", "\ud7ff", "\ue000",
    "\ufffd", "\ufffe", "\U0001fffe", "\U0001ffff", "\U0008fffe", "\U000fffff", "\U0010fffe",
]  # fmt: skip


@pytest.mark.parametrize("text", VALID, ids=ascii)
def test_each_unicode_text_is_read_wherever_it_is_cut(peer: Peer, text: str) -> None:
    for number, size in enumerate([1000, 1, 2, 3]):
        peer.send(*fragments(request(number + 1, text), size))
        assert repr(text) in peer.answer(number + 1)["data"]["message"]


INVALID = [
    # Beyond Unicode, surrogates and their pairs (Autobahn 6.6, 6.10, 6.11, 6.14 and 6.15).
    "cebae1bdb9cf83cebcceb5eda080656469746564", "f4908080", "f8888080 80", "fc84 80 80 80 80", "f7bfbfbf", "fbbfbfbfbf",
    "fdbfbfbfbfbf", "eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf", "eda080edb080",
    # Lone continuation bytes, and lone first bytes (6.12 and 6.13).
    "80", "bf", "80bf", "80bf80bf80bf", "c020c120c220df20", "e020e120ef20", "f020f120f420f720", "f820fb20", "fc20fd20",
    # Sequences without their last byte (6.16 and 6.17), impossible bytes (6.18).
    "c07b", "e0807b", "f080807b", "df7b", "efbf7b", "f7bfbf7b", "fe", "ff", "fefeffff",
    # More bytes than needed (6.19 to 6.21).
    "c0af", "e080af", "f08080af", "f8808080af", "fc80808080af", "c1bf", "e09fbf", "f08fbfbf", "c080", "e08080",
]  # fmt: skip


@pytest.mark.parametrize("digits", INVALID)
def test_text_that_is_not_utf_8_closes_with_1007(peer: Peer, digits: str) -> None:
    bad = bytes.fromhex(digits)
    peer.send(frame(TEXT, request(1).replace(b"ping", bad)), frame(TEXT, request(2)))
    end = peer.end()
    assert (end.code, end.texts) == (INVALID_TEXT, ())


# Python's decoder finds a surrogate at its third byte only.
@pytest.mark.parametrize("digits", ["f490", "cebaff", "eda080"])
@pytest.mark.parametrize("fragmented", [True, False])
def test_bad_text_is_refused_before_its_message_is_whole(peer: Peer, digits: str, fragmented: bool) -> None:
    bad = bytes.fromhex(digits)
    if fragmented:
        peer.send(frame(TEXT, b"good", fin=False), frame(CONTINUATION, bad, fin=False))
    else:
        peer.send(frame(TEXT, b"good" + bad + b"x" * 40)[:-40])
    assert peer.end().code == INVALID_TEXT


def test_a_character_that_the_message_cuts_off_closes_with_1007(peer: Peer) -> None:
    peer.send(frame(TEXT, b"\xce\xba\xe1\xbd"))
    assert peer.end().code == INVALID_TEXT


# 7: closing.


@pytest.mark.parametrize(
    "behind",
    [b"", frame(CLOSE, b"\x03\xe8"), frame(PING, b"late"), frame(TEXT, request(2)), frame(CONTINUATION, b"part")],
    ids=["nothing", "another close", "a ping", "a message", "a fragment"],
)
def test_nothing_behind_a_close_frame_counts(peer: Peer, behind: bytes) -> None:
    peer.send(frame(TEXT, request(1)))
    peer.answer(1)
    peer.send(frame(CLOSE, b"\x03\xe8"), behind)
    end = peer.end()
    assert (end.code, end.pongs, len(end.texts)) == (NORMAL, (), 1)


def test_a_close_frame_may_come_between_fragments(peer: Peer) -> None:
    peer.send(frame(TEXT, b"fragment1", fin=False), frame(CLOSE, b"\x03\xe8"), frame(CONTINUATION, b"fragment2"))
    assert peer.end().code == NORMAL


def test_a_message_of_the_largest_size_before_a_close_frame_is_read(peer: Peer) -> None:
    peer.send(frame(TEXT, request(1, size=MAX_REQUEST_BYTES)), frame(CLOSE, b"\x03\xe8"))
    assert peer.end().code == NORMAL


@pytest.mark.parametrize("reason", [b"", "Ciao µ".encode(), b"x" * 123])
@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999]
)
def test_a_close_frame_is_answered_with_its_code(peer: Peer, code: int, reason: bytes) -> None:
    peer.send(frame(CLOSE, code.to_bytes(2) + reason))
    assert peer.end().code == code


def test_a_close_frame_without_a_code_is_answered(peer: Peer) -> None:
    peer.send(frame(CLOSE))
    assert peer.end().code in (None, NORMAL)
    assert peer.closed


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
@pytest.mark.parametrize("reason", [b"", b"reason"])
def test_a_code_that_nobody_may_send_closes_with_1002(peer: Peer, code: int, reason: bytes) -> None:
    peer.send(frame(CLOSE, code.to_bytes(2) + reason))
    assert peer.end().code == PROTOCOL_ERROR


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xe8" + b"x" * 124])
def test_a_close_frame_of_a_wrong_size_closes_with_1002(peer: Peer, payload: bytes) -> None:
    peer.send(frame(CLOSE, payload))
    assert peer.end().code == PROTOCOL_ERROR


def test_a_reason_that_is_not_utf_8_closes_with_1007(peer: Peer) -> None:
    peer.send(frame(CLOSE, b"\x03\xe8" + bytes.fromhex("cebae1bdb9cf83cebcceb5eda080656469746564")))
    assert peer.end().code == INVALID_TEXT


# 9 and 10: limits.


@pytest.mark.parametrize("size", [64, 1024, 1300, 65536, 131072])
def test_a_message_of_the_largest_size_is_read_in_fragments_of_any_size(peer: Peer, size: int) -> None:
    peer.send(*fragments(request(1, size=MAX_REQUEST_BYTES), size))
    assert peer.answer(1)["type"] == "ok"


@pytest.mark.parametrize("chop", [64, 997, 2048])
def test_a_message_of_the_largest_size_is_read_in_pieces_of_any_size(peer: Peer, chop: int) -> None:
    peer.send(frame(TEXT, request(1, size=MAX_REQUEST_BYTES)), chop=chop)
    assert peer.answer(1)["type"] == "ok"


@pytest.mark.parametrize("size", [1000, MAX_REQUEST_BYTES + 1])
def test_a_larger_message_closes_with_1009(peer: Peer, size: int) -> None:
    peer.send(*fragments(request(1, size=MAX_REQUEST_BYTES + 1), size))
    end = peer.end()
    assert end.code == TOO_BIG
    assert 1 not in [text.get("id") for text in end.texts]


def test_a_frame_that_only_claims_a_huge_size_costs_nothing(peer: Peer, gateway: GatewayProcess) -> None:
    peer.send(b"\x81\xff\x7f" + b"\xff" * 7 + bytes(4))
    with open_peer(gateway.port) as other:
        other.send(frame(TEXT, request(1)))
        assert other.answer(1)["type"] == "ok"


def test_a_thousand_messages_at_once_get_their_answers_in_order(peer: Peer) -> None:
    peer.send(*(frame(TEXT, request(number)) for number in range(1, 1001)))
    peer.answer(1000)
    assert [text["id"] for text in peer.texts] == list(range(1, 1001))


# 12 and 13: compression.

OFFERS = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=99",
    "permessage-deflate; unknown=1, permessage-bzip2, x-webkit-deflate-frame",
]


@pytest.mark.parametrize("offer", OFFERS)
def test_no_offer_of_compression_is_taken(gateway: GatewayProcess, offer: str) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as sock:
        head = upgrade_request(f"127.0.0.1:{gateway.port}", PATH, SUBPROTOCOL)[:-2]
        sock.sendall(head + f"Sec-WebSocket-Extensions: {offer}\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(1)
        assert b" 101 " in answer.split(b"\r\n")[0]
        assert b"sec-websocket-extensions" not in answer.lower()


def test_a_compressed_message_closes_with_1002(peer: Peer) -> None:
    peer.send(frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv=4))
    assert peer.end().code == PROTOCOL_ERROR
