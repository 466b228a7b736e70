"""The interfaces: they turn what comes from outside into use cases, and see no adapter."""
