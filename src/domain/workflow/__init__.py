"""Workflows: the validated graph, the state of one run through it, and how a run advances."""
