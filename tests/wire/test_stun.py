"""Binding requests are read strictly, and answered as RFC 8489 says; nothing but BadDatagram gets out."""

import binascii
import contextlib
import hashlib
import hmac
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.wire.errors import BadDatagram, UnexpectedMessage
from sfu.wire.stun import (
    MAX_SIZE,
    binding_success,
    parse_binding_request_untrusted,
    role_conflict,
    unknown_attributes,
)
from tests.wire.binding import TRANSACTION_ID, attribute, message, request, sealed

# RFC 5769 section 2.1
RFC_5769_PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
RFC_5769_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)

PASSWORD = "the-password-of-our-side"
REQUEST = request("ours:theirs", PASSWORD)
USERNAME = attribute(0x0006, b"ours:theirs")


def test_the_sample_request_of_rfc_5769_is_read_and_authentic() -> None:
    parsed = parse_binding_request_untrusted(RFC_5769_REQUEST)
    assert parsed.username == "evtj:h6vY"
    assert parsed.local_ufrag == "evtj"
    assert parsed.transaction_id == bytes.fromhex("b7e7a701bc34d686fa87dfae")
    assert parsed.controlled
    assert not parsed.use_candidate
    assert parsed.unknown_attributes == ()
    assert parsed.is_authentic(RFC_5769_PASSWORD)
    assert not parsed.is_authentic(RFC_5769_PASSWORD + "x")


@pytest.mark.parametrize(
    ("host", "attribute_of_the_rfc"),
    [
        ("192.0.2.1", "002000080001a147e112a643"),  # section 2.2
        ("2001:db8:1234:5678:11:2233:4455:6677", "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"),  # section 2.3
    ],
)
def test_the_mapped_addresses_of_rfc_5769_are_written_byte_for_byte(host: str, attribute_of_the_rfc: str) -> None:
    answer = binding_success(parse_binding_request_untrusted(RFC_5769_REQUEST), host, 32853, PASSWORD)
    expected = bytes.fromhex(attribute_of_the_rfc)
    assert answer[:2] == b"\x01\x01"
    assert answer[20 : 20 + len(expected)] == expected


def test_an_answer_carries_integrity_over_all_before_it_and_a_last_fingerprint() -> None:
    answer = binding_success(parse_binding_request_untrusted(REQUEST), "192.0.2.1", 1, PASSWORD)
    assert answer[4:20] == b"\x21\x12\xa4\x42" + TRANSACTION_ID
    assert int.from_bytes(answer[2:4], "big") == len(answer) - 20

    # Each is computed over a header whose length ends with the attribute itself (RFC 8489 sections 14.5 and 14.7).
    before_integrity = answer[:-32]
    covered = before_integrity[:2] + struct.pack("!H", len(answer) - 28) + before_integrity[4:]
    digest = hmac.new(PASSWORD.encode(), covered, hashlib.sha1).digest()
    assert answer[-32:-8] == bytes.fromhex("00080014") + digest
    assert answer[-8:] == bytes.fromhex("80280004") + struct.pack("!I", binascii.crc32(answer[:-8]) ^ 0x5354554E)


def test_a_role_conflict_is_answered_with_487() -> None:
    answer = role_conflict(parse_binding_request_untrusted(REQUEST), PASSWORD)
    assert answer[:2] == b"\x01\x11"
    assert answer[20:41] == b"\x00\x09\x00\x11\x00\x00\x04\x57Role Conflict"


def test_unknown_required_attributes_are_named_in_the_420_answer() -> None:
    parsed = parse_binding_request_untrusted(
        request("ours:theirs", PASSWORD, attribute(0x7F01, b"?"), attribute(0x0035, b""), attribute(0xC057, b"ignored"))
    )
    assert parsed.unknown_attributes == (0x7F01, 0x0035)
    answer = unknown_attributes(parsed, PASSWORD)
    assert answer[:2] == b"\x01\x11"
    assert attribute(0x0009, b"\x00\x00\x04\x14Unknown Attribute") in answer
    assert attribute(0x000A, b"\x7f\x01\x00\x35") in answer


def test_nomination_is_seen() -> None:
    assert parse_binding_request_untrusted(request("a:b", PASSWORD, nominate=True)).use_candidate
    assert not parse_binding_request_untrusted(request("a:b", PASSWORD)).use_candidate


def test_a_request_without_a_fingerprint_is_taken() -> None:
    without = REQUEST[:-8]
    without = without[:2] + struct.pack("!H", len(without) - 20) + without[4:]
    assert parse_binding_request_untrusted(without).is_authentic(PASSWORD)


def test_what_follows_the_integrity_is_not_believed() -> None:
    before = message(USERNAME)
    integrity = sealed(before, PASSWORD)[len(before) : -8]
    raw = message(USERNAME, integrity, attribute(0x0025, b""), attribute(0x7F01, b""))
    parsed = parse_binding_request_untrusted(raw)
    assert parsed.is_authentic(PASSWORD)
    assert not parsed.use_candidate
    assert parsed.unknown_attributes == ()


@pytest.mark.parametrize(
    "message_type",
    [0x0011, 0x0101, 0x0111, 0x0003, 0x0FFF],
    ids=["indication", "success", "error", "allocate", "unknown method"],
)
def test_stun_that_asks_nothing_of_us_is_unexpected(message_type: int) -> None:
    with pytest.raises(UnexpectedMessage):
        parse_binding_request_untrusted(sealed(message(USERNAME, message_type=message_type), PASSWORD))


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(REQUEST[:19], id="less than a header"),
        pytest.param(REQUEST[:-1], id="truncated"),
        pytest.param(REQUEST + b"\0\0\0\0", id="trailing bytes"),
        pytest.param(REQUEST[:4] + b"\0\0\0\0" + REQUEST[8:], id="no cookie"),
        pytest.param(REQUEST[:-1] + bytes([REQUEST[-1] ^ 1]), id="wrong fingerprint"),
        pytest.param(sealed(message(), PASSWORD), id="no username"),
        pytest.param(request("nocolon", PASSWORD), id="username without colon"),
        pytest.param(sealed(message(attribute(6, b"\xff:\xff")), PASSWORD), id="username not UTF-8"),
        pytest.param(message(USERNAME), id="no integrity"),
        pytest.param(message(USERNAME, attribute(8, bytes(19))), id="short integrity"),
        pytest.param(request("a:b", PASSWORD, attribute(6, b"c:d")), id="two usernames"),
        pytest.param(message(USERNAME, struct.pack("!HH", 0x24, 400)), id="attribute longer than the message"),
        pytest.param(sealed(message(USERNAME, attribute(0x24, b"1")), PASSWORD), id="priority of one byte"),
        pytest.param(sealed(message(USERNAME, attribute(0x20, b"")), PASSWORD), id="empty address"),
        pytest.param(request("a:b", PASSWORD, attribute(0x8022, bytes(MAX_SIZE))), id="too large"),
    ],
)
def test_malformed_stun_is_refused(datagram: bytes) -> None:
    with pytest.raises(BadDatagram) as caught:
        parse_binding_request_untrusted(datagram)
    assert caught.type is BadDatagram


def test_nothing_may_follow_the_fingerprint() -> None:
    fingerprint = attribute(0x8028, bytes(4))
    with pytest.raises(BadDatagram, match="follows the fingerprint"):
        parse_binding_request_untrusted(message(USERNAME, fingerprint, attribute(0x0025, b"")))


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.data())
def test_mutated_stun_raises_nothing_but_bad_datagram(data: st.DataObject) -> None:
    datagram = bytearray(data.draw(st.sampled_from([REQUEST, RFC_5769_REQUEST])))
    for position in data.draw(st.lists(st.integers(0, len(datagram) - 1), max_size=4)):
        datagram[position] = data.draw(st.integers(0, 255))
    del datagram[data.draw(st.integers(20, len(datagram))) :]
    if data.draw(st.booleans()):
        datagram[2:4] = struct.pack("!H", len(datagram) - 20)
    with contextlib.suppress(BadDatagram):
        parse_binding_request_untrusted(bytes(datagram)).is_authentic(PASSWORD)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.lists(
        st.builds(
            attribute,
            st.sampled_from([0x0006, 0x0008, 0x0009, 0x0013, 0x0020, 0x0024, 0x0025, 0x8028, 0x802A, 0x7FFF]),
            st.binary(max_size=24),
        ),
        max_size=5,
    )
)
def test_attributes_of_any_content_raise_nothing_but_bad_datagram(attributes: list[bytes]) -> None:
    with contextlib.suppress(BadDatagram):
        parse_binding_request_untrusted(sealed(message(*attributes), PASSWORD))
