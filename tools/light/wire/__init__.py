"""RTP and RTCP as a peer of the gateway reads and writes them.

The gateway has another implementation, in Rust (``sfu/dataplane/src/core/wire``).  Both stay independent on purpose.
Synthetic clients and tests are the other side of the wire: no test would notice a mistake that both sides share.
"""
