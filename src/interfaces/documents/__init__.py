"""Documents: how things are shown as JSON, the same by each way in. REST adds its links."""
