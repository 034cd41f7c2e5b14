"""How soon a call is back when the network of one person changes, with real browsers and several servers."""
