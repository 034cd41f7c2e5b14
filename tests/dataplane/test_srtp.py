"""Our SRTP and libsrtp understand each other, for packets of every shape and in every order."""

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error as SrtpError

from sfu.dataplane.interface import DropReason
from sfu.dataplane.values import EncodingSpec
from sfu.wire.srtp import SrtpProfile
from tests.dataplane.core_with_clients import AUDIO, Client, ConsumerSpec, Rig, changed
from tools.light.wire.rtcp import PictureLossIndication
from tools.light.wire.rtp import encode, parse_header_untrusted

WINDOW = 1024
SENT_AS_IT_IS = changed(AUDIO, extension_ids={number: number for number in range(1, 256)})

profiles = st.sampled_from(list(SrtpProfile))
one_byte = st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16))
two_byte = st.tuples(st.integers(1, 255), st.binary(max_size=40))


@frozen
class Shape:
    """The shape of a packet, without its number."""

    payload: bytes
    marker: bool
    csrcs: list[int]
    extensions: list[tuple[int, bytes]]
    padding: int

    def encode(self, number: int) -> bytes:
        return encode(
            payload_type=111,
            sequence_number=number & 0xFFFF,
            timestamp=number * 960 & 0xFFFFFFFF,
            ssrc=1111,
            payload=self.payload,
            marker=self.marker,
            csrcs=self.csrcs,
            extensions=self.extensions,
            padding=self.padding,
        )


shapes = st.builds(
    Shape,
    payload=st.binary(min_size=1, max_size=60) | st.integers(1, 700).map(bytes),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15),
    extensions=st.lists(one_byte, max_size=4) | st.lists(two_byte, max_size=4),
    padding=st.sampled_from([0, 0, 1, 4, 255]),
)


def call(sending: SrtpProfile, receiving: SrtpProfile) -> tuple[Rig, Client, Client]:
    """A sender, and a receiver that gets everything, with the extensions under their own ids."""
    rig = Rig()
    sender, receiver = rig.client(sending), rig.client(receiving)
    rig.consume(receiver, rig.produce(sender, SENT_AS_IT_IS), ConsumerSpec(extension_ids=frozenset(range(256))))
    return rig, sender, receiver


@settings(derandomize=True, max_examples=300, deadline=None)
@given(sending=profiles, receiving=profiles, packets=st.lists(shapes, min_size=1, max_size=8))
def test_packets_of_every_shape_pass_from_one_libsrtp_to_another(
    sending: SrtpProfile, receiving: SrtpProfile, packets: list[Shape]
) -> None:
    rig, sender, receiver = call(sending, receiving)
    for number, shape in enumerate(packets):
        plain = shape.encode(number)
        sender.send(plain)
        (arrived,) = receiver.packets()
        before, after = parse_header_untrusted(plain), parse_header_untrusted(arrived)
        assert evolve(after, ssrc=0, sequence_number=0, payload_type=0, size=0) == evolve(
            before, ssrc=0, sequence_number=0, payload_type=0, size=0
        )
        assert arrived[after.size :] == plain[before.size :]
    assert rig.dropped() == {}


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    profile=profiles,
    start=st.sampled_from([0, 1, 32700, 65500, 65535]),
    arrivals=st.lists(st.tuples(st.integers(-1100, 40), st.sampled_from([1, 1, 1, 2])), max_size=60),
    jump=st.sampled_from([0, 0, 20000]),
)
def test_numbers_wrap_and_a_late_packet_passes_once_within_the_window(
    profile: SrtpProfile, start: int, arrivals: list[tuple[int, int]], jump: int
) -> None:
    """Each arrival is a step from the newest packet so far, and the number of times that it comes."""
    rig, sender, receiver = call(profile, profile)
    newest = start
    seen: set[int] = set()
    passed: set[int] = set()
    sealed: dict[int, bytes] = {}
    refused = 0
    for index, (step, times) in enumerate([(0, 1), *arrivals]):
        number = newest + step + (jump if step > 20 else 0)
        if number < start:
            continue
        if number not in sealed:
            try:
                sealed[number] = sender.sending.protect(encode_numbered(number, index))
            except SrtpError:
                continue  # too old for libsrtp to seal
        for _ in range(times):
            fresh = number > newest - WINDOW and number not in seen
            sender.arrive(sealed[number])
            arrived = receiver.packets()
            if fresh:
                seen.add(number)
                newest = max(newest, number)
            else:
                refused += 1
                assert arrived == []
            passed.update(int.from_bytes(packet[12:]) for packet in arrived)
    assert rig.dropped().get(DropReason.REPLAYED, 0) == refused
    assert passed <= seen
    assert newest in passed


def encode_numbered(number: int, index: int) -> bytes:
    """A packet with its number as payload."""
    return encode(
        payload_type=111, sequence_number=number & 0xFFFF, timestamp=index, ssrc=1111, payload=number.to_bytes(4)
    )


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    profile=profiles,
    ssrc=st.integers(1, 0xFFFFFFFF),
    bodies=st.lists(st.integers(0, 200).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words))),
)
def test_reports_are_opened_once_and_requests_sealed(profile: SrtpProfile, ssrc: int, bodies: list[bytes]) -> None:
    rig = Rig()
    client = rig.client(profile)
    producer = rig.produce(client, changed(AUDIO, encodings=[EncodingSpec(ssrc=ssrc)]))
    for body in bodies:
        rig.now += 1
        report = b"\x80\xcc" + (len(body) // 4 + 2).to_bytes(2) + ssrc.to_bytes(4) + b"name" + body
        sealed = client.sending.protect_rtcp(report)
        client.arrive(sealed)
        assert rig.core.media_heard_at(client.transport) == rig.now
        client.arrive(sealed)
        rig.core.request_key_frame(producer, 0, full_intra=False)
        ((*_, request),) = client.reports()
        assert request == PictureLossIndication(0, ssrc)
    assert rig.dropped().get(DropReason.REPLAYED, 0) == len(bodies)
    assert set(rig.dropped()) <= {DropReason.REPLAYED}


@settings(derandomize=True, max_examples=300, deadline=None)
@given(profile=profiles, shape=shapes, place=st.integers(0, 2000), bit=st.integers(0, 7), rtcp=st.booleans())
def test_a_packet_that_was_changed_anywhere_is_refused(
    profile: SrtpProfile, shape: Shape, place: int, bit: int, rtcp: bool
) -> None:
    rig, sender, receiver = call(profile, profile)
    report = b"\x81\xc9\x00\x07" + (1111).to_bytes(4) + bytes(24)
    sealed = bytearray(sender.sending.protect_rtcp(report) if rtcp else sender.sending.protect(shape.encode(1)))
    sealed[place % len(sealed)] ^= 1 << bit
    sender.arrive(bytes(sealed))
    assert receiver.datagrams() == []
    assert rig.core.media_heard_at(sender.transport) is None
