"""Adapters that keep everything in the process: for tests, and for work that may be forgotten."""
