"""A process that has imported everything and forks clients, so that a client costs only a few milliseconds.

    python -m tests.chaos.client_forker REPORTS_DESCRIPTOR

It reads one :class:`Command` a line from standard input.  It signals only children that it has not yet waited for, so
that a process id never belongs to another process.  At the end of its input it kills all children and ends.
"""

import ctypes
import gc
import json
import os
import selectors
import signal
import sys
import traceback
from datetime import UTC, datetime
from typing import Final, NoReturn

import trio
from attrs import asdict, define, field, frozen

from sfu.wire.certificate import generate_certificate
from tests.chaos.member import Member
from tests.chaos.reports import Reporter
from tools.light import Identity
from tools.namespaces import enter

_COMMANDS: Final = 0
_PR_SET_PDEATHSIG: Final = 1


@frozen
class Command:
    """Start ``process`` for ``user`` in the network namespace ``place``, or send it ``signal`` if that is not 0."""

    process: str
    user: str = ""
    url: str = ""
    place: str = ""
    signal: int = 0

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


@define
class ClientForker:
    """``children`` has the ids of the processes that it has not yet waited for, by name."""

    reports: int
    identity: Identity
    children: dict[str, int] = field(factory=dict)
    unread: bytes = b""

    def run(self) -> None:
        woken, wakes = os.pipe2(os.O_NONBLOCK)
        signal.set_wakeup_fd(wakes)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(_COMMANDS, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if woken in ready:
                    os.read(woken, 4096)
                    self.reap()
                if _COMMANDS in ready:
                    if not (read := os.read(_COMMANDS, 65536)):
                        return
                    whole, _, self.unread = (self.unread + read).rpartition(b"\n")
                    self.obey(whole.splitlines())

    def obey(self, lines: list[bytes]) -> None:
        for line in lines:
            command = Command(**json.loads(line))
            if not command.signal:
                self.fork(command)
            elif command.process in self.children:
                os.kill(self.children[command.process], command.signal)

    def fork(self, command: Command) -> None:
        if pid := os.fork():
            self.children[command.process] = pid
        else:
            _become_client(command, self.identity, Reporter(command.process, self.reports))

    def reap(self, flags: int = os.WNOHANG) -> None:
        """Wait for children that have ended.  Report those that were not killed, since they cannot do so themselves."""
        for process, pid in list(self.children.items()):
            waited, status = os.waitpid(pid, flags)
            if waited:
                del self.children[process]
                code = os.waitstatus_to_exitcode(status)
                if code != -signal.SIGKILL:
                    Reporter(process, self.reports).report(reason=f"the process ended with {code}", is_fault=True)

    def end(self) -> None:
        for pid in self.children.values():
            os.kill(pid, signal.SIGKILL)  # this works on stopped processes too
        self.reap(flags=0)


def _become_client(command: Command, identity: Identity, reporter: Reporter) -> NoReturn:
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # in case the forker itself is killed
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(_COMMANDS)
        if command.place:
            namespace = os.open(command.place, os.O_RDONLY | os.O_CLOEXEC)
            enter(namespace)
            os.close(namespace)
        trio.run(Member(command.user, command.url, identity, reporter).stay)
    except BaseException:
        traceback.print_exc()
        raise  # os._exit below ends the process first
    finally:
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    forker = ClientForker(int(sys.argv[1]), Identity.of(generate_certificate(datetime.now(UTC))))
    gc.freeze()  # otherwise garbage collection in each child would copy all memory pages
    try:
        forker.run()
    finally:
        forker.end()


if __name__ == "__main__":
    main()
