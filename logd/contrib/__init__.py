"""Additions to the log: mail digests, messages indented by stack depth, richer messages."""
