"""Times as RTCP writes them."""

import pytest

from tools.light.wire import ntp


def test_seconds_become_32_bits_before_and_after_the_point() -> None:
    assert ntp.to_ntp(1.5) == 0x00000001_80000000
    assert ntp.from_ntp(0x00000001_80000000) == 1.5
    assert ntp.to_ntp(2**32 + 0.25) == 0x00000000_40000000


def test_times_are_converted_there_and_back() -> None:
    for seconds in (0.0, 12345.678901, 3_973_000_000.123456):
        assert ntp.from_ntp(ntp.to_ntp(seconds)) == pytest.approx(seconds, abs=1e-6)


def test_a_report_quotes_the_middle_of_a_timestamp() -> None:
    # The example of RFC 3550 section 6.4.1, figure 2: n, with its LSR and the DLSR of 5.25 s.
    assert ntp.middle(0xB44DB705_20000000) == 0xB7052000
    assert ntp.to_short(5.250) == 0x00054000


def test_a_duration_beyond_32_bits_becomes_the_nearest_value() -> None:
    assert ntp.to_short(-0.5) == 0
    assert ntp.to_short(1e9) == 0xFFFFFFFF
