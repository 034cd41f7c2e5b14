"""How much two planes forward at most beside one, when the gateway has the processor for itself."""
