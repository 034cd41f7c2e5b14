"""``sfu-loadtest``: synthetic clients against a running gateway, and how it did (docs/loadtest.md).

A *conductor* starts worker processes, tells them when to do what, and puts together what they counted.  Each worker is
one Trio run with light clients in it.  All of them share the machine's monotonic clock, and one truth: who is in which
channel, which the conductor compares with what each client was shown.
"""
