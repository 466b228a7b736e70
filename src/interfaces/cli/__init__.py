"""The command line, which steers the store directly beside a running server."""

from cueline.interfaces.cli.build import build_cli
from cueline.interfaces.cli.entry import Check, Entry, Options

__all__ = ["Check", "Entry", "Options", "build_cli"]
