"""How fast Cueline is on this machine, and its peers: `make bench`, `make bench-peers`."""
