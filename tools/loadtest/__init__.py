"""``sfu-loadtest`` loads a running gateway with synthetic clients and measures it (docs/loadtest.md).

A *conductor* starts worker processes, tells them what to do and when, and adds up their counts.  Each worker is one
Trio run with light clients.  All processes share the machine's monotonic clock.  The conductor knows who is in which
channel, and compares that with each client's list.
"""
