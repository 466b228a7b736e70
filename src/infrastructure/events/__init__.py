"""What the event buses of several technologies share."""
