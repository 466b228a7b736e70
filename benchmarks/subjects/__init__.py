"""The systems that are measured, each a command that the harness starts in a process of its own."""
