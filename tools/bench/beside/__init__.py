"""Our gateway beside Janus and beside the least that is possible on this machine: ``python -m tools.bench.beside``."""
