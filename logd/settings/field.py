"""How a setting is written down: a field with a kind, a heading, a help text and so on.

`recordtable.py`, `servicetable.py` and `webtable.py` are made of such fields.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import Any, TypeVar

from logd.settings.kinds import FilePath, Integer, Kind, Optional, Text

T = TypeVar("T")

LISTEN = "Listen"
OUTPUTS = "Outputs"
ROTATION = "Rotation and retention"
TEXT = "Text of entries"
PIPELINE = "Filters and observers"
SECURITY = "Security"
DELIVERY = "Delivery"
LIMITS = "Limits"
OPERATION = "Operation"
WEB = "Web page (logd web)"


def setting(
    default: T,
    kind: Kind[Any],
    group: str,
    help: str,  # noqa: A002 - called so by click, argparse and the README too
    *,
    unit: str = "",
    reloads: bool = True,
    hides: bool = False,
    of_output: bool = False,
) -> T:
    """A field of `Config`; type checkers see the default value, as for `dataclasses.field`."""
    about = {"kind": kind, "group": group, "help": help, "unit": unit}
    about |= {"reloads": reloads, "hides": hides, "of_output": of_output}
    return field(default=default, repr=not hides, metadata={"setting": about})


PORT = Integer(0, 65535, "PORT", "a port number")
PATH = Optional(FilePath())
OBJECT = Text(
    "MODULE:OBJECT",
    'a name such as "package.module:object", perhaps with "?argument=value&..."',
    lambda text: re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*(\?.*)?", text),
    is_secret=True,
)
