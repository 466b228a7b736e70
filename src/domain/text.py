"""Text that every store can hold."""

from __future__ import annotations


def storable(text: str) -> str:
    """The text with what some store cannot hold written out: half surrogate pairs, NUL characters.

    It is for text that nobody chose with care, as what a handler logs: a byte that went astray must
    not cost the line, let alone the task.
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
