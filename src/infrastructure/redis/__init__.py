"""Redis: a broker on sorted sets, and a channel for events on its publish and subscribe."""
