"""What the first client would find cold, done once before it comes."""

from sfu import _dataplane as dataplane
from sfu.router import Port
from sfu.wire.dtls.dtls import Dtls, DtlsRole


def rehearse_call() -> None:
    """A call through the data plane alone, of which nothing leaves: its first packets and a few hundred kilobytes.

    Raises ``RuntimeError`` where it cannot carry calls on this machine.
    """
    dataplane.self_test()


def rehearse_handshake(port: Port) -> None:
    """A DTLS handshake of the port with itself, and its end: 3 ms that are not the first client's then."""
    fingerprints = port.dtls_parameters.fingerprints
    one, other = (Dtls(port.dtls_context, role, fingerprints) for role in (DtlsRole.CLIENT, DtlsRole.SERVER))
    other.start(0)
    one.start(0)
    _exchange(one, other)
    one.close()
    _exchange(one, other)


def _exchange(one: Dtls, other: Dtls) -> None:
    """Carry datagrams to and fro until there are none; they fall silent, as no time passes."""
    while (to_other := one.datagrams_to_send()) + (to_one := other.datagrams_to_send()):
        for datagram in to_other:
            other.receive(datagram, 0)
        for datagram in to_one:
            one.receive(datagram, 0)
