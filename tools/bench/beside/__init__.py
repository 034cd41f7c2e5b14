"""Compares our gateway with Janus and the least possible cost of forwarding: ``python -m tools.bench.beside``."""
