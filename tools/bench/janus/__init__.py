"""Janus beside us: started by hand with a configuration of the bench, spoken to over its WebSocket API."""
