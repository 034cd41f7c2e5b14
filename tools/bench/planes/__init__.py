"""Two planes beside one: what they forward at most, when nobody but the gateway needs the processor for it."""
