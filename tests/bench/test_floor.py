"""The floor encrypts as SRTP does, and sends its plan."""

import os
import shutil
import socket
from collections import Counter

import pytest
from pylibsrtp import Policy, Session

from tools.bench.beside import floor
from tools.bench.beside.scenarios import CallScenario
from tools.light.media_loop import constant_loop

SECONDS = 0.2
VIDEO = constant_loop("video", rate=20, packets=3, payload_size=700)
AUDIO = constant_loop("audio", rate=50, packets=1, payload_size=90)
SCENARIO = CallScenario("one-to-two", "one to two", (VIDEO, AUDIO), publishers=1, members=3)


@pytest.fixture(scope="module")
def program() -> str:
    if shutil.which("cargo") is None:
        pytest.skip("the floor is a program in Rust, and there is no cargo")
    return floor.build()


def test_session_keys_are_those_of_the_rfc() -> None:
    # RFC 3711 appendix B.3, whose salt has 112 bits.
    master = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139" + "0EC675AD498AFEEBB6960B3AABE6")
    key, salt = floor.session_keys(master)
    assert key.hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert salt.hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"[: 2 * len(salt)]


def receivers(count: int) -> list[socket.socket]:
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for sock in made:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
    return made


def opened(sock: socket.socket, key: bytes) -> list[bytes]:
    policy = Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    session, packets = Session(policy), []
    while True:
        try:
            packets.append(session.unprotect(sock.recv(2048)))
        except BlockingIOError:
            return packets


@pytest.mark.parametrize("segmented", [False, True], ids=["one by one", "segmented"])
async def test_all_packets_of_a_plan_arrive_and_decrypt(program: str, segmented: bool) -> None:
    socks, keys = receivers(3), [os.urandom(28) for _ in range(3)]
    text = floor.plan(
        SCENARIO,
        SECONDS,
        [(sock.getsockname(), key) for sock, key in zip(socks, keys, strict=True)],
        segmented=segmented,
    )
    measured = await floor.run(program, (), text, SECONDS)
    got = [opened(sock, key) for sock, key in zip(socks, keys, strict=True)]
    for sock in socks:
        sock.close()
    assert [Counter(len(packet) for packet in packets) for packets in got] == [
        {},
        {712: 12, 102: 10},
        {712: 12, 102: 10},
    ]
    numbers = [int.from_bytes(packet[2:4]) for packet in got[1] if len(packet) == 712]
    assert numbers == list(range(12))
    assert measured.packets == sum(map(len, got))
    assert measured.sends == (2 * (4 + 10) if segmented else measured.packets)
    assert 0 < measured.cpu < SECONDS + 1


async def test_it_refuses_text_that_is_no_plan(program: str) -> None:
    with pytest.raises(floor.NoFloor, match="missing field `streams`"):
        await floor.run(program, (), '{"seconds": 1, "segmented": false, "receivers": []}', 1)
