"""How a call looks and sounds on a bad network: real browsers, an emulated network, several servers."""
