"""Reading what users write: JSON, `key=value` words, workflow files."""
