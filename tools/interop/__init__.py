"""Clients that nobody here wrote, run against a gateway: ``python -m tools.interop``, ``make interop``.

Each folder here is a small program that speaks ``docs/protocol.md`` by itself and leaves its media to a WebRTC stack of
others.  A run is one program and one light client, in a channel of their own; ``docs/interop.md`` has what came of it.
"""
