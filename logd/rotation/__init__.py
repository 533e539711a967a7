"""When a file or table is full, and what is kept of the full ones."""
