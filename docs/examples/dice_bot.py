"""A bot that stays in a channel, greets everybody who joins, and rolls a die when it is asked.

    python dice_bot.py ws://127.0.0.1:8080/ws kitchen

It reconnects by the rules of the protocol. It stops if the close code says so, and backs off between attempts.
"""

import random
import sys

import trio

from protocol import MessageReceived, NextStep, VoiceState, client


async def answer(bot: client.Client) -> None:
    """Answer events until the connection ends, which raises ConnectionClosed."""
    async for event in bot.events():
        match event:
            case VoiceState(type="user_joined", user_id=user_id, username=username):
                await bot.send_message({"text": f"Welcome, {username}. Send the text 'roll' for a die."}, to=[user_id])
            case MessageReceived(from_=user_id, data={"text": "roll"}):
                await bot.send_message({"text": str(random.randint(1, 6))}, to=[user_id])


def next_wait(closed: client.ConnectionClosed, wait: float) -> float:
    """The seconds before the next attempt, by the rules of the protocol. ``wait`` is the doubled wait so far."""
    asked = (closed.closing.retry_after_ms or 0) / 1000 if closed.closing is not None else 0.0
    if closed.next_step is NextStep.JOIN_AGAIN_AT_ONCE:  # the gateway's successor begins
        return max(0.25, asked)
    return max(wait, asked, 5.0 if closed.next_step is NextStep.JOIN_AGAIN_LATER else 0.0)


async def main(url: str, channel: str) -> None:
    wait = 1.0
    target = url
    secret = client.new_session_secret()  # proves to the gateway that a lost session was this bot's
    while True:
        try:
            async with client.connect(target) as bot:
                await bot.join(channel, "Dice", user_id="dice-bot", session_secret=secret)
                print("joined", flush=True)
                wait = 1.0
                await answer(bot)
        except client.ConnectionClosed as closed:
            print(f"closed with {closed.code}", flush=True)
            if closed.next_step is NextStep.STOP:
                return
            wait = next_wait(closed, wait)
            target = (closed.closing and closed.closing.url) or url
        except client.RequestError as refused:  # for example `conflict`: the user id belongs to somebody else
            print(f"refused with {refused.code}", flush=True)
            return
        except (client.ConnectError, client.EventsLost) as error:
            print(error, flush=True)
            target = url
        await trio.sleep(wait * random.uniform(1, 1.5))
        wait = min(2 * wait, 30.0)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
