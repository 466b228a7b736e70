"""SQLite: connections for an event loop, and the store in one file."""
