"""Failpoints: processes that kill themselves right before or right after one commit or message."""
