"""Finding and following entries in text files."""
