"""A client for Marionette, Firefox's own remote control: JSON over TCP, each message after its length."""

import json
import socket
from typing import Any, Self

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver marks a reference to an element


class MarionetteError(Exception):
    """Firefox refused a command.  The text says which one and why."""


class Marionette:
    """One session with a Firefox that was started with ``--marionette``.  It runs one command at a time.

    Its methods raise :exc:`MarionetteError` if Firefox refuses a command, and ``OSError`` if Firefox has ended or takes
    longer than ``timeout`` seconds.
    """

    def __init__(self, port: int, timeout: float = 30) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._reader = self._socket.makefile("rb")
        self._number = 0
        self._receive()  # Firefox begins with the version of its protocol
        self.command("WebDriver:NewSession", capabilities={})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._socket.close()

    def command(self, name: str, **parameters: Any) -> Any:
        """Send a command and return its answer."""
        self._number += 1
        text = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(text), text))
        _, _, error, result = self._receive()
        if error is not None:
            raise MarionetteError(f"{name}: {error['error']}: {error['message']}")
        return result["value"] if isinstance(result, dict) and result.keys() == {"value"} else result

    def _receive(self) -> Any:
        length = b""
        while (byte := self._reader.read(1)) != b":":
            if not byte:
                raise ConnectionResetError("Firefox has ended")
            length += byte
        return json.loads(self._reader.read(int(length)))

    def evaluate(self, expression: str, *arguments: Any) -> Any:
        """The value of a JavaScript expression in the page.  It may contain ``await``."""
        script = f"return (async () => ({expression})).apply(null, arguments)"
        return self.command("WebDriver:ExecuteScript", script=script, args=list(arguments), newSandbox=False)

    def run(self, script: str) -> None:
        """Run JavaScript statements in the page."""
        self.command("WebDriver:ExecuteScript", script=script, args=[], newSandbox=False)

    def find(self, selector: str) -> str | None:
        """A reference to the first element that matches a CSS selector, or None."""
        found = self.command("WebDriver:FindElements", using="css selector", value=selector)
        return str(found[0][_ELEMENT]) if found else None

    def click(self, selector: str) -> None:
        """Click like a person: scroll to the element first, and fail if another one covers it."""
        element = self.find(selector)
        if element is None:
            raise MarionetteError(f"there is no {selector}")
        self.command("WebDriver:ElementClick", id=element)
