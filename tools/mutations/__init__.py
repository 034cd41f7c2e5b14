"""Each guarantee of docs/protocol.md broken on purpose, to see which test notices.

    python -m tools.mutations [--jobs 2] [--only 7 "checkpoint"] [--write docs/guarantees.md]

Nothing is changed in the checkout: every mutation is made in a scratch copy of its own.
"""
