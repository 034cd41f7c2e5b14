"""ICE credentials are long, and come from the given source."""

import random
import re

from sfu.wire.ice import new_ice_parameters


def test_credentials_are_long_ice_chars_and_come_from_the_given_source() -> None:
    credentials = new_ice_parameters(random.Random(5).randbytes)
    assert re.fullmatch(r"[A-Za-z0-9+/]{16}", credentials.username_fragment)
    assert re.fullmatch(r"[A-Za-z0-9+/]{32}", credentials.password)
    assert credentials.ice_lite
    assert new_ice_parameters(random.Random(5).randbytes) == credentials
    assert new_ice_parameters(random.Random(6).randbytes) != credentials
