"""SRTP and SRTCP of one transport (RFC 3711, RFC 7714), by libsrtp."""

from collections.abc import Callable

from pylibsrtp import Error, Policy, Session

from sfu.dataplane.interface import Drop
from sfu.wire.srtp import SrtpKeys, SrtpProfile

_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
_REPLAY_WINDOW = 1024  # packets; 0.1 s of a fast video, and what browsers use

MAX_DATAGRAM = 1500
"""The largest SRTP datagram that can be opened, in bytes: the binding's buffer."""
MAX_PLAIN_RTP = MAX_DATAGRAM - 144
"""The largest RTP packet that can be sealed: that buffer less the longest trailer libsrtp might add."""


class SrtpTransport:
    """Opens what a transport receives and seals what it sends.

    libsrtp keeps a context per SSRC.  A receiving one begins with the first packet that authenticates, and ends with
    :meth:`forget_received`; a sending one begins with the first packet sealed, and ends with :meth:`forget_sent`.
    """

    __slots__ = ("__weakref__", "_receiving", "_sending", "open_rtcp", "open_rtp", "seal_rtcp", "seal_rtp")

    def __init__(self, keys: SrtpKeys) -> None:
        """Raises ``ValueError`` for keys that are too short for their profile."""
        self._receiving = Session(_policy(keys.profile, keys.receive, Policy.SSRC_ANY_INBOUND))
        self._sending = Session(_policy(keys.profile, keys.send, Policy.SSRC_ANY_OUTBOUND))
        # Bound once: these run per packet.  They raise ``pylibsrtp.Error``, and ``ValueError`` for too long a packet.
        self.open_rtp: Callable[[bytes], bytes] = self._receiving.unprotect
        self.open_rtcp: Callable[[bytes], bytes] = self._receiving.unprotect_rtcp
        self.seal_rtp: Callable[[bytes], bytes] = self._sending.protect
        self.seal_rtcp: Callable[[bytes], bytes] = self._sending.protect_rtcp

    def forget_received(self, ssrc: int) -> None:
        _remove_stream(self._receiving, ssrc)

    def forget_sent(self, ssrc: int) -> None:
        """Only for an SSRC that is never sent again: its packet index would begin anew under the same key."""
        _remove_stream(self._sending, ssrc)


def opening_drop(error: Error) -> Drop:
    """Why libsrtp did not open a packet."""
    return Drop.REPLAYED if str(error).startswith("replay") else Drop.UNAUTHENTIC


def _policy(profile: SrtpProfile, key: bytes, direction: int) -> Policy:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=_PROFILES[profile])
    policy.window_size = _REPLAY_WINDOW
    return policy


def _remove_stream(session: Session, ssrc: int) -> None:
    try:
        session.remove_stream(ssrc)
    except Error:
        # Nothing was ever received or sent with it.
        return
