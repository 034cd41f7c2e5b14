"""What is tried with each client: the rows of the page."""

from __future__ import annotations

from typing import Any, Final, Literal

import attrs
from attrs import frozen

Direction = Literal["send", "receive"]


@frozen
class Scenario:
    """``direction`` is the program's.  ``twist`` says what is unusual, to the program and here.  ``seconds`` are those
    of media; ``addresses`` says how many candidates the gateway has; ``gap`` seconds of media may be lost.
    ``first`` are the first sequence numbers of sound and picture, random where there are none."""

    name: str
    direction: Direction
    twist: str = ""
    role: Literal["client", "server"] = "client"
    video: Literal["video/VP8", "video/H264"] = "video/VP8"
    seconds: float = 4.0
    addresses: int = 1
    first: tuple[int, int] | None = None
    gap: float = 0.0

    def settings(self) -> dict[str, Any]:
        """As the program reads them."""
        settings = attrs.asdict(self, filter=lambda attribute, _: attribute.name not in ("name", "addresses", "gap"))
        return {**settings, "first": self.first and dict(zip(("audio", "video"), self.first, strict=True))}


SCENARIOS: Final = (
    Scenario("sends, as DTLS client", "send"),
    Scenario("sends, as DTLS server", "send", role="server"),
    Scenario("sends, two candidates to choose from", "send", addresses=2),
    Scenario("sends H264", "send", video="video/H264"),
    Scenario("sends RTP padding", "send", "padding"),
    Scenario("sends H264 with RTP padding", "send", "padding", video="video/H264"),
    Scenario("sends packets that are padding alone", "send", "probes"),
    Scenario("sends header extensions in the two-byte form", "send", "two_byte"),
    Scenario("sends from 65,530 on, before `produce` is answered", "send", "wrap", first=(65_530, 65_530)),
    Scenario("sends with another SSRC and the same MID", "send", "new_ssrc"),
    # Half-way 100 packets of sound and some 53 of the picture have been sent; then the numbers wrap, heard by nobody.
    Scenario("produces the same again after its numbers have wrapped", "send", "again", first=(65_426, 65_478)),
    Scenario("is mute for 8 s; the sound's clock stands still", "send", "mute"),
    Scenario("restarts ICE while it sends", "send", "restart_ice"),
    Scenario("sends for 20 s", "send", "long", seconds=20.0),
    Scenario("receives, as DTLS client; asks for a key frame", "receive"),
    Scenario("receives, as DTLS server", "receive", role="server"),
    Scenario("receives, two candidates to choose from", "receive", addresses=2),
    Scenario("receives H264", "receive", video="video/H264"),
    # A stack may close its old sockets before the new ones are known (Pion does), whatever RFC 8445 section 9 says.
    Scenario("restarts ICE while it receives", "receive", "restart_ice", gap=0.5),
    Scenario("receives what is mute for 8 s", "receive", "mute"),
)
