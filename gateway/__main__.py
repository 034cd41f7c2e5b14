"""``sfu-gateway`` and ``python -m gateway``."""

import signal
import sys


def main() -> None:
    """Run the command line (:func:`gateway.cli.main`)."""
    # SIGHUP means a reload. Until the gateway can do that, the signal must not end it. The imports take a moment.
    if sys.platform == "linux":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from gateway import cli

    cli.main()


if __name__ == "__main__":
    main()
