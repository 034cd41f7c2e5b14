"""Candidates, in the order in which clients should try them."""

import pytest

from sfu.wire.candidates import host_candidates, passive_tcp_candidates


def test_a_single_host_candidate_has_the_priority_of_rfc_8445() -> None:
    [candidate] = host_candidates([("192.0.2.1", 40000)])
    assert candidate.priority == 2**24 * 126 + 2**8 * 65535 + 255  # section 5.1.2.1 with component 1
    assert (candidate.address, candidate.ip, candidate.port) == ("192.0.2.1", "192.0.2.1", 40000)
    assert (candidate.protocol, candidate.type) == ("udp", "host")


def test_ipv6_comes_first_and_otherwise_the_given_order() -> None:
    candidates = host_candidates([("192.0.2.1", 1), ("2001:db8::1", 2), ("192.0.2.2", 3), ("2001:db8::2", 4)])
    assert [candidate.port for candidate in candidates] == [2, 4, 1, 3]
    priorities = [candidate.priority for candidate in candidates]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == 4


def test_loopback_comes_last_in_both_families() -> None:
    candidates = host_candidates([("127.0.0.1", 1), ("::1", 2), ("192.0.2.1", 3), ("127.0.0.2", 4), ("2001:db8::1", 5)])
    assert [candidate.port for candidate in candidates] == [5, 3, 2, 1, 4]


def test_candidates_on_different_addresses_have_different_foundations() -> None:
    candidates = host_candidates([("192.0.2.1", 1), ("192.0.2.2", 1), ("::1", 1)])
    foundations = {candidate.foundation for candidate in candidates}
    assert len(foundations) == 3
    assert all(1 <= len(foundation) <= 32 and foundation.isalnum() for foundation in foundations)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "localhost", ""])
def test_an_unusable_address_is_no_candidate(host: str) -> None:
    with pytest.raises(ValueError):
        host_candidates([(host, 40000)])


def test_tcp_candidates_are_passive_and_come_after_every_udp_candidate() -> None:
    addresses = [("127.0.0.1", 8080), ("192.0.2.1", 8080), ("2001:db8::1", 443)]
    udp = host_candidates((host, 40000) for host, _ in addresses)
    tcp = passive_tcp_candidates(addresses, udp)
    assert [(one.address, one.port) for one in tcp] == [("2001:db8::1", 443), ("192.0.2.1", 8080), ("127.0.0.1", 8080)]
    assert {(one.protocol, one.tcp_type, one.type) for one in tcp} == {("tcp", "passive", "host")}
    priorities = [one.priority for one in udp + tcp]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == 6
    assert len({one.foundation for one in udp + tcp}) == 6


def test_a_passive_candidate_has_the_priority_of_rfc_6544() -> None:
    [candidate] = passive_tcp_candidates([("192.0.2.1", 8080)])
    assert candidate.priority == 2**24 * 90 + 2**8 * (2**13 * 4 + 2**13 - 1) + 255  # section 4.2
