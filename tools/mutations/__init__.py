"""Breaks each guarantee of docs/protocol.md on purpose, to see which test notices.

    python -m tools.mutations [--jobs 2] [--only 7 "outbox"] [--write docs/guarantees.md]

The checkout itself stays unchanged: every mutation gets a scratch copy.
"""
