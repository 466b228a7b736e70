"""Adapters of the HTTP port."""
