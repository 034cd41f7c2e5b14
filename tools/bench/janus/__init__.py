"""Janus as a contestant. The bench configures it, starts it and controls it through its WebSocket API."""
