"""Print who is in a channel and what each person sends.

    python who_is_there.py ws://127.0.0.1:8080/ws kitchen

The program joins for a moment, because only members see the list. The others see it come and go.
"""

import sys

import trio

from protocol import client


async def main(url: str, channel: str) -> None:
    async with client.connect(url) as connection:
        joined = await connection.join(channel, "Visitor")
        await connection.leave()
    others = [person for person in joined.participants if person.user_id != joined.user_id]
    print(f"{len(others)} in {channel}")
    for person in others:
        sources = ", ".join(producer.source for producer in person.producers)
        print(f"{person.username} sends {sources or 'nothing'}")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
