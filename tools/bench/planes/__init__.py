"""Compares how much one plane and two planes can forward when nothing else uses the processor."""
