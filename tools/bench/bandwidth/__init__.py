"""How calls use the bandwidth that there is: rates that fall and rise again, with real browsers and several servers."""
