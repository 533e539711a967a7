"""What can be shown of a database's address."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

MASK = "***"


def shown_url(address: str) -> str:
    """The address without its password and without the values of its parameters.

    It is taken apart as SQLAlchemy does when it connects. `MASK` alone if that is not possible.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        return MASK
    # A password that has an "@" itself is cut there, and its end would look like a host.
    if any("@" in (part or "") for part in (url.host, url.database)):
        return f"{url.drivername}://{MASK}"
    bare = url.set(query={}).render_as_string(hide_password=True)
    return bare + _shown_query(url)


def _shown_query(url: URL) -> str:
    names = "&".join(f"{name}={MASK}" for name in url.query)
    return f"?{names}" if names else ""
