"""The data plane's commands, and what Python defines for them: identifiers, paths and the reasons of drops.

``sfu/_dataplane.pyi`` describes the commands.  Specifications, events and statistics are in ``values``.
"""

import enum
from typing import NamedTuple, NewType

from sfu._dataplane import DataPlane

__all__ = ["ConsumerId", "Crossing", "DataPlane", "DropReason", "Path", "ProducerId", "TransportId"]

TransportId = NewType("TransportId", int)
ProducerId = NewType("ProducerId", int)
ConsumerId = NewType("ConsumerId", int)


class Path(NamedTuple):
    """The two ends of a datagram: the remote address, and the index of our socket."""

    host: str
    port: int
    local: int = 0


class DropReason(enum.StrEnum):
    """Why a datagram or a copy of a packet was dropped; the label of the drop counters."""

    EMPTY = "empty"
    OVERSIZED = "oversized"
    UNKNOWN_PROTOCOL = "unknown_protocol"
    UNKNOWN_ADDRESS = "unknown_address"
    NO_KEYS = "no_keys"
    MALFORMED_RTP = "malformed_rtp"
    MALFORMED_RTCP = "malformed_rtcp"
    UNAUTHENTIC = "unauthentic"
    REPLAYED = "replayed"
    TOO_MANY_SOURCES = "too_many_sources"
    UNKNOWN_STREAM = "unknown_stream"
    UNKNOWN_PAYLOAD_TYPE = "unknown_payload_type"
    PADDING_ONLY = "padding_only"
    PRODUCER_PAUSED = "producer_paused"
    PRODUCER_MUTED = "producer_muted"
    SEND_WOULD_BLOCK = "send_would_block"
    SEND_FAILED = "send_failed"
    EVENTS_FULL = "events_full"
    MALFORMED_STUN = "malformed_stun"
    UNKNOWN_USERNAME = "unknown_username"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a label, not a secret
    UNEXPECTED_STUN = "unexpected_stun"
    REPLAYED_BINDING = "replayed_binding"
    UNPROVEN_PATH = "unproven_path"
    TOO_MANY_BINDINGS = "too_many_bindings"
    TOO_MUCH_DTLS = "too_much_dtls"
    TOO_MUCH_RTCP = "too_much_rtcp"
    TOO_MUCH_MEDIA = "too_much_media"
    REPAIR_NOT_NEEDED = "repair_not_needed"
    RESEND_NOT_STORED = "resend_not_stored"
    RESEND_TOO_SOON = "resend_too_soon"
    RESEND_TOO_OFTEN = "resend_too_often"
    RESEND_OVER_BUDGET = "resend_over_budget"
    RESEND_AWAITS_KEY_FRAME = "resend_awaits_key_frame"
    TOO_MANY_NACKS = "too_many_nacks"
    TOO_MUCH_FEEDBACK = "too_much_feedback"
    # The slow path counts these through ``count_drop``.
    MALFORMED_DTLS = "malformed_dtls"
    UNEXPECTED_DTLS = "unexpected_dtls"


class Crossing(enum.StrEnum):
    """The watermark that an estimate of the bandwidth to a client crossed."""

    BELOW_USED = "below_used"
    """The path carries less than what is in use: send less at once."""
    NEXT_PROVEN = "next_proven"
    """The path has carried the next step for long enough: the step may be taken."""
    BLIND = "blind"
    """Packets leave, and no feedback comes: the estimate is worth nothing."""
    HEARD = "heard"
    """Feedback comes again."""
