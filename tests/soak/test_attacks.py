"""Each attack reaches a real gateway, and the whole soak runs and reports."""

from collections import Counter
from functools import partial

import pytest
import trio

from tests.eventually import eventually
from tools.bench.command import Progress
from tools.servers import ARGUMENTS, running_gateway
from tools.soak.attacks import KINDS
from tools.soak.report import alternates, report
from tools.soak.run import LOOPBACK, TOKEN, soak, target_of

DOES = {
    "udp_strangers": "datagrams",
    "udp_members": "datagrams",
    "half_open": "connections",
    "bad_tokens": "guesses",
    "slow_readers": "messages",
    "rejoins": "joins",
    "pings": "pings",
    "copies": "refusals",
    "messages": "messages",
    "unfinished": "unfinished messages",
}
"""What each attack counts once it has reached the gateway."""


@pytest.mark.parametrize("kind", KINDS)
async def test_an_attack_does_what_it_says_until_it_is_ended(kind: str) -> None:
    module = ("gateway", *ARGUMENTS, "--join-token", TOKEN, "--media-host", LOOPBACK)
    counts: Counter[str] = Counter()
    async with running_gateway(module) as gateway:
        target = target_of(gateway, LOOPBACK)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(KINDS[kind].attack, target, counts))
            await eventually(lambda: counts[DOES[kind]] >= 5, 30)
            nursery.cancel_scope.cancel()
        assert not list(gateway.events("session failed"))
        assert not list(gateway.events("connection failed"))


async def test_a_short_soak_of_few_people_is_complete() -> None:
    attacks = ("udp_strangers",)
    found = await soak(20, 4, attacks, 1, Progress())
    assert alternates(found.phases)
    assert [phase.attack for phase in found.phases if phase.attack] == list(attacks)
    assert all(phase.done for phase in found.phases if phase.attack)
    assert all(phase.loss is not None and phase.gateway_cpu > 0 for phase in found.phases)
    assert len(found.memory) == len(found.phases)
    text = "\n".join(report(found))
    for attack in attacks:
        assert f"| {KINDS[attack].about} |" in text
