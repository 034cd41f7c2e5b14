"""Exported keying material is split as RFC 5764 section 4.2 says."""

import pytest

from sfu.wire.srtp import SrtpProfile, srtp_keys


def test_keying_material_is_both_keys_and_then_both_salts() -> None:
    material = b"C" * 16 + b"S" * 16 + b"c" * 12 + b"s" * 12
    client = srtp_keys(SrtpProfile.AEAD_AES_128_GCM, material, is_client=True)
    assert client.send == b"C" * 16 + b"c" * 12
    assert client.receive == b"S" * 16 + b"s" * 12
    server = srtp_keys(SrtpProfile.AEAD_AES_128_GCM, material, is_client=False)
    assert (server.send, server.receive) == (client.receive, client.send)


@pytest.mark.parametrize(
    ("profile", "key", "salt"),
    [
        (SrtpProfile.AEAD_AES_128_GCM, 16, 12),
        (SrtpProfile.AEAD_AES_256_GCM, 32, 12),
        (SrtpProfile.AES128_CM_SHA1_80, 16, 14),
    ],
)
def test_key_lengths_are_those_of_the_profile(profile: SrtpProfile, key: int, salt: int) -> None:
    assert (profile.key_length, profile.salt_length) == (key, salt)
    keys = srtp_keys(profile, bytes(2 * (key + salt)), is_client=True)
    assert len(keys.send) == len(keys.receive) == key + salt
    with pytest.raises(ValueError, match=profile.value):
        srtp_keys(profile, bytes(2 * (key + salt) - 1), is_client=True)


def test_keys_do_not_appear_in_logs() -> None:
    keys = srtp_keys(SrtpProfile.AEAD_AES_128_GCM, b"secret!!" * 7, is_client=True)
    assert "secret" not in repr(keys)
