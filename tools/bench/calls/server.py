"""A server with its pages: what the bench needs of each contestant."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from attrs import frozen

from tools.bench.calls.wire import Namespace

_SCRIPT: Final = Path(__file__).with_name("page.js")
#: The rate of its frames, which page.js draws.
FRAMES_A_SECOND: Final = 20


@frozen
class Camera:
    """The camera of a call.

    ``rate`` limits its best encoding, in bit/s.  The default is LiveKit's own choice for a picture of this size.  With
    ``simulcast`` the client library of each server decides about further encodings, and otherwise there is one.
    """

    rate: int = 450_000
    simulcast: bool = False


def page_script(camera: Camera) -> str:
    """The script that runs in every page before the page's own scripts."""
    settings = {"rate": camera.rate, "simulcast": camera.simulcast, "framesASecond": FRAMES_A_SECOND}
    return f"window.__camera = {json.dumps(settings)};\n{_SCRIPT.read_text(encoding='utf-8')}"


@frozen
class CallPage:
    """A page that one person opens.  ``join`` is a JavaScript expression that makes it join, after it has loaded."""

    url: str
    join: str


@frozen
class CallServer:
    """A running server, and the pages of the person who sends and of the person who receives.

    ``origin`` is the pages' origin, such as ``http://10.0.0.1:8080``.  ``log`` returns the server's log so far.
    ``third`` is the page of another person who receives, if that must not be the receiver's.
    """

    origin: str
    sender: CallPage
    receiver: CallPage
    log: Callable[[], bytes] = bytes
    third: CallPage | None = None


@frozen
class Contestant:
    """A server that takes part.  ``open`` runs it in a namespace, ``open_ipv6`` on the IPv6 address only."""

    name: str
    title: str
    version: str
    open: Callable[[Namespace], AbstractAsyncContextManager[CallServer]]
    open_ipv6: Callable[[Namespace], AbstractAsyncContextManager[CallServer]] | None = None


def file_page(page: Path, call: str) -> CallPage:
    """A page from a file, which joins by this call of a function."""
    return CallPage(page.absolute().as_uri(), call)


Contestants = Sequence[Contestant]
