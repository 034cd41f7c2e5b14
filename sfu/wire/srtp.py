"""The keys that DTLS-SRTP (RFC 5764) hands from the handshake to the packet path."""

import enum
from typing import Final

from attrs import frozen

EXPORTER_LABEL: Final = b"EXTRACTOR-dtls_srtp"
"""The label under which both sides export the keying material (RFC 5764 section 4.2)."""


class SrtpProfile(enum.Enum):
    """The supported protection profiles, by their names in RFC 5764 section 4.1.2 and RFC 7714 section 14.2."""

    AEAD_AES_128_GCM = "SRTP_AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "SRTP_AEAD_AES_256_GCM"
    AES128_CM_SHA1_80 = "SRTP_AES128_CM_SHA1_80"

    @property
    def key_length(self) -> int:
        """Length of the master key in bytes."""
        return 32 if self is SrtpProfile.AEAD_AES_256_GCM else 16

    @property
    def salt_length(self) -> int:
        """Length of the master salt in bytes."""
        return 14 if self is SrtpProfile.AES128_CM_SHA1_80 else 12

    @property
    def keying_material_length(self) -> int:
        """Length of the keys and salts of both directions in bytes."""
        return 2 * (self.key_length + self.salt_length)


@frozen(repr=False)
class SrtpKeys:
    """The result of a handshake: for each direction the master key followed by the master salt."""

    profile: SrtpProfile
    receive: bytes
    send: bytes


def srtp_keys(profile: SrtpProfile, material: bytes, *, is_client: bool) -> SrtpKeys:
    """Split the exported keying material.  ``is_client`` is our role in the handshake.

    Its parts are the client's key, the server's key, the client's salt and the server's salt (RFC 5764 section 4.2).
    Raises ``ValueError`` if its length is not that of the profile.
    """
    if len(material) != profile.keying_material_length:
        raise ValueError(f"{profile.value} needs {profile.keying_material_length} bytes of keying material")
    keys, salts = material[: 2 * profile.key_length], material[2 * profile.key_length :]
    client = keys[: profile.key_length] + salts[: profile.salt_length]
    server = keys[profile.key_length :] + salts[profile.salt_length :]
    return SrtpKeys(profile, receive=server, send=client) if is_client else SrtpKeys(profile, client, server)
