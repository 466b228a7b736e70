"""What the operating system gives: the time and new identifiers."""
