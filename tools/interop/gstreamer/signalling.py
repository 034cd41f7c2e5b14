"""The protocol over libsoup's WebSocket: requests with their answers, and events.

GLib's loop runs in a thread of its own, and callers wait in other threads.
"""

import json
import queue
import threading
from collections.abc import Callable
from typing import Any

import gi

gi.require_version("Soup", "3.0")
from gi.repository import GLib, Soup  # noqa: E402

Json = dict[str, Any]
ANSWER_WITHIN = 10.0
LARGEST = 1 << 20


class Refused(Exception):
    """The gateway refused a request, or did not answer it."""


class Signalling:
    """A connection to the gateway's WebSocket ``url``.  ``on_event`` is called with each event."""

    def __init__(self, url: str, on_event: Callable[[str, Json], None]) -> None:
        self._on_event = on_event
        self._answers = {}
        self._next_id = 0
        self._socket = None
        threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
        opened = queue.Queue()
        GLib.idle_add(self._open, url, opened)
        error = opened.get(timeout=ANSWER_WITHIN)
        if error is not None:
            raise Refused(f"no WebSocket: {error}")

    def _open(self, url: str, opened: queue.Queue[str | None]) -> bool:
        self._session = Soup.Session()
        message = Soup.Message.new("GET", url)
        self._session.websocket_connect_async(message, None, ["trio-sfu.v1"], 0, None, self._opened, opened)
        return False

    def _opened(self, session: Any, result: Any, opened: queue.Queue[str | None]) -> None:
        try:
            self._socket = session.websocket_connect_finish(result)
        except GLib.Error as error:
            opened.put(error.message)
            return
        self._socket.set_max_incoming_payload_size(LARGEST)
        self._socket.connect("message", self._take)
        self._socket.connect("closed", lambda _: self._on_event("closed", {}))
        opened.put(None)

    def _take(self, _socket: object, _kind: object, data: Any) -> None:
        message = json.loads(data.get_data())
        if "id" not in message:
            self._on_event(message["type"], message["data"])
        elif (answer := self._answers.pop(message["id"], None)) is not None:
            answer.put(message)

    def ask(self, kind: str, /, **data: Any) -> Any:
        """Send a request, and return the data of its answer.  Raises :exc:`Refused`."""
        self._next_id += 1
        answer = self._answers[self._next_id] = queue.Queue()
        text = json.dumps({"id": self._next_id, "type": kind, "data": data})
        GLib.idle_add(lambda: self._socket.send_text(text))
        try:
            message = answer.get(timeout=ANSWER_WITHIN)
        except queue.Empty:
            raise Refused(f"{kind}: no answer") from None
        if message["type"] != "ok":
            raise Refused(f"{kind}: {message['data']}")
        return message.get("data", {})

    def close(self) -> None:
        closed = threading.Event()
        self._socket.connect("closed", lambda _: closed.set())
        GLib.idle_add(lambda: self._socket.close(1000, None))
        closed.wait(ANSWER_WITHIN)
