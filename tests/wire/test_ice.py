"""The ICE-lite agent: who knows the password is answered, everybody else is not."""

import random
import re

import pytest
from aioice import stun

from sfu.parameters import IceParameters
from sfu.wire.errors import UnknownUsername, WrongPassword
from sfu.wire.ice import IceAgent, IceAnswer
from sfu.wire.stun import parse_binding_request_untrusted
from tests.wire.binding import attribute, request


def new_agent(seed: int = 1) -> IceAgent:
    return IceAgent(random.Random(seed).randbytes)


def ask(
    agent: IceAgent,
    credentials: IceParameters | None = None,
    *extra: bytes,
    password: str | None = None,
    controlled: bool = False,
    nominate: bool = False,
) -> IceAnswer:
    credentials = credentials or agent.parameters
    datagram = request(
        f"{credentials.username_fragment}:peer",
        password or credentials.password,
        *extra,
        controlled=controlled,
        nominate=nominate,
    )
    return agent.receive_binding(parse_binding_request_untrusted(datagram), "192.0.2.7", 40001)


def answered(answer: IceAnswer, password: str) -> stun.Message:
    message = stun.parse_message(answer.datagram)
    assert message.check_message_integrity(password.encode())
    return message


def test_an_authentic_request_is_told_its_own_address() -> None:
    agent = new_agent()
    answer = ask(agent)
    assert answer.valid
    message = answered(answer, agent.parameters.password)
    assert message.message_class == stun.Class.RESPONSE
    assert message.attributes["XOR-MAPPED-ADDRESS"] == ("192.0.2.7", 40001)


def test_use_candidate_nominates_and_its_absence_does_not() -> None:
    agent = new_agent()
    assert not ask(agent).nominated
    assert ask(agent, nominate=True).nominated


def test_a_wrong_password_gets_no_answer() -> None:
    agent = new_agent()
    with pytest.raises(WrongPassword):
        ask(agent, password="not the password")


def test_an_unknown_username_gets_no_answer() -> None:
    agent = new_agent()
    stranger = IceParameters("stranger", agent.parameters.password)
    with pytest.raises(UnknownUsername):
        ask(agent, stranger)


def test_a_peer_that_says_it_is_controlled_is_told_to_control() -> None:
    agent = new_agent()
    answer = ask(agent, controlled=True, nominate=True)
    assert not answer.valid
    assert not answer.nominated
    assert answered(answer, agent.parameters.password).error_code == 487


def test_an_unknown_required_attribute_is_refused_with_420() -> None:
    agent = new_agent()
    answer = ask(agent, None, attribute(0x7F01, b""))
    assert not answer.valid
    assert answered(answer, agent.parameters.password).error_code == 420


def test_credentials_are_long_ice_chars_and_come_from_the_given_source() -> None:
    credentials = new_agent(5).parameters
    assert re.fullmatch(r"[A-Za-z0-9+/]{16}", credentials.username_fragment)
    assert re.fullmatch(r"[A-Za-z0-9+/]{32}", credentials.password)
    assert credentials.ice_lite
    assert new_agent(5).parameters == credentials
    assert new_agent(6).parameters != credentials


def test_after_a_restart_the_old_credentials_work_until_the_new_ones_are_used() -> None:
    agent = new_agent()
    old = agent.parameters
    ask(agent, old)
    new = agent.restart()
    assert new != old
    assert agent.parameters == new
    assert list(agent.ufrags) == [new.username_fragment, old.username_fragment]
    answered(ask(agent, old), old.password)

    answered(ask(agent, new), new.password)
    assert list(agent.ufrags) == [new.username_fragment]
    with pytest.raises(UnknownUsername):
        ask(agent, old)


def test_a_wrong_password_on_new_credentials_does_not_retire_the_old_ones() -> None:
    agent = new_agent()
    old = agent.parameters
    new = agent.restart()
    with pytest.raises(WrongPassword):
        ask(agent, new, password=old.password)
    assert ask(agent, old).valid


def test_restarting_again_and_again_keeps_only_the_newest_and_those_in_use() -> None:
    agent = new_agent()
    used = agent.parameters
    ask(agent, used)
    skipped = agent.restart()
    newest = agent.restart()
    assert list(agent.ufrags) == [newest.username_fragment, used.username_fragment]
    with pytest.raises(UnknownUsername):
        ask(agent, skipped)
