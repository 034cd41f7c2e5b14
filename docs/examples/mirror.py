"""Keep a copy of the lists of all channels, and print each change.

    python mirror.py ws://127.0.0.1:8080/ws

After a break the program asks for what it missed. So the copy needs no repair.
"""

import sys

import trio

from protocol import client
from protocol.mirror import Mirror


async def main(url: str) -> None:
    mirror = Mirror()
    while True:
        try:
            async with client.connect(url) as connection:
                mirror.start(await connection.watch(prefix="", after=mirror.after), prefix="")
                print(who(mirror), flush=True)
                async for event in connection.events():
                    if mirror.take(event):
                        print(who(mirror), flush=True)
        except (client.ConnectError, client.ConnectionClosed, client.EventsLost) as error:
            print(f"again in a second: {error}", flush=True)
            await trio.sleep(1)


def who(mirror: Mirror) -> str:
    rooms = {name: sorted(one.username for one in people.values()) for name, people in mirror.channels.items()}
    return ", ".join(f"{name}: {' '.join(people)}" for name, people in sorted(rooms.items())) or "nobody"


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
