"""Measures how soon those who watch a channel learn of a leave, and what they cost the gateway and the members."""
