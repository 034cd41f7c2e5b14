"""The place that a gateway needs before it listens, and that its successor waits for (docs/closures.md#a-successor).

With ``state_dir`` the place is the lock on this folder. With ``port_wait`` it is the TCP port. Without both there is no
place, so nobody waits.
"""

import errno
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import structlog
import trio
from attrs import frozen

from gateway.config import Config
from gateway.http.sockets import open_listeners, show_address
from gateway.ops.state_lock import LINE_EVERY, StateLock, open_state_lock
from gateway.start import StartError, cannot_listen, reason_text

log = structlog.get_logger(__name__)

_LOOK_EVERY: Final = 0.02
"""Seconds between two attempts to open the port."""


@frozen(eq=False)
class Place:
    """What a gateway has taken before it listens, and gives to its successor.

    ``listeners`` are those of the TCP port if the port is the place. The server closes them.
    """

    lock: StateLock | None = None
    listeners: Sequence[trio.SocketListener] | None = None

    @property
    def successor_waits(self) -> bool:
        """Whether another gateway waits for this place. Nobody can see who waits for a port, so it counts as yes."""
        return self.listeners is not None if self.lock is None else self.lock.successor_waits

    async def wait_successor(self) -> None:
        """Wait until another gateway waits for this place."""
        if self.lock is not None:
            await self.lock.wait_successor()
        elif self.listeners is None:
            await trio.sleep_forever()

    def release(self) -> None:
        """Give the place to the successor. A port is free already, since its listeners are closed."""
        if self.lock is not None:
            self.lock.release()


async def enter_place(stack: ExitStack, config: Config) -> Place | StartError:
    """Wait until the place of this gateway is free, and take it. ``stack`` gives it up in any case.

    Returns an error instead of raising it, since the caller runs this in a nursery.
    """
    try:
        if config.state_dir is not None:
            lock = stack.enter_context(open_state_lock(config.state_dir))
            await lock.acquire()
            return Place(lock)
        if config.port_wait:
            return Place(listeners=await _wait_for_port(config.host, config.port, config.port_wait))
    except (OSError, UnicodeError) as error:
        if config.state_dir is None:
            return cannot_listen(config.host, config.port, error)
        return StartError(f"cannot use the folder state-dir {config.state_dir}: {reason_text(error)}")
    return Place()


async def _wait_for_port(host: str, port: int, seconds: float) -> Sequence[trio.SocketListener]:
    since = line_at = trio.current_time()
    while True:
        try:
            return await open_listeners(host, port)
        except OSError as error:
            now = trio.current_time()
            if error.errno != errno.EADDRINUSE or now - since >= seconds:
                raise
        if now >= line_at:
            line_at = now + LINE_EVERY
            log.info("waiting for the TCP port", port=show_address((host, port)), seconds=round(now - since))
        await trio.sleep(_LOOK_EVERY)
