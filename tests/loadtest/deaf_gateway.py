"""A gateway that offers retransmissions and sends none: ``python -m tests.loadtest.deaf_gateway serve …``."""

import sys
from typing import Any

import gateway.cli
from sfu.dataplane.udp import UdpDataPlane

_add_consumer = UdpDataPlane.add_consumer


def _add_deaf_consumer(plane: UdpDataPlane, *args: Any, rtx_ssrc: int | None = None, **named: Any) -> None:
    _add_consumer(plane, *args, **named)


if __name__ == "__main__":
    UdpDataPlane.add_consumer = _add_deaf_consumer  # type: ignore[method-assign, assignment]
    gateway.cli.main(sys.argv[1:])
