"""Tests of who is where for everybody outside the channels."""
