"""Rotating database tables."""
