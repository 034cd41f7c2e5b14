"""The tool behind ``make interop``: it notices lost packets, and never hangs."""

import struct
import sys

import pytest
import trio

from protocol.vocabulary import MediaKind
from tools.interop.media import Comparison, PacketTally, begins_key_frame, opus_frame, video_frame
from tools.interop.page import table
from tools.interop.program import ProgramFailed, running_program
from tools.interop.run import ScenarioResult
from tools.interop.scenario import SCENARIOS


def packet(payload: bytes, sequence: int, padding: int = 0) -> bytes:
    end = bytes(padding - 1) + bytes([padding]) if padding else b""
    return struct.pack("!BBHII", 0x80 | bool(padding) << 5, 96, sequence, 0, 7) + payload + end


@pytest.mark.parametrize("mime_type", ["video/VP8", "video/H264"])
def test_only_the_first_packet_of_a_key_frame_begins_it(mime_type: str) -> None:
    key = video_frame(mime_type, 0, 5, key=True)
    assert [begins_key_frame(mime_type, payload) for payload in key] == [True] + [False] * (len(key) - 1)
    assert not begins_key_frame(mime_type, video_frame(mime_type, 0, 5, key=False)[0])


@pytest.mark.parametrize("padding", [0, 1, 15])
def test_the_number_of_a_packet_is_read_with_or_without_padding(padding: int) -> None:
    tally = PacketTally("audio/opus")
    for number in (70_000, 70_001, 70_003):
        tally.take_untrusted(packet(opus_frame(number)[0], number & 0xFFFF, padding))
    assert tally.numbers == [70_000, 70_001, 70_003]
    assert tally.holes == 1


def test_a_packet_of_padding_is_neither_media_nor_a_hole() -> None:
    tally = PacketTally("audio/opus")
    tally.take_untrusted(packet(opus_frame(0)[0], 65_535))
    tally.take_untrusted(packet(b"", 0, padding=200))
    tally.take_untrusted(packet(opus_frame(1)[0], 1))
    assert (tally.numbers, tally.holes) == ([0, 1], 0)


def test_garbage_is_not_counted() -> None:
    tally = PacketTally("video/VP8")
    for garbage in (b"", b"\x80", packet(b"x", 1, padding=3)[:-3] + b"\xff"):
        assert tally.take_untrusted(garbage) is None
    assert tally.numbers == []


@pytest.mark.parametrize(
    ("numbers", "problems"),
    [
        ([3, 4, 5, 6, 7, 8, 9], []),
        ([5, 3, 4, 6, 9, 8, 7], []),
        ([3, 4, 6, 7, 8, 9], ["1 of 7 audio packets were lost"]),
        ([3, 4, 5, 6, 7], ["2 of 7 audio packets were lost"]),
        ([3, 4, 5, 5, 6, 7, 8, 9], ["1 audio packets came twice"]),
        ([], ["no audio arrived"]),
    ],
)
def test_losses_after_the_first_received_packet_are_reported(numbers: list[int], problems: list[str]) -> None:
    kind: MediaKind = "audio"
    assert Comparison(kind, 10, numbers).problems() == problems


def test_the_page_has_a_row_for_each_scenario_and_lists_failures_and_gaps() -> None:
    works, fails, other = SCENARIOS[:3]
    results = [
        ScenarioResult("Pion", works, "works"),
        ScenarioResult("Pion", fails, "fails", ("no audio came",)),
        ScenarioResult("Pion", other, "not tried", ("it cannot",)),
    ]
    text = table({"Pion": "4.2", "str0m": ""}, {"str0m": "there is no cargo"}, results)
    assert text.splitlines() == [
        "| the client | Pion 4.2 |",
        "|---|---|",
        f"| {works.name} | works |",
        f"| {fails.name} | **fails** |",
        f"| {other.name} | – |",
        "",
        "What fails:",
        "",
        f"- Pion, {fails.name}: no audio came.",
        "",
        "What was not tried, and why:",
        "",
        f"- Pion: it cannot ({other.name}).",
        "- str0m: it was not built, there is no cargo.",
    ]


async def test_a_program_reports_its_events_and_ends_when_asked_to() -> None:
    script = 'import sys; print(\'{"event": "done", "sent": 3}\', flush=True); sys.stdin.read()'
    async with running_program((sys.executable, "-c", script), {}) as program:
        assert (await program.until("done", 10))["sent"] == 3
        await program.leave()


async def test_the_error_output_of_a_program_that_ended_is_raised() -> None:
    async with running_program((sys.executable, "-c", "import sys; sys.exit('no way to the gateway')"), {}) as program:
        with pytest.raises(ProgramFailed, match="no way to the gateway"):
            await program.until("done", 10)


async def test_a_hanging_program_is_killed() -> None:
    async with running_program((sys.executable, "-c", "import time; time.sleep(600)"), {}) as program:
        with pytest.raises(ProgramFailed, match=r"within 0\.2 s"):
            await program.until("done", 0.2)
    with trio.fail_after(1):
        await program.process.wait()
    assert program.process.returncode != 0
