"""The scenarios to play with each client.  They are the rows of the table."""

from __future__ import annotations

from typing import Any, Final, Literal

import attrs
from attrs import frozen

Direction = Literal["send", "receive"]


@frozen
class Scenario:
    """One scenario.

    ``direction`` and ``role`` (in DTLS) are the program's.  ``variation`` names the unusual part, if there is one.
    ``seconds`` is the length of the media.  ``addresses`` is how many candidates the gateway has.  ``first`` has the
    first sequence numbers of audio and video, which are random without it.  ``gap`` seconds of media may be lost.
    """

    name: str
    direction: Direction
    variation: str = ""
    role: Literal["client", "server"] = "client"
    video: Literal["video/VP8", "video/H264"] = "video/VP8"
    seconds: float = 4.0
    addresses: int = 1
    first: tuple[int, int] | None = None
    gap: float = 0.0

    def settings(self) -> dict[str, Any]:
        """The settings for the program."""
        settings = attrs.asdict(self, filter=lambda attribute, _: attribute.name not in ("name", "addresses", "gap"))
        return {**settings, "first": self.first and dict(zip(("audio", "video"), self.first, strict=True))}


SCENARIOS: Final = (
    Scenario("sends, as DTLS client", "send"),
    Scenario("sends, as DTLS server", "send", role="server"),
    Scenario("sends, two candidates to choose from", "send", addresses=2),
    Scenario("sends H264", "send", video="video/H264"),
    Scenario("sends RTP padding", "send", "padding"),
    Scenario("sends H264 with RTP padding", "send", "padding", video="video/H264"),
    Scenario("sends packets of padding alone", "send", "probes"),
    Scenario("sends header extensions in the two-byte form", "send", "two_byte"),
    Scenario("sends from 65,530 on, before `produce` is answered", "send", "wrap", first=(65_530, 65_530)),
    Scenario("sends with another SSRC and the same MID", "send", "new_ssrc"),
    # Half-way it has sent 100 audio and about 53 video packets. The numbers then wrap while nobody receives them.
    Scenario("produces the same again after its numbers have wrapped", "send", "again", first=(65_426, 65_478)),
    Scenario("is mute for 8 s while its audio clock stands still", "send", "mute"),
    Scenario("restarts ICE while it sends", "send", "restart_ice"),
    Scenario("sends over TCP alone", "send", "tcp"),
    Scenario("sends for 20 s", "send", "long", seconds=20.0),
    Scenario("receives, as DTLS client; asks for a key frame", "receive"),
    Scenario("receives, as DTLS server", "receive", role="server"),
    Scenario("receives, two candidates to choose from", "receive", addresses=2),
    Scenario("receives H264", "receive", video="video/H264"),
    # Against RFC 8445, section 9, a stack may close its old sockets before the new ones work. Pion does.
    Scenario("restarts ICE while it receives", "receive", "restart_ice", gap=0.5),
    Scenario("receives media that is mute for 8 s", "receive", "mute"),
    Scenario("receives over TCP alone", "receive", "tcp"),
)
