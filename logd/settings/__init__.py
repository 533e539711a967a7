"""All settings of the daemon: one table, and how they are read, checked and shown."""
