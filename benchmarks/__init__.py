"""How fast Cueline is on this machine: `make bench`."""
