"""The steps that a process takes once, before the first client comes."""

from sfu import _dataplane as dataplane
from sfu.context import RouterContext
from sfu.wire.dtls.dtls import Dtls, DtlsRole


def self_test() -> None:
    """Carry a made-up call between two data planes in memory.  It takes a few hundred kilobytes and sends nothing.

    Raises ``RuntimeError`` if the data plane cannot carry calls on this machine.
    """
    dataplane.self_test()


def warm_up(context: RouterContext) -> None:
    """Do a DTLS handshake of the router with itself, so that the first client does not wait 3 ms for cold code."""
    fingerprints = context.dtls_parameters.fingerprints
    client, server = (Dtls(context.dtls_context, role, fingerprints) for role in (DtlsRole.CLIENT, DtlsRole.SERVER))
    server.start(0)
    client.start(0)
    _exchange(client, server)
    client.close()
    _exchange(client, server)


def _exchange(client: Dtls, server: Dtls) -> None:
    """Carry datagrams both ways until neither side has one.  Time stands at 0, so no flight is repeated."""
    while (to_server := client.datagrams_to_send()) + (to_client := server.datagrams_to_send()):
        for datagram in to_server:
            server.receive(datagram, 0)
        for datagram in to_client:
            client.receive(datagram, 0)
