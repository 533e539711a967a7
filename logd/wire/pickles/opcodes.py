"""What the opcodes of plain data do, each a function of the state that they change.

An opcode that is not in the table at the end is refused. `machine.py` says what is bounded and why.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from struct import Struct
from typing import Final, cast

from logd.wire.errors import WireError
from logd.wire.fields import Named, bytes_text
from logd.wire.pickles.state import State

_MAX_NUMBER_CHARS: Final = 100
_MAX_NAME_CHARS: Final = 200
_NAME_COST: Final = 4
_MAX_LONG_BYTES: Final = 32
"""Integers up to 256 bit: more than any field holds, little enough to print at once."""

_DOUBLE = Struct(">d")
_INT4 = Struct("<i")

# Python 2 writes text as repr() does; these are all the escapes that repr() makes.
_REPR = re.compile(rb"(?:[^\\]++|\\(?:[\\'\"nrt]|x[0-9a-fA-F]{2}))*+", re.DOTALL)


def _proto(state: State) -> None:
    version = state.take(1)[0]
    if version > pickle.HIGHEST_PROTOCOL:
        raise WireError(f"pickle protocol {version}, at most {pickle.HIGHEST_PROTOCOL} known")


def _frame(state: State) -> None:
    """A hint for readers of files; without meaning for the values."""
    size = int.from_bytes(state.take(8), "little")
    if size > len(state.code) - state.at:
        raise WireError(f"pickle FRAME of {size} bytes, {len(state.code) - state.at} are left")


def _mark(state: State) -> None:
    state.push_mark()


def _none(state: State) -> None:
    state.stack.append(None)


def _true(state: State) -> None:
    state.stack.append(True)


def _false(state: State) -> None:
    state.stack.append(False)


def _int1(state: State) -> None:
    state.stack.append(state.take(1)[0])


def _int2(state: State) -> None:
    state.stack.append(int.from_bytes(state.take(2), "little"))


def _int4(state: State) -> None:
    state.stack.append(_INT4.unpack(state.take(4))[0])


def _int_text(state: State) -> None:
    line = state.line(_MAX_NUMBER_CHARS)
    # How protocols 0 and 1 write bools.
    state.stack.append(line == b"01" if line in (b"00", b"01") else _integer(line))


def _long_text(state: State) -> None:
    state.stack.append(_integer(state.line(_MAX_NUMBER_CHARS).removesuffix(b"L")))


def _long1(state: State) -> None:
    _push_long(state, state.take(1)[0])


def _long4(state: State) -> None:
    _push_long(state, int.from_bytes(state.take(4), "little"))


def _push_long(state: State, size: int) -> None:
    if size > _MAX_LONG_BYTES:
        raise WireError(f"integer of {size} bytes, at most {_MAX_LONG_BYTES} allowed")
    state.stack.append(int.from_bytes(state.take(size), "little", signed=True))


def _float(state: State) -> None:
    state.stack.append(_DOUBLE.unpack(state.take(8))[0])


def _float_text(state: State) -> None:
    state.count()
    line = state.line(_MAX_NUMBER_CHARS)
    try:
        state.stack.append(float(line))
    except ValueError as exc:
        raise WireError("pickle: not a float") from exc


def _string_text(state: State) -> None:
    state.count()
    line = state.line()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise WireError("pickle: string without quotes")
    string = line[1:-1]
    if b"\\" in string:
        if not _REPR.fullmatch(string):
            raise WireError("pickle: string with an escape that repr() does not make")
        string = string.decode("unicode_escape").encode("latin-1")
    state.stack.append(bytes_text(string))


def _string1(state: State) -> None:
    state.stack.append(bytes_text(state.counted(1)))


def _string4(state: State) -> None:
    state.stack.append(bytes_text(state.counted(4)))


def _unicode_text(state: State) -> None:
    state.count()
    try:
        state.stack.append(str(state.line(), "raw-unicode-escape"))
    except UnicodeDecodeError as exc:
        raise WireError(f"pickle: {exc.reason}") from exc


def _unicode1(state: State) -> None:
    state.stack.append(_utf_8(state.counted(1)))


def _unicode4(state: State) -> None:
    state.stack.append(_utf_8(state.counted(4)))


def _unicode8(state: State) -> None:
    state.stack.append(_utf_8(state.counted(8)))


def _bytes1(state: State) -> None:
    state.stack.append(state.counted(1))


def _bytes4(state: State) -> None:
    state.stack.append(state.counted(4))


def _bytes8(state: State) -> None:
    state.stack.append(state.counted(8))


def _empty_tuple(state: State) -> None:
    state.push_new(())


def _tuple(state: State) -> None:
    state.push_tuple(state.pop_to_mark())


def _tuple1(state: State) -> None:
    state.push_tuple([state.pop()])


def _tuple2(state: State) -> None:
    second = state.pop()
    state.push_tuple([state.pop(), second])


def _tuple3(state: State) -> None:
    third = state.pop()
    second = state.pop()
    state.push_tuple([state.pop(), second, third])


def _empty_list(state: State) -> None:
    state.push_new([])


def _list(state: State) -> None:
    state.push_list(state.pop_to_mark())


def _append(state: State) -> None:
    value = state.pop()
    target = cast("list[object]", state.top(list))
    state.grow(target, [value])
    target.append(value)


def _appends(state: State) -> None:
    values = state.pop_to_mark()
    target = cast("list[object]", state.top(list))
    state.grow(target, values)
    target += values


def _empty_dict(state: State) -> None:
    state.push_new({})


def _dict(state: State) -> None:
    state.push_dict(state.pop_to_mark())


def _set_item(state: State) -> None:
    value = state.pop()
    key = state.pop()
    state.set_items(cast("dict[str, object]", state.top(dict)), [key, value])


def _set_items(state: State) -> None:
    pairs = state.pop_to_mark()
    state.set_items(cast("dict[str, object]", state.top(dict)), pairs)


def _global(state: State) -> None:
    _push_name(state, state.line(_MAX_NAME_CHARS), state.line(_MAX_NAME_CHARS))


def _stack_global(state: State) -> None:
    name = state.pop()
    module = state.pop()
    if type(name) is not str or type(module) is not str:
        raise WireError("pickle: a name that is not text")
    _push_name(state, module.encode("utf-8", "replace"), name.encode("utf-8", "replace"))


def _push_name(state: State, module: bytes, name: bytes) -> None:
    state.count(_NAME_COST)
    if len(module) + len(name) > _MAX_NAME_CHARS:
        raise WireError(f"pickle: a name of more than {_MAX_NAME_CHARS} characters")
    state.stack.append(Named(f"{bytes_text(module)}.{bytes_text(name)}"))


def _call(state: State) -> None:
    """REDUCE and NEWOBJ: a callable or class, and its arguments."""
    arguments = state.pop()
    callee = state.pop()
    if type(callee) is not Named or type(arguments) is not tuple:
        raise WireError("pickle calls what has no name")
    state.stack.append(_called(callee, arguments))


def _call_with_names(state: State) -> None:
    """NEWOBJ_EX: the same, and a dict of named arguments."""
    state.pop()
    _call(state)


def _build(state: State) -> None:
    """The state of what a call made."""
    state.pop()
    if not state.stack or type(state.stack[-1]) is not Named:
        raise WireError("pickle gives a state to what has none")


def _put_text(state: State) -> None:
    state.put(_integer(state.line(_MAX_NUMBER_CHARS)))


def _put1(state: State) -> None:
    at = state.at
    state.put(int.from_bytes(state.code[at : at + 1], "little"))
    state.at = at + 1


def _put4(state: State) -> None:
    state.put(int.from_bytes(state.take(4), "little"))


def _memoize(state: State) -> None:
    state.put(len(state.memo))


def _get_text(state: State) -> None:
    state.get(_integer(state.line(_MAX_NUMBER_CHARS)))


def _get1(state: State) -> None:
    state.get(state.take(1)[0])


def _get4(state: State) -> None:
    state.get(int.from_bytes(state.take(4), "little"))


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


_OPERATION_OF: Final[dict[bytes, Callable[[State], None]]] = {
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
