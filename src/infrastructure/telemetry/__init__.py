"""Figures for those who operate the service."""
