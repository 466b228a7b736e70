"""One state machine that drives the three stores side by side: the same is done, told and kept."""
