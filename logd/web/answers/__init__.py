"""The answers of the page's API, made out of the query library. No I/O but reading the log."""
