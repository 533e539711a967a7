"""What the opcodes do that name classes and functions, and say how objects are made of them.

Nothing is looked up or called: a name is text, and a call is plain data in many words or a `Made`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from logd.wire.errors import WireError
from logd.wire.pickles.constructors import called
from logd.wire.pickles.made import Made, Mapped, Name
from logd.wire.pickles.state import State
from logd.wire.texts import bytes_text

_MAX_NAME_CHARS: Final = 200
_NAME_COST: Final = 4
_COPIED_AT_ONCE: Final[dict[type, int]] = {list: 8, tuple: 8, str: 256, bytes: 256}
"""How much of an argument is copied at the cost of making one value."""

_PLAIN_BASES: Final = (str, bytes, int, float)


def named(state: State) -> None:
    """GLOBAL: a class or function, by two lines of text."""
    _push_name(state, state.line(), state.line())


def stack_global(state: State) -> None:
    """STACK_GLOBAL: a class or function, by two values."""
    name = state.pop()
    module = state.pop()
    if type(name) is not str or type(module) is not str:
        raise WireError("pickle: a name that is not text")
    short = module[-_MAX_NAME_CHARS:], name[:_MAX_NAME_CHARS]
    _push_name(state, *(part.encode("utf-8", "replace") for part in short))


def _push_name(state: State, module: bytes, name: bytes) -> None:
    state.stack.append(_name(state, module, name))


def _name(state: State, module: bytes, name: bytes) -> Name:
    state.count(_NAME_COST)
    whole = f"{bytes_text(module[-_MAX_NAME_CHARS:])}.{bytes_text(name[:_MAX_NAME_CHARS])}"
    return Name(whole)


def extension(width: int) -> Callable[[State], None]:
    """A class or function that the sender's program has given a number."""

    def push(state: State) -> None:
        number = int.from_bytes(state.take(width), "little")
        _push_name(state, b"copyreg", b"extension_%d" % number)

    return push


def call(state: State) -> None:
    """REDUCE: a callable and its arguments."""
    arguments = state.pop()
    _push_call(state, state.pop(), arguments)


def new(state: State) -> None:
    """NEWOBJ: a class and the arguments of its `__new__`."""
    arguments = state.pop()
    kind = state.pop()
    if type(arguments) is tuple and len(arguments) == 1 and type(arguments[0]) in _PLAIN_BASES:
        # A class made from one of these, with its value.
        state.push_new(arguments[0])
        return
    _push_call(state, kind, arguments)


def new_with_names(state: State) -> None:
    """NEWOBJ_EX: the same, and a dict of named arguments."""
    names = state.pop()
    new(state)
    made = state.stack[-1]
    if type(made) is Made and type(names) is Mapped and names.pairs:
        made.state = names


def instance(state: State) -> None:
    """INST: how protocol 0 writes an object of Python 2's first kind of classes."""
    name = _name(state, state.line(), state.line())
    state.push_new(Made(name, tuple(state.pop_to_mark())))


def instance_by_class(state: State) -> None:
    """OBJ: the same in protocol 1."""
    values = state.pop_to_mark()
    if not values:
        raise WireError("pickle calls nothing")
    _push_call(state, values[0], tuple(values[1:]))


def _push_call(state: State, callee: object, arguments: object) -> None:
    if type(arguments) is not tuple or type(callee) not in (Name, Made):
        raise WireError("pickle calls what has no name")
    name = callee if type(callee) is Name else _name_of_result(cast("Made", callee))
    if arguments and type(arguments[0]) in _COPIED_AT_ONCE:
        # A pickle can name one long value over and over.
        state.count(len(cast("list[object]", arguments[0])) // _COPIED_AT_ONCE[type(arguments[0])])
    value = called(name, arguments)
    state.push_new(Made(name, arguments) if value is None else value)


def _name_of_result(made: Made) -> Name:
    """The name of what another call has looked up: `getattr(ZoneInfo, '_unpickle')`."""
    if len(made.arguments) == 2 and type(made.arguments[0]) is Name:
        name = made.arguments[1]
        if type(name) is str:
            return Name(f"{made.arguments[0]}.{name[:_MAX_NAME_CHARS]}"[-2 * _MAX_NAME_CHARS :])
    return made.name


def build(state: State) -> None:
    """The state of what a call made; what became plain data has no place for one."""
    given = state.pop()
    made = state.stack[-1] if state.stack else None
    if type(made) is Made:
        made.state = given
    elif type(made) in (type(None), tuple, Name) or not state.stack:
        raise WireError("pickle gives a state to what has none")
