"""Rotating text files with a journal beside them."""
