"""Posting over HTTP: who posts, and the empty service that is the measure."""
