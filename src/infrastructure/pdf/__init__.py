"""Adapters of the PDF port."""
