"""Media goes to one path of a transport and may come from each of its paths."""

from sfu.dataplane.interface import Path
from tests.dataplane.core_with_clients import Rig


def test_a_consumer_gets_nothing_until_its_transport_has_keys_and_a_path() -> None:
    rig = Rig()
    sender, late = rig.client(), rig.client(connected=False)
    producer = rig.produce(sender)
    consumer = rig.consume(late, producer)
    sender.send_rtp(1)
    rig.core.set_keys(late.transport, late.keys)
    sender.send_rtp(2)
    assert rig.core.consumer_stats(consumer).packets == 0
    assert rig.dropped() == {}
    late.check()
    sender.send_rtp(3)
    assert len(late.packets()) == 1


def test_media_goes_to_the_first_path_until_another_is_chosen() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    other = Path("2001:db8::1", 5, 1)
    receiver.check(other)
    sender.send_rtp(1)
    receiver.check(other, nominate=True)
    sender.send_rtp(2)
    assert [path for path, _ in rig.sent] == [receiver.path, other]


def test_media_is_accepted_from_every_known_path() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    sender.send_rtp(1)
    sender.path = Path("192.0.2.99", 1)
    sender.check()
    sender.send_rtp(2)
    assert len(receiver.packets()) == 2


def test_a_transport_keeps_its_newest_paths_and_the_one_it_sends_on() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    first = sender.path
    others = [Path("192.0.2.200", port) for port in range(1, 17)]
    for path in others:
        sender.check(path)
    assert rig.core.totals().paths == 16 + 1
    for number, path in enumerate((others[0], first, others[1], others[-1])):
        sender.path = path
        sender.send_rtp(number)
        assert len(receiver.packets()) == (path != others[0])


def test_a_path_that_is_added_again_is_the_newest() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    paths = [Path("192.0.2.200", port) for port in range(1, 18)]
    for path in (*paths[:15], paths[0], *paths[15:]):
        sender.check(path)
    for number, path in enumerate((paths[1], paths[0])):
        sender.path = path
        sender.send_rtp(number)
        assert len(receiver.packets()) == (path == paths[0])


def test_a_silent_path_of_another_transport_moves() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    newcomer = rig.client(connected=False)
    rig.core.set_keys(newcomer.transport, newcomer.keys)
    sender.send_rtp(1)
    newcomer.check(receiver.path)
    assert rig.core.totals().paths == 2
    rig.now += 7
    newcomer.check(receiver.path)
    sender.send_rtp(2)
    assert len(rig.sent) == 1
    assert rig.core.totals().paths == 2
    assert rig.dropped() == {}
    moved = Path("192.0.2.77", 7)
    receiver.check(moved)
    sender.send_rtp(3)
    assert [path for path, _ in rig.sent] == [receiver.path, moved]
