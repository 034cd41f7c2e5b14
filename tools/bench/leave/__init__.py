"""Measures how soon the others learn of a leave, and the gateway's cost of a join and of a leave."""
