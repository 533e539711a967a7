"""The text format of entries: written and read back in one room."""
