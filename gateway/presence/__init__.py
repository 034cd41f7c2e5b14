"""Who is where, for everybody outside the channels: the journal of all changes, and those who follow it."""
