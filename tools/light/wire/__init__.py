"""RTP and RTCP as a peer of the gateway reads and writes them.

The gateway has its own implementation, in Rust (``sfu/dataplane/src/core/wire``).  This one shares no line with it, on
purpose: synthetic clients, benches and tests are the other side of the wire, and a mistake that both sides made alike
would show nowhere.
"""
