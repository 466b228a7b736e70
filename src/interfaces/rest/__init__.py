"""The REST API: HTTP requests become calls of use cases, and their answers JSON."""

from cueline.interfaces.rest.api import create_api

__all__ = ["create_api"]
