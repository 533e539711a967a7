"""The kinds of values that settings have: how each is read from text and from TOML, and written.

Pure; used by the table in `table.py` and the code that reads or prints settings. A kind raises
`ValueError` for any value that is not of it, and its `expected` says to people what would be.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from logd.rotation.policy import Schedule
from logd.settings.secrets import Secret, reveal
from logd.settings.units import format_duration, format_size, parse_duration, parse_size

T = TypeVar("T")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Kind(ABC, Generic[T]):
    """How values of one kind are read and written.

    Attributes:
        metavar: stands for the value in usage texts.
        expected: what a right value is, to be read after "expected".
        has_many: the value is a tuple, and its option may be given several times.
    """

    metavar: str
    expected: str
    has_many = False

    @abstractmethod
    def from_text(self, text: str) -> T:
        """The value of a command line's or an environment variable's text."""

    @abstractmethod
    def from_toml(self, value: object) -> T:
        """The value of what a TOML file holds; texts are always read as in `from_text`."""

    @abstractmethod
    def to_toml(self, value: T) -> str:
        """The value as TOML that `from_toml` reads back."""

    def based(self, value: T, folder: Path) -> T:
        """A value of a settings file in `folder`: a relative path starts there."""
        del folder
        return value


class Text(Kind[str]):
    """One line of text, checked by a function of its own."""

    def __init__(
        self,
        metavar: str = "TEXT",
        expected: str = "text that is not empty",
        is_valid: Callable[[str], object] = bool,
        *,
        is_secret: bool = False,
    ) -> None:
        self._is_secret = is_secret
        self.metavar = metavar
        self.expected = expected
        self._is_valid = is_valid

    def from_text(self, text: str) -> str:
        if _CONTROL.search(text) or not self._is_valid(text):
            raise ValueError(self.expected)
        return Secret(text) if self._is_secret else text

    def from_toml(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(self.expected)
        return self.from_text(value)

    def to_toml(self, value: str) -> str:
        return toml_string(reveal(value))


class FilePath(Text):
    """A path; one in a settings file is relative to that file."""

    def __init__(self, metavar: str = "PATH") -> None:
        super().__init__(metavar)

    def based(self, value: str, folder: Path) -> str:
        return str(folder / value) if value else value


class DatabaseUrl(Text):
    """An SQLAlchemy URL; the path of an SQLite file is a path as any other."""

    _SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!/|:memory:|file:)([^?]+.*)", re.DOTALL)

    def __init__(self) -> None:
        super().__init__(
            "URL",
            'a database URL such as "sqlite:///log.db"',
            lambda text: "://" in text,
            is_secret=True,
        )

    def based(self, value: str, folder: Path) -> str:
        match = self._SQLITE_FILE.fullmatch(reveal(value))
        return value if match is None else Secret(f"{match[1]}{folder / match[2]}")


class Choice(Text):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        super().__init__(
            "|".join(words),
            "one of " + ", ".join(f'"{word}"' for word in words),
            words.__contains__,
        )


class Flag(Kind[bool]):
    """On or off."""

    metavar = ""
    expected = "true or false"

    def from_text(self, text: str) -> bool:
        if text.lower() in ("true", "yes", "on", "1"):
            return True
        if text.lower() in ("false", "no", "off", "0"):
            return False
        raise ValueError(self.expected)

    def from_toml(self, value: object) -> bool:
        if isinstance(value, str):
            return self.from_text(value)
        if not isinstance(value, bool):
            raise ValueError(self.expected)
        return value

    def to_toml(self, value: bool) -> str:
        return "true" if value else "false"


class Integer(Kind[int]):
    """A whole number within bounds, both included."""

    def __init__(
        self, low: int, high: int = 2**31 - 1, metavar: str = "N", what: str = "a whole number"
    ) -> None:
        self.metavar = metavar
        self.expected = f"{what}, {low} to {high}" if high < 2**31 - 1 else f"{what}, {low} or more"
        self._low = low
        self._high = high

    def from_text(self, text: str) -> int:
        try:
            return self.from_toml(int(text))
        except ValueError:
            raise ValueError(self.expected) from None

    def from_toml(self, value: object) -> int:
        if isinstance(value, str):
            return self.from_text(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(self.expected)
        if not self._low <= value <= self._high:
            raise ValueError(self.expected)
        return value

    def to_toml(self, value: int) -> str:
        return str(value)


class Size(Integer):
    """A number of bytes, "64 MiB" or plain."""

    def __init__(self, low: int = 0) -> None:
        super().__init__(low, 2**63 - 1, "SIZE")
        self.expected = f'a size such as "64 MiB" or a number of bytes, {low} or more'

    def from_text(self, text: str) -> int:
        try:
            return self.from_toml(parse_size(text))
        except ValueError:
            raise ValueError(self.expected) from None

    def to_toml(self, value: int) -> str:
        return f'"{format_size(value)}"' if value else "0"


class Duration(Kind[float]):
    """A time span in seconds, "10 min" or plain."""

    metavar = "TIME"

    def __init__(self, *, is_zero_allowed: bool = False) -> None:
        more = "0 or more" if is_zero_allowed else "over 0"
        self.expected = f'a time such as "30 s" or "10 min" or a number of seconds, {more}'
        self._is_zero_allowed = is_zero_allowed

    def from_text(self, text: str) -> float:
        return self.from_toml(text)

    def from_toml(self, value: object) -> float:
        # Numbers take the way of texts too: its checks refuse NaN, infinity and what is negative.
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(self.expected)
        try:
            seconds = parse_duration(value if isinstance(value, str) else f"{value:f}")
        except ValueError:
            raise ValueError(self.expected) from None
        if not seconds and not self._is_zero_allowed:
            raise ValueError(self.expected)
        return seconds

    def to_toml(self, value: float) -> str:
        return f'"{format_duration(value)}"' if value else "0"


class Mode(Kind[int]):
    """File permissions. Only as text: a TOML number 660 is another one than the octal 0660."""

    metavar = "MODE"
    expected = 'permissions as octal digits in quotes, such as "0660"'

    def from_text(self, text: str) -> int:
        if not re.fullmatch("0?[0-7]{3}", text):
            raise ValueError(self.expected)
        return int(text, 8)

    def from_toml(self, value: object) -> int:
        if not isinstance(value, str):
            raise ValueError(self.expected)
        return self.from_text(value)

    def to_toml(self, value: int) -> str:
        return f'"{value:04o}"'


class Optional(Kind[T | None]):
    """A value that may be absent; a keyword, or an empty text, stands for that."""

    def __init__(self, kind: Kind[T], word: str = "") -> None:
        self.metavar = kind.metavar
        self.expected = f'{kind.expected}, or "{word}"'
        self._kind = kind
        self._word = word

    def from_text(self, text: str) -> T | None:
        return None if text.lower() in ("", self._word) else self._kind.from_text(text)

    def from_toml(self, value: object) -> T | None:
        return self.from_text(value) if isinstance(value, str) else self._kind.from_toml(value)

    def to_toml(self, value: T | None) -> str:
        return f'"{self._word}"' if value is None else self._kind.to_toml(value)

    def based(self, value: T | None, folder: Path) -> T | None:
        return None if value is None else self._kind.based(value, folder)


class Many(Kind[tuple[T, ...]]):
    """Any number of values.

    An environment variable has them between spaces, quoted as for a shell if one holds a space
    itself. If a value can't hold a comma, commas separate too.

    Attributes:
        kind: of one of them.
    """

    has_many = True

    def __init__(self, kind: Kind[T], *, has_commas: bool = False) -> None:
        self.metavar = kind.metavar
        self.expected = kind.expected
        self.kind = kind
        self._has_commas = has_commas

    def from_text(self, text: str) -> tuple[T, ...]:
        words = shlex.split(text.replace(",", " ") if self._has_commas else text)
        return tuple(map(self.kind.from_text, words))

    def from_texts(self, texts: tuple[str, ...]) -> tuple[T, ...]:
        """The values of an option given several times; one empty text stands for none at all."""
        if texts == ("",):
            return ()
        if self._has_commas:
            texts = tuple(word for text in texts for word in text.split(","))
        return tuple(map(self.kind.from_text, texts))

    def from_toml(self, value: object) -> tuple[T, ...]:
        # One value needs no list: `port = 9801` says it all.
        return tuple(map(self.kind.from_toml, value if isinstance(value, list) else [value]))

    def to_toml(self, value: tuple[T, ...]) -> str:
        return f"[{', '.join(map(self.kind.to_toml, value))}]"

    def based(self, value: tuple[T, ...], folder: Path) -> tuple[T, ...]:
        return tuple(self.kind.based(one, folder) for one in value)


def toml_string(text: str) -> str:
    """The text as a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'


def is_network(text: str) -> bool:
    """An IP address or a network such as 10.0.0.0/8, without host bits."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def is_schedule(text: str) -> bool:
    """What `Schedule.parse` reads."""
    try:
        Schedule.parse(text)
    except ValueError:
        return False
    return True


def is_host_and_port(text: str) -> bool:
    """HOST:PORT, IPv6 addresses in brackets, the port 0 to 65535."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"\[[0-9A-Fa-f:.%\w]+\]|[^\[\]:\s/]+", host):
        return False
    return re.fullmatch("[0-9]{1,5}", port) is not None and int(port) <= 65535
