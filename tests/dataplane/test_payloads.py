"""Key frames and layers, as payloads tell them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.dataplane.payload import INSPECTORS, Frame
from sfu.dataplane.payload.h264 import inspect_h264_untrusted
from sfu.dataplane.payload.vp8 import inspect_vp8_untrusted
from sfu.dataplane.payload.vp9 import inspect_vp9_untrusted
from tests.dataplane.vp8 import vp8


def inspect_vp8(payload: bytes) -> Frame:
    return inspect_vp8_untrusted(b"header" + payload, 6, True)


def test_a_vp8_key_frame_begins_where_its_first_partition_does() -> None:
    assert inspect_vp8(vp8(key=True)) == Frame(key=True, begins=True)
    assert inspect_vp8(vp8(key=False)) == Frame(key=False, begins=True)
    assert inspect_vp8(vp8(key=True, begins=False)) == Frame()
    # Another partition of the frame: S is set, but PID is 1.
    assert inspect_vp8(b"\x11\x00") == Frame()


def test_every_field_of_the_vp8_descriptor_is_found() -> None:
    frame = inspect_vp8(vp8(key=True, picture=300, tl0=7, temporal=2, sync=True))
    assert frame == Frame(
        key=True,
        begins=True,
        temporal=2,
        sync=True,
        picture=300,
        picture_at=8,
        picture_bits=15,
        tl0=7,
        tl0_at=10,
    )
    frame = inspect_vp8(vp8(picture=5, bits=7, tl0=9))
    assert (frame.picture, frame.picture_at, frame.picture_bits) == (5, 8, 7)
    assert (frame.tl0, frame.tl0_at, frame.temporal) == (9, 9, -1)


def test_a_vp8_key_index_without_a_layer_names_none() -> None:
    assert inspect_vp8(b"\x90\x10\x05\x00") == Frame(key=True, begins=True)


def inspect_vp9(payload: bytes) -> Frame:
    return inspect_vp9_untrusted(b"header" + payload, 6, True)


@pytest.mark.parametrize(
    ("payload", "frame"),
    [
        (b"\x08x", Frame(key=True, begins=True)),  # B
        (b"\x48x", Frame(begins=True)),  # P, B
        (b"\x00x", Frame()),
        (b"\x88\x05x", Frame(key=True, begins=True)),  # I with 7 bits, B
        (b"\x88\x85\x01x", Frame(key=True, begins=True)),  # I with 15 bits, B
        (b"\xa8\x05\x00x", Frame(key=True, begins=True, temporal=0)),  # I, L, B: TID 0, SID 0
        (b"\xa8\x05\x03x", Frame(temporal=0)),  # SID 1 of the same picture
        (b"\xf8\x85\x01\x50x", Frame(begins=True, temporal=2, switch_up=True)),  # flexible, TID 2, U
        (b"\xe8\x85\x01\x40\x09x", Frame(begins=True, temporal=2)),  # not flexible, TID 2
    ],
)
def test_vp9_key_pictures_and_layers_are_found(payload: bytes, frame: Frame) -> None:
    assert inspect_vp9(payload) == frame


@pytest.mark.parametrize(
    ("payload", "fresh", "key"),
    [
        (b"\x67sps", False, True),
        (b"\x65idr", True, True),
        (b"\x65another slice", False, False),
        (b"\x61slice", True, False),
        (b"\x68pps", True, False),
        (b"\x78\x00\x02\x67s\x00\x02\x68p", False, True),  # STAP-A: SPS, PPS
        (b"\x78\x00\x02\x68p\x00\x02\x65i", True, True),  # STAP-A: PPS, IDR
        (b"\x78\x00\x02\x61s\x00\x02\x61s", True, False),
        (b"\x7c\x85idr", True, True),  # FU-A, begins
        (b"\x7c\x05idr", True, False),  # FU-A, goes on
        (b"\x7c\x81slice", True, False),
    ],
)
def test_h264_key_frames_begin_with_parameters_or_a_fresh_idr_slice(payload: bytes, fresh: bool, key: bool) -> None:
    assert inspect_h264_untrusted(b"header" + payload, 6, fresh) == Frame(key=key, begins=fresh)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(codec=st.sampled_from(sorted(INSPECTORS)), payload=st.binary(max_size=12), fresh=st.booleans())
def test_any_payload_can_be_looked_at(codec: str, payload: bytes, fresh: bool) -> None:
    frame = INSPECTORS[codec](b"header" + payload, 6, fresh)
    size = 6 + len(payload)
    assert frame.picture < 0 or frame.picture_at + frame.picture_bits // 7 <= size
    assert frame.tl0 < 0 or frame.tl0_at < size


@pytest.mark.parametrize("codec", sorted(INSPECTORS))
def test_a_descriptor_that_is_cut_off_says_nothing(codec: str) -> None:
    assert not INSPECTORS[codec](b"header", 6, True).key
    assert not INSPECTORS[codec](b"header\xf8", 6, True).key
