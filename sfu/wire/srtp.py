"""What DTLS-SRTP (RFC 5764) hands from the handshake to the packet path."""

import enum

from attrs import frozen


class SrtpProfile(enum.Enum):
    """The protection profiles we speak, by the names of RFC 5764 section 4.1.2 and RFC 7714 section 14.2."""

    AEAD_AES_128_GCM = "SRTP_AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "SRTP_AEAD_AES_256_GCM"
    AES128_CM_SHA1_80 = "SRTP_AES128_CM_SHA1_80"


@frozen(repr=False)
class SrtpKeys:
    """What DTLS agreed on: for each direction the master key followed by the master salt."""

    profile: SrtpProfile
    receive: bytes
    send: bytes
