"""Print who is in a channel and what each person sends.

    python who_is_there.py ws://127.0.0.1:8080/ws kitchen

The program does not join, so nobody sees it.
"""

import sys

import trio

from protocol import client


async def main(url: str, channel: str) -> None:
    async with client.connect(url) as connection:
        watched = await connection.watch([channel])
    people = watched.channels[0].participants or ()
    print(f"{len(people)} in {channel}")
    for person in people:
        sources = ", ".join(producer.source for producer in person.producers)
        print(f"{person.username} sends {sources or 'nothing'}")


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
