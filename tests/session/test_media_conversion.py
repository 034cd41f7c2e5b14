"""Conversion of media objects between the classes of the wire and of the media side."""

import attrs
import pytest

import protocol.media
import sfu.parameters
from gateway.media_objects import convert, request_errors
from protocol.errors import ErrorCode, RequestError
from protocol.structuring import structure
from sfu import errors
from sfu.capabilities import ROUTER_CAPABILITIES
from tests.session.example_media import CAPABILITIES, opus, vp8


@pytest.mark.parametrize("wire", [opus(), vp8()])
def test_rtp_parameters_survive_the_way_there_and_back(wire: object) -> None:
    given = structure(wire, protocol.media.RtpParameters)
    inside = convert(given, sfu.parameters.RtpParameters)
    assert isinstance(inside.codecs[0], sfu.parameters.RtpCodecParameters)
    assert convert(inside, protocol.media.RtpParameters) == given


def test_capabilities_survive_the_way_there_and_back() -> None:
    given = structure(CAPABILITIES, protocol.media.RtpCapabilities)
    assert convert(convert(given, sfu.parameters.RtpCapabilities), protocol.media.RtpCapabilities) == given
    router = convert(ROUTER_CAPABILITIES, protocol.media.RtpCapabilities)
    assert convert(router, sfu.parameters.RtpCapabilities) == ROUTER_CAPABILITIES


def test_fields_that_the_target_lacks_are_left_out() -> None:
    given = protocol.media.RtpEncodingParameters(ssrc=7, max_framerate=30.0)
    inside = convert(given, sfu.parameters.RtpEncodingParameters)
    assert inside == sfu.parameters.RtpEncodingParameters(ssrc=7)


@pytest.mark.parametrize("name", [cls.__name__ for cls in protocol.media.MEDIA_CLASSES])
def test_the_media_side_names_no_field_that_the_wire_does_not_have(name: str) -> None:
    ours, wire = getattr(sfu.parameters, name), getattr(protocol.media, name)
    assert {field.name for field in attrs.fields(ours)} <= {field.name for field in attrs.fields(wire)}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Unsupported("x"), ErrorCode.UNSUPPORTED),
        (errors.NotFound("x"), ErrorCode.NOT_FOUND),
        (errors.Conflict("x"), ErrorCode.CONFLICT),
        (errors.WrongDirection("x"), ErrorCode.CONFLICT),
        (errors.LimitExceeded("x"), ErrorCode.LIMIT_EXCEEDED),
        (errors.InvalidParameters("x", "codecs[0]"), ErrorCode.INVALID),
    ],
)
def test_every_error_of_the_media_side_has_its_code(error: Exception, code: ErrorCode) -> None:
    with pytest.raises(RequestError) as refused, request_errors("rtpParameters"):
        raise error
    assert refused.value.code is code


@pytest.mark.parametrize(
    ("media_object", "path", "expected"),
    [
        ("rtpParameters", "codecs[0].payloadType", "data.rtpParameters.codecs[0].payloadType"),
        ("rtpParameters", "", "data.rtpParameters"),
        (None, "", "data"),
    ],
)
def test_the_path_of_an_invalid_field_begins_at_the_request(media_object: str | None, path: str, expected: str) -> None:
    with pytest.raises(RequestError) as refused, request_errors(media_object):
        raise errors.InvalidParameters("x", path)
    assert refused.value.path == expected


def test_other_exceptions_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), request_errors():
        raise ZeroDivisionError
