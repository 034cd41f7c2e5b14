"""How soon other members know that somebody left a channel, and what joining and leaving cost the gateway."""
