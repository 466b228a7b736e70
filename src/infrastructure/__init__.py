"""One folder per technology; each adapter inherits its port explicitly."""
