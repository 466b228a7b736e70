"""Waiting for what goes on, and showing it meanwhile."""
