"""``python -m gateway`` is ``sfu-gateway``."""

from gateway.cli import main

main()
