"""Runs other people's WebRTC stacks against a gateway: ``python -m tools.interop``, ``make interop``.

Each folder here is a small program that speaks ``docs/protocol.md`` and leaves its media to such a stack.  A run is one
program and one light client in a channel of their own.  ``docs/interop.md`` has the results.
"""
