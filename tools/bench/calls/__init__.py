"""Calls of real browsers through several servers on an emulated network: what the benches of such calls share."""
