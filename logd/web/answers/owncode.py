"""Which code in a traceback is a team's own: its lines are shown, those of libraries folded.

Own is what is neither Python's nor an installed package's, and what the setting `web_own_code`
names: a team's packages may be installed like any other. What tells causes apart, the fingerprint,
does not depend on settings. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from logd.query.tracebacks import Call


class OwnCode:
    """Tells own code from that of others.

    Args:
        paths: parts of paths that are own, as "site-packages/shop".
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self._parts = [f"/{_slashed(path).strip('/')}/" for path in paths]

    def has(self, file: str) -> bool:
        """Whether a file, as a traceback names it, is own."""
        path = f"/{_slashed(file)}/"
        return Call(file, "").is_own or any(part in path for part in self._parts)


def _slashed(path: str) -> str:
    return path.replace("\\", "/")
