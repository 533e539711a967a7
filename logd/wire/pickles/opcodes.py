"""What the opcodes of plain data do, each a function of the state that they change.

An opcode that is not in the table at the end is refused. `machine.py` says what is bounded and why.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from struct import Struct
from typing import Final

from logd.wire.errors import WireError
from logd.wire.pickles import objects
from logd.wire.pickles.made import MadeSet, Mapped
from logd.wire.pickles.state import State
from logd.wire.texts import bytes_text, unicode_text

_MAX_NUMBER_CHARS: Final = 100
_MAX_DIGITS: Final = 4_000
"""Python makes no integers of more decimal digits."""

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
    line = state.line()
    # How protocols 0 and 1 write bools.
    state.stack.append(line == b"01" if line in (b"00", b"01") else _number(state, line))


def _long_text(state: State) -> None:
    state.stack.append(_number(state, state.line().removesuffix(b"L")))


def _number(state: State, digits: bytes) -> int | str:
    """The integer; its digits as text if there are too many."""
    if len(digits) <= _MAX_NUMBER_CHARS:
        return _integer(digits)
    # The time that takes grows with the square of the length.
    state.count(len(digits) // _MAX_NUMBER_CHARS)
    if len(digits) <= _MAX_DIGITS:
        return _integer(digits)
    if not digits.removeprefix(b"-").isdigit():
        raise WireError("pickle: not an integer")
    return digits.decode()


def _long1(state: State) -> None:
    state.stack.append(int.from_bytes(state.counted(1), "little", signed=True))


def _long4(state: State) -> None:
    state.stack.append(int.from_bytes(state.counted(4), "little", signed=True))


def _float(state: State) -> None:
    state.stack.append(_DOUBLE.unpack(state.take(8))[0])


def _float_text(state: State) -> None:
    state.count()
    line = state.line()
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
    state.stack.append(unicode_text(state.counted(1)))


def _unicode4(state: State) -> None:
    state.stack.append(unicode_text(state.counted(4)))


def _unicode8(state: State) -> None:
    state.stack.append(unicode_text(state.counted(8)))


def _bytes1(state: State) -> None:
    state.stack.append(state.counted(1))


def _bytes4(state: State) -> None:
    state.stack.append(state.counted(4))


def _bytes8(state: State) -> None:
    state.stack.append(state.counted(8))


def _byte_array(state: State) -> None:
    state.stack.append(state.counted(8))


def _empty_tuple(state: State) -> None:
    state.push_new(())


def _tuple(state: State) -> None:
    state.push_new(tuple(state.pop_to_mark()))


def _tuple1(state: State) -> None:
    state.push_new((state.pop(),))


def _tuple2(state: State) -> None:
    second = state.pop()
    state.push_new((state.pop(), second))


def _tuple3(state: State) -> None:
    third = state.pop()
    second = state.pop()
    state.push_new((state.pop(), second, third))


def _empty_list(state: State) -> None:
    state.push_new([])


def _list(state: State) -> None:
    state.push_new(state.pop_to_mark())


def _append(state: State) -> None:
    value = state.pop()
    state.top(list).append(value)


def _appends(state: State) -> None:
    values = state.pop_to_mark()
    state.top(list).extend(values)


def _empty_dict(state: State) -> None:
    state.push_new(Mapped([]))


def _dict(state: State) -> None:
    pairs = state.pop_to_mark()
    state.push_new(Mapped([]))
    state.add_pairs(pairs)


def _set_item(state: State) -> None:
    value = state.pop()
    state.add_pairs([state.pop(), value])


def _set_items(state: State) -> None:
    state.add_pairs(state.pop_to_mark())


def _empty_set(state: State) -> None:
    state.push_new(MadeSet([]))


def _add_items(state: State) -> None:
    members = state.pop_to_mark()
    state.top(MadeSet).extend(members)


def _frozen_set(state: State) -> None:
    state.push_new(MadeSet(state.pop_to_mark()))


def _pop(state: State) -> None:
    """Picklers drop what they began when they find that it contains itself."""
    state.drop()


def _pop_mark(state: State) -> None:
    state.has_dropped = True
    state.pop_to_mark()


def _dup(state: State) -> None:
    value = state.pop()
    state.stack += (value, value)


def _put_text(state: State) -> None:
    state.put(_index(state))


def _put1(state: State) -> None:
    at = state.at
    state.put(int.from_bytes(state.code[at : at + 1], "little"))
    state.at = at + 1


def _put4(state: State) -> None:
    state.put(int.from_bytes(state.take(4), "little"))


def _memoize(state: State) -> None:
    state.put(len(state.memo))


def _get_text(state: State) -> None:
    state.get(_index(state))


def _get1(state: State) -> None:
    state.get(state.take(1)[0])


def _get4(state: State) -> None:
    state.get(int.from_bytes(state.take(4), "little"))


def _index(state: State) -> int:
    digits = state.line()
    if len(digits) > _MAX_NUMBER_CHARS:
        raise WireError("pickle: a memo index of too many digits")
    return _integer(digits)


def _integer(digits: bytes) -> int:
    try:
        return int(digits)
    except ValueError as exc:
        raise WireError("pickle: not an integer") from exc


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
    pickle.BYTEARRAY8: _byte_array,
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
    pickle.EMPTY_SET: _empty_set,
    pickle.ADDITEMS: _add_items,
    pickle.FROZENSET: _frozen_set,
    pickle.GLOBAL: objects.named,
    pickle.STACK_GLOBAL: objects.stack_global,
    pickle.REDUCE: objects.call,
    pickle.NEWOBJ: objects.new,
    pickle.NEWOBJ_EX: objects.new_with_names,
    pickle.INST: objects.instance,
    pickle.OBJ: objects.instance_by_class,
    pickle.BUILD: objects.build,
    pickle.EXT1: objects.extension(1),
    pickle.EXT2: objects.extension(2),
    pickle.EXT4: objects.extension(4),
    pickle.POP: _pop,
    pickle.POP_MARK: _pop_mark,
    pickle.DUP: _dup,
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
