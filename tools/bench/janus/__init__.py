"""Janus as a contestant: the bench configures and starts it, and speaks to it over its WebSocket API."""
