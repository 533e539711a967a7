"""Turns the pickles of objects that applications log into texts, numbers or containers.

A pickle names a constructor and gives its arguments, and for the types that people log the
arguments tell all. So nothing that a pickle names is looked up or called: each function here reads
the arguments of one constructor, and says None if they are not what that constructor takes.
"""

from __future__ import annotations

import builtins
import http
import uuid
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from struct import error, pack, unpack
from typing import Final, cast

from logd.wire.pickles import times
from logd.wire.pickles.made import Made, MadeSet, Mapped, Name, Told, Worth, are

_MAX_TEXT_CHARS: Final = 256
"""Of the texts that are looked into: zones' names, types of numpy."""


_Arguments = tuple[object, ...]


def called(name: Name, arguments: _Arguments) -> object:
    """What a call is worth right away: plain data in many words; None for what stays an object."""
    maker = _PLAIN.get(_modern(name))
    return None if maker is None else maker(arguments)


def worth(made: Made) -> Worth | None:
    """What an object is worth; None if its constructor is not known here, or takes other values."""
    maker = _WORTH.get(_modern(made.name))
    return None if maker is None else maker(made)


def plain_value(made: Made) -> object:
    """An object as a value that can be written; the object itself if its class is all it is."""
    known = worth(made)
    if known is not None:
        return known
    if not made.arguments and made.state is None:
        if made.pairs and not made.members:
            return Mapped(made.pairs)
        if made.members and not made.pairs:
            return made.members
    return made


def is_exception(made: Made) -> bool:
    """Whether this is an exception of Python's own."""
    module, _, name = _modern(made.name).rpartition(".")
    return module == "builtins" and name in _EXCEPTIONS


_OLD_MODULES: Final = {
    "__builtin__": "builtins",
    "exceptions": "builtins",
    "copy_reg": "copyreg",
    "pathlib._local": "pathlib",
    "numpy.core.multiarray": "numpy._core.multiarray",
}
_OLD_NAMES: Final = {"builtins.xrange": "builtins.range", "builtins.unicode": "builtins.str"}


def _modern(name: str) -> str:
    module, _, last = name.rpartition(".")
    modern = f"{_OLD_MODULES.get(module, module)}.{last}"
    return _OLD_NAMES.get(modern, modern)


# -- plain data in many words ------------------------------------------------------------------


def _encoded(arguments: _Arguments) -> object:
    """How protocols 0 to 2 write bytes: as text of the same code points."""
    if arguments[1:] in (("latin1",), ("latin-1",)) and type(arguments[0]) is str:
        try:
            return arguments[0].encode("latin-1")
        except UnicodeEncodeError:
            return None
    return None


def _bytes(arguments: _Arguments) -> object:
    if not arguments:
        return b""
    if len(arguments) == 1 and type(arguments[0]) is bytes:
        return arguments[0]
    return _encoded(arguments)


def _group(arguments: _Arguments) -> object:
    if len(arguments) == 1 and type(arguments[0]) in (list, tuple):
        # Not copied: a pickle can name one long list over and over.
        given = arguments[0]
        return MadeSet(given if type(given) is list else list(cast("tuple[object, ...]", given)))
    return None if arguments else MadeSet([])


def _mapped(arguments: _Arguments) -> object:
    """`OrderedDict()`, `Counter({...})`; of Python 2 `OrderedDict([[key, value], ...])`."""
    if not arguments:
        return Mapped([])
    given = arguments[0]
    if type(given) is Mapped:
        return given
    if type(given) is list and all(type(one) in (list, tuple) and len(one) == 2 for one in given):
        return Mapped([part for pair in given for part in pair])
    return None


def _queue(arguments: _Arguments) -> object:
    """`deque((), 5)`, `deque([...])`."""
    if not arguments:
        return []
    given = arguments[0]
    if type(given) is tuple:
        return list(given)
    return given if type(given) is list else None


def _default_dict(arguments: _Arguments) -> object:
    return Mapped([]) if len(arguments) <= 1 else None


def _rebuilt(arguments: _Arguments) -> object:
    """How protocols 0 and 1 write any object: its class, the base that holds a value, the value."""
    if len(arguments) != 3 or type(arguments[0]) is not Name or type(arguments[1]) is not Name:
        return None
    kind, value = arguments[0], arguments[2]
    base = _modern(arguments[1])
    if base in _PLAIN_BASES and type(value) in _PLAIN_BASES[base]:
        return value
    if base in ("builtins.set", "builtins.frozenset"):
        return _group((value,))
    if base == "builtins.tuple" and type(value) is tuple:
        return Made(kind, value)
    return Made(kind, () if base == "builtins.object" else (value,))


_PLAIN_BASES: Final[dict[str, tuple[type, ...]]] = {
    "builtins.str": (str, bytes),
    "builtins.bytes": (bytes, str),
    "builtins.bytearray": (bytes, str),
    "builtins.int": (int,),
    "builtins.long": (int,),
    "builtins.float": (float,),
    "builtins.list": (list,),
    "builtins.dict": (Mapped,),
}

_PLAIN: Final[dict[str, Callable[[_Arguments], object]]] = {
    "_codecs.encode": _encoded,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "builtins.set": _group,
    "builtins.frozenset": _group,
    "collections.OrderedDict": _mapped,
    "collections.Counter": _mapped,
    "collections.defaultdict": _default_dict,
    "collections.deque": _queue,
    "copyreg._reconstructor": _rebuilt,
}


# -- objects -----------------------------------------------------------------------------------


def _quoted(made: Made, text: str) -> Told:
    return Told(text, f"{made.name.short}({text!r})")


def _only_text(made: Made) -> Told | None:
    """`Decimal('1.10')`, `PosixPath('a', 'b')` of one part."""
    if len(made.arguments) == 1 and type(made.arguments[0]) is str:
        return _quoted(made, made.arguments[0])
    return None


def _path(made: Made) -> Told | None:
    """`PosixPath('/', 'var', 'log')`."""
    parts = made.arguments
    if not all(type(part) is str for part in parts):
        return None
    texts = cast("tuple[str, ...]", parts)
    mark = "\\" if made.name.short in ("WindowsPath", "PureWindowsPath") else "/"
    if len(texts) > 1 and texts[0].endswith(mark):
        return _quoted(made, texts[0] + mark.join(texts[1:]))
    return _quoted(made, mark.join(texts) or ".")


def _fraction(made: Made) -> Told | None:
    if are(made.arguments, int, int):
        top, bottom = cast("tuple[int, int]", made.arguments)
        if max(top.bit_length(), bottom.bit_length()) <= _MAX_TEXT_CHARS:
            return Told(
                f"{top}/{bottom}" if bottom != 1 else str(top), f"Fraction({top}, {bottom})"
            )
        return None
    if len(made.arguments) == 1 and type(made.arguments[0]) is str:
        return _quoted(made, made.arguments[0])
    return None


def _uuid(made: Made) -> Told | None:
    number = _pair(made.state, "int")
    if type(number) is int and 0 <= number < 1 << 128:
        return Told(str(uuid.UUID(int=number)), repr(uuid.UUID(int=number)))
    return None


def _address(made: Made) -> Told | None:
    if are(made.arguments, int):
        number = cast("int", made.arguments[0])
        kind, bits = (IPv4Address, 32) if "4" in made.name.short else (IPv6Address, 128)
        if 0 <= number < 1 << bits:
            return _quoted(made, str(kind(number)))
    return _only_text(made)


def _range(made: Made) -> Told | None:
    if not are(made.arguments, int, int, int):
        return None
    if max(map(int.bit_length, cast("tuple[int, ...]", made.arguments))) > _MAX_TEXT_CHARS:
        return None
    text = repr(range(*cast("tuple[int, int, int]", made.arguments))) if made.arguments[2] else ""
    return Told(text, text)


def _complex(made: Made) -> Told | None:
    if not are(made.arguments, float, float):
        return None
    text = str(complex(*cast("tuple[float, float]", made.arguments)))
    return Told(text, text)


def _status(made: Made) -> int | None:
    return cast("int", made.arguments[0]) if are(made.arguments, int) else None


def _member(made: Made) -> Worth | None:
    """`getattr(Color, 'RED')`: how Python 3.11 writes a member of an enumeration."""
    if len(made.arguments) != 2:
        return None
    owner, name = made.arguments
    if type(owner) is not Name or type(name) is not str:
        return None
    if owner == "http.HTTPStatus" and name in http.HTTPStatus.__members__:
        return int(http.HTTPStatus[name])
    text = f"{owner.short}.{name}"
    return Told(text, text)


_EXCEPTIONS: Final = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
) | {"StandardError"}


# -- numpy -------------------------------------------------------------------------------------

_NUMPY_FORMATS: Final = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I",
    "u8": "Q", "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip
_DIGITS_OF_FLOAT: Final = {"e": 5, "f": 9}


def _numpy_scalar(made: Made) -> int | float | None:
    """`scalar(dtype('i8'), b'...')`."""
    if len(made.arguments) != 2:
        return None
    kind, raw = made.arguments
    if type(kind) is not Made or kind.name != "numpy.dtype" or type(raw) is not bytes:
        return None
    letter = (
        _NUMPY_FORMATS.get(cast("str", kind.arguments[0])) if _is_text(kind.arguments) else None
    )
    if letter is None:
        return None
    state = kind.state
    order = ">" if type(state) is tuple and state[1:2] == (">",) else "<"
    try:
        (value,) = unpack(order + letter, raw)
    except error:
        return None
    if letter in _DIGITS_OF_FLOAT:
        value = _shortest(value, letter)
    return cast("int | float", value)


def _is_text(arguments: _Arguments) -> bool:
    return bool(arguments) and type(arguments[0]) is str


def _shortest(value: float, letter: str) -> float:
    """The float of the fewest digits that is this one if it has 16 or 32 bit."""
    for digits in range(1, _DIGITS_OF_FLOAT[letter]):
        short = float(f"{value:.{digits}g}")
        if pack(letter, short) == pack(letter, value):
            return short
    return value


# -- tools -------------------------------------------------------------------------------------


def _pair(state: object, key: str) -> object:
    """The value of a key in an object's state."""
    if type(state) is Mapped:
        for at in range(0, min(len(state.pairs), 16), 2):
            if type(state.pairs[at]) is str and state.pairs[at] == key:
                return state.pairs[at + 1]
    return None


_PATHS: Final = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")

_WORTH: Final[dict[str, Callable[[Made], Worth | None]]] = {
    "builtins.complex": _complex,
    "builtins.getattr": _member,
    "builtins.range": _range,
    "datetime.date": times.told_date,
    "datetime.datetime": times.told_datetime,
    "datetime.time": times.told_time,
    "datetime.timedelta": times.told_timedelta,
    "decimal.Decimal": _only_text,
    "fractions.Fraction": _fraction,
    "http.HTTPStatus": _status,
    "ipaddress.IPv4Address": _address,
    "ipaddress.IPv6Address": _address,
    "ipaddress.IPv4Network": _only_text,
    "ipaddress.IPv6Network": _only_text,
    "ipaddress.IPv4Interface": _only_text,
    "ipaddress.IPv6Interface": _only_text,
    "numpy._core.multiarray.scalar": _numpy_scalar,
    "uuid.UUID": _uuid,
    **{f"pathlib.{name}": _path for name in _PATHS},
}
