"""Whatever arrives, nothing is raised and no other client is disturbed."""

from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error as SrtpError

from sfu.dataplane.interface import Path
from tests.dataplane.core_with_clients import AUDIO, VIDEO, Rig, changed
from tests.dataplane.vp8 import vp8
from tools.light.wire.rtp import encode

MEDIA = encode(
    payload_type=96, sequence_number=9, timestamp=1, ssrc=2222, payload=vp8(key=True), extensions=[(1, b"a")]
)
REPORT = b"\x81\xc9\x00\x07" + bytes(28)


@settings(derandomize=True, max_examples=400, deadline=None)
@given(
    start=st.sampled_from(["media", "report", "plain media", "plain report", "noise"]),
    noise=st.binary(max_size=60),
    changes=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 100),
    from_nowhere=st.booleans(),
)
def test_mutated_datagrams_raise_nothing_and_disturb_no_other_client(
    start: str, noise: bytes, changes: list[tuple[int, int]], cut: int, from_nowhere: bool
) -> None:
    rig = Rig()
    sender, _, _, _ = rig.call(VIDEO)
    other, _, listener, _ = rig.call(AUDIO)
    datagram = bytearray(
        {
            "media": sender.sending.protect(MEDIA),
            "report": sender.sending.protect_rtcp(REPORT),
            "plain media": MEDIA,
            "plain report": REPORT,
            "noise": noise,
        }[start]
    )
    for at, value in changes:
        if at < len(datagram):
            datagram[at] = value
    other.send_rtp(1)
    path = Path("203.0.113.1", 1) if from_nowhere else sender.path
    rig.core.receive(bytes(datagram[: len(datagram) - cut]) if cut < 50 else bytes(datagram), path, rig.now)
    other.send_rtp(2)
    first, second = listener.headers()
    assert second.sequence_number == first.sequence_number + 1
    assert rig.traffic()["packets_in"] == 3
    assert sum(rig.core.totals().drops.values()) <= 1


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    codec=st.sampled_from(["video/vp8", "video/vp9", "video/h264"]),
    payloads=st.lists(st.binary(min_size=1, max_size=12), max_size=8),
    flags=st.integers(0, 63),
)
def test_a_client_with_keys_may_send_any_payload_under_any_header(
    codec: str, payloads: list[bytes], flags: int
) -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call(changed(VIDEO, codec=codec))
    for number, payload in enumerate(payloads):
        plain = encode(payload_type=96, sequence_number=number, timestamp=number, ssrc=2222, payload=payload)
        try:
            sealed = sender.sending.protect(bytes((0x80 | flags,)) + plain[1:])
        except SrtpError:
            continue  # libsrtp does not seal a header that is longer than its packet
        sender.arrive(sealed)
        rig.core.set_layers(consumer, 0, number % 3)
    rig.events()
    assert rig.traffic()["packets_out"] == len(receiver.packets()) == rig.core.consumer_stats(consumer).packets
    assert rig.core.producer_stats(producer).encodings[0].packets <= len(payloads)
