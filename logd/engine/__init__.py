"""Several daemons around one engine that keeps records between those that take and store them."""
