"""Finding and following entries in database tables."""
