"""What the opcodes of plain data do, each a function of the machine that runs them.

An opcode that is not in the table at the end is refused. `machine.py` says what is bounded and why.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Final, cast

from logd.wire.errors import WireError
from logd.wire.fields import Named, bytes_text

if TYPE_CHECKING:
    from logd.wire.machine import Machine

_MAX_NUMBER_CHARS: Final = 100
_MAX_NAME_CHARS: Final = 200
_NAME_COST: Final = 4
_MAX_LONG_BYTES: Final = 32
"""Integers up to 256 bit: more than any field holds, little enough to print at once."""

_DOUBLE = Struct(">d")
_INT4 = Struct("<i")

# Python 2 writes text as repr() does; these are all the escapes that repr() makes.
_REPR = re.compile(rb"(?:[^\\]++|\\(?:[\\'\"nrt]|x[0-9a-fA-F]{2}))*+", re.DOTALL)


def _proto(machine: Machine) -> None:
    version = machine.take(1)[0]
    if version > pickle.HIGHEST_PROTOCOL:
        raise WireError(f"pickle protocol {version}, at most {pickle.HIGHEST_PROTOCOL} known")


def _frame(machine: Machine) -> None:
    """A hint for readers of files; without meaning for the values."""
    size = int.from_bytes(machine.take(8), "little")
    if size > len(machine.code) - machine.at:
        raise WireError(f"pickle FRAME of {size} bytes, {len(machine.code) - machine.at} are left")


def _mark(machine: Machine) -> None:
    machine.push_mark()


def _none(machine: Machine) -> None:
    machine.stack.append(None)


def _true(machine: Machine) -> None:
    machine.stack.append(True)


def _false(machine: Machine) -> None:
    machine.stack.append(False)


def _int1(machine: Machine) -> None:
    machine.stack.append(machine.take(1)[0])


def _int2(machine: Machine) -> None:
    machine.stack.append(int.from_bytes(machine.take(2), "little"))


def _int4(machine: Machine) -> None:
    machine.stack.append(_INT4.unpack(machine.take(4))[0])


def _int_text(machine: Machine) -> None:
    line = machine.line(_MAX_NUMBER_CHARS)
    # How protocols 0 and 1 write bools.
    machine.stack.append(line == b"01" if line in (b"00", b"01") else _integer(line))


def _long_text(machine: Machine) -> None:
    machine.stack.append(_integer(machine.line(_MAX_NUMBER_CHARS).removesuffix(b"L")))


def _long1(machine: Machine) -> None:
    _push_long(machine, machine.take(1)[0])


def _long4(machine: Machine) -> None:
    _push_long(machine, int.from_bytes(machine.take(4), "little"))


def _push_long(machine: Machine, size: int) -> None:
    if size > _MAX_LONG_BYTES:
        raise WireError(f"integer of {size} bytes, at most {_MAX_LONG_BYTES} allowed")
    machine.stack.append(int.from_bytes(machine.take(size), "little", signed=True))


def _float(machine: Machine) -> None:
    machine.stack.append(_DOUBLE.unpack(machine.take(8))[0])


def _float_text(machine: Machine) -> None:
    machine.count()
    line = machine.line(_MAX_NUMBER_CHARS)
    try:
        machine.stack.append(float(line))
    except ValueError as exc:
        raise WireError("pickle: not a float") from exc


def _string_text(machine: Machine) -> None:
    machine.count()
    line = machine.line()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise WireError("pickle: string without quotes")
    string = line[1:-1]
    if b"\\" in string:
        if not _REPR.fullmatch(string):
            raise WireError("pickle: string with an escape that repr() does not make")
        string = string.decode("unicode_escape").encode("latin-1")
    machine.stack.append(bytes_text(string))


def _string1(machine: Machine) -> None:
    machine.stack.append(bytes_text(machine.counted(1)))


def _string4(machine: Machine) -> None:
    machine.stack.append(bytes_text(machine.counted(4)))


def _unicode_text(machine: Machine) -> None:
    machine.count()
    try:
        machine.stack.append(str(machine.line(), "raw-unicode-escape"))
    except UnicodeDecodeError as exc:
        raise WireError(f"pickle: {exc.reason}") from exc


def _unicode1(machine: Machine) -> None:
    machine.stack.append(_utf_8(machine.counted(1)))


def _unicode4(machine: Machine) -> None:
    machine.stack.append(_utf_8(machine.counted(4)))


def _unicode8(machine: Machine) -> None:
    machine.stack.append(_utf_8(machine.counted(8)))


def _bytes1(machine: Machine) -> None:
    machine.stack.append(machine.counted(1))


def _bytes4(machine: Machine) -> None:
    machine.stack.append(machine.counted(4))


def _bytes8(machine: Machine) -> None:
    machine.stack.append(machine.counted(8))


def _empty_tuple(machine: Machine) -> None:
    machine.push_new(())


def _tuple(machine: Machine) -> None:
    machine.push_tuple(machine.pop_to_mark())


def _tuple1(machine: Machine) -> None:
    machine.push_tuple([machine.pop()])


def _tuple2(machine: Machine) -> None:
    second = machine.pop()
    machine.push_tuple([machine.pop(), second])


def _tuple3(machine: Machine) -> None:
    third = machine.pop()
    second = machine.pop()
    machine.push_tuple([machine.pop(), second, third])


def _empty_list(machine: Machine) -> None:
    machine.push_new([])


def _list(machine: Machine) -> None:
    machine.push_list(machine.pop_to_mark())


def _append(machine: Machine) -> None:
    value = machine.pop()
    target = cast("list[object]", machine.top(list))
    machine.grow(target, [value])
    target.append(value)


def _appends(machine: Machine) -> None:
    values = machine.pop_to_mark()
    target = cast("list[object]", machine.top(list))
    machine.grow(target, values)
    target += values


def _empty_dict(machine: Machine) -> None:
    machine.push_new({})


def _dict(machine: Machine) -> None:
    machine.push_dict(machine.pop_to_mark())


def _set_item(machine: Machine) -> None:
    value = machine.pop()
    key = machine.pop()
    machine.set_items(cast("dict[str, object]", machine.top(dict)), [key, value])


def _set_items(machine: Machine) -> None:
    pairs = machine.pop_to_mark()
    machine.set_items(cast("dict[str, object]", machine.top(dict)), pairs)


def _global(machine: Machine) -> None:
    _push_name(machine, machine.line(_MAX_NAME_CHARS), machine.line(_MAX_NAME_CHARS))


def _stack_global(machine: Machine) -> None:
    name = machine.pop()
    module = machine.pop()
    if type(name) is not str or type(module) is not str:
        raise WireError("pickle: a name that is not text")
    _push_name(machine, module.encode("utf-8", "replace"), name.encode("utf-8", "replace"))


def _push_name(machine: Machine, module: bytes, name: bytes) -> None:
    machine.count(_NAME_COST)
    if len(module) + len(name) > _MAX_NAME_CHARS:
        raise WireError(f"pickle: a name of more than {_MAX_NAME_CHARS} characters")
    machine.stack.append(Named(f"{bytes_text(module)}.{bytes_text(name)}"))


def _call(machine: Machine) -> None:
    """REDUCE and NEWOBJ: a callable or class, and its arguments."""
    arguments = machine.pop()
    callee = machine.pop()
    if type(callee) is not Named or type(arguments) is not tuple:
        raise WireError("pickle calls what has no name")
    machine.stack.append(_called(callee, arguments))


def _call_with_names(machine: Machine) -> None:
    """NEWOBJ_EX: the same, and a dict of named arguments."""
    machine.pop()
    _call(machine)


def _build(machine: Machine) -> None:
    """The state of what a call made."""
    machine.pop()
    if not machine.stack or type(machine.stack[-1]) is not Named:
        raise WireError("pickle gives a state to what has none")


def _put_text(machine: Machine) -> None:
    machine.put(_integer(machine.line(_MAX_NUMBER_CHARS)))


def _put1(machine: Machine) -> None:
    at = machine.at
    machine.put(int.from_bytes(machine.code[at : at + 1], "little"))
    machine.at = at + 1


def _put4(machine: Machine) -> None:
    machine.put(int.from_bytes(machine.take(4), "little"))


def _memoize(machine: Machine) -> None:
    machine.put(len(machine.memo))


def _get_text(machine: Machine) -> None:
    machine.get(_integer(machine.line(_MAX_NUMBER_CHARS)))


def _get1(machine: Machine) -> None:
    machine.get(machine.take(1)[0])


def _get4(machine: Machine) -> None:
    machine.get(int.from_bytes(machine.take(4), "little"))


def _called(callee: Named, arguments: tuple[object, ...]) -> object:
    """What stands for the result of a call."""
    # How protocols 0 to 2 write bytes: as text of the same code points.
    if callee == "_codecs.encode" and arguments[1:] == ("latin1",):
        text = arguments[0]
        if type(text) is str and max(text, default="") <= "\xff":
            return text.encode("latin-1")
    if callee in ("builtins.bytes", "__builtin__.bytes") and not arguments:
        return b""
    # How protocols 0 and 1 write any object: a function is called with the class.
    if callee.endswith("._reconstructor") and arguments and type(arguments[0]) is Named:
        return arguments[0]
    return callee


def _integer(digits: bytes) -> int:
    try:
        return int(digits)
    except ValueError as exc:
        raise WireError("pickle: not an integer") from exc


def _utf_8(string: bytes) -> str:
    try:
        return string.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        raise WireError(f"pickle: text is not UTF-8: {exc.reason}") from exc


_OPERATION_OF: Final[dict[bytes, Callable[[Machine], None]]] = {
    pickle.PROTO: _proto,
    pickle.FRAME: _frame,
    pickle.MARK: _mark,
    pickle.NONE: _none,
    pickle.NEWTRUE: _true,
    pickle.NEWFALSE: _false,
    pickle.BININT1: _int1,
    pickle.BININT2: _int2,
    pickle.BININT: _int4,
    pickle.INT: _int_text,
    pickle.LONG: _long_text,
    pickle.LONG1: _long1,
    pickle.LONG4: _long4,
    pickle.BINFLOAT: _float,
    pickle.FLOAT: _float_text,
    pickle.STRING: _string_text,
    pickle.SHORT_BINSTRING: _string1,
    pickle.BINSTRING: _string4,
    pickle.UNICODE: _unicode_text,
    pickle.SHORT_BINUNICODE: _unicode1,
    pickle.BINUNICODE: _unicode4,
    pickle.BINUNICODE8: _unicode8,
    pickle.SHORT_BINBYTES: _bytes1,
    pickle.BINBYTES: _bytes4,
    pickle.BINBYTES8: _bytes8,
    pickle.EMPTY_TUPLE: _empty_tuple,
    pickle.TUPLE: _tuple,
    pickle.TUPLE1: _tuple1,
    pickle.TUPLE2: _tuple2,
    pickle.TUPLE3: _tuple3,
    pickle.EMPTY_LIST: _empty_list,
    pickle.LIST: _list,
    pickle.APPEND: _append,
    pickle.APPENDS: _appends,
    pickle.EMPTY_DICT: _empty_dict,
    pickle.DICT: _dict,
    pickle.SETITEM: _set_item,
    pickle.SETITEMS: _set_items,
    pickle.GLOBAL: _global,
    pickle.STACK_GLOBAL: _stack_global,
    pickle.REDUCE: _call,
    pickle.NEWOBJ: _call,
    pickle.NEWOBJ_EX: _call_with_names,
    pickle.BUILD: _build,
    pickle.PUT: _put_text,
    pickle.BINPUT: _put1,
    pickle.LONG_BINPUT: _put4,
    pickle.MEMOIZE: _memoize,
    pickle.GET: _get_text,
    pickle.BINGET: _get1,
    pickle.LONG_BINGET: _get4,
}
OPERATIONS: Final = [_OPERATION_OF.get(bytes([code])) for code in range(256)]
"""By opcode; None for STOP and for all that is refused."""
