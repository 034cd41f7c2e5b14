"""Our gateway beside Janus and beside what this machine can do at all: ``python -m tools.bench.beside``."""
