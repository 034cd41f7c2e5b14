"""A process that has everything imported and forks clients, so that a client costs a few milliseconds.

    python -m tests.chaos.client_forker REPORTS_DESCRIPTOR

One command a line on standard input, see :class:`Command`.  It signals only children that it has not yet waited for, so
that a process id is never somebody else's.  When its input ends it kills all of them and ends.
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
    """Start ``process`` for ``user`` in the network namespace ``place``, or, with a ``signal``, send it that."""

    process: str
    user: str = ""
    url: str = ""
    place: str = ""
    signal: int = 0

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


@define
class Zygote:
    """``children`` are the processes not yet waited for, by name."""

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
        """Wait for those that have ended; one that was not killed tells the test so, as it cannot itself."""
        for process, pid in list(self.children.items()):
            waited, status = os.waitpid(pid, flags)
            if waited:
                del self.children[process]
                code = os.waitstatus_to_exitcode(status)
                if code != -signal.SIGKILL:
                    Reporter(process, self.reports).tell(word=f"the process ended with {code}", is_fault=True)

    def end(self) -> None:
        for pid in self.children.values():
            os.kill(pid, signal.SIGKILL)  # also where it is stopped
        self.reap(flags=0)


def _become_client(command: Command, identity: Identity, reporter: Reporter) -> NoReturn:
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # for when the zygote is killed itself
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
        raise  # nowhere
    finally:
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    zygote = Zygote(int(sys.argv[1]), Identity.of(generate_certificate(datetime.now(UTC))))
    gc.freeze()  # or every child would copy the pages of what it collects
    try:
        zygote.run()
    finally:
        zygote.end()


if __name__ == "__main__":
    main()
