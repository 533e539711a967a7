"""Outputs of the daemon: durable places that records are written to, each with its own marks."""
