"""What Firefox is told: Marionette, its own remote control (JSON over TCP, each message behind its length)."""

import json
import socket
from typing import Any, Self

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver marks a reference to an element


class MarionetteError(Exception):
    """Firefox refused a command; the text says which and why."""


class Marionette:
    """One session with a Firefox that was started with ``--marionette``; one command at a time.

    Raises :exc:`MarionetteError` for what Firefox refuses, ``OSError`` where it is gone or takes longer than
    ``timeout`` seconds.
    """

    def __init__(self, port: int, timeout: float = 30) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._reader = self._socket.makefile("rb")
        self._number = 0
        self._receive()  # it says first which protocol it speaks
        self.command("WebDriver:NewSession", capabilities={})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._socket.close()

    def command(self, name: str, **parameters: Any) -> Any:
        """What it answers."""
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
                raise ConnectionResetError("Firefox is gone")
            length += byte
        return json.loads(self._reader.read(int(length)))

    def evaluate(self, expression: str, *arguments: Any) -> Any:
        """The value of a JavaScript expression in the page, awaited where it is a promise."""
        script = f"return (async () => ({expression})).apply(null, arguments)"
        return self.command("WebDriver:ExecuteScript", script=script, args=list(arguments), newSandbox=False)

    def find(self, selector: str) -> str | None:
        """A reference to the first element that a CSS selector finds."""
        found = self.command("WebDriver:FindElements", using="css selector", value=selector)
        return str(found[0][_ELEMENT]) if found else None

    def click(self, selector: str) -> None:
        """As a person does: it scrolls there, and what is covered is not clicked."""
        element = self.find(selector)
        if element is None:
            raise MarionetteError(f"there is no {selector}")
        self.command("WebDriver:ElementClick", id=element)
