"""Runs any pickle of plain data, slowly and within bounds.

What `grammar.py` can't prove in one stroke, but senders legitimately send, comes here: nested
extras of a `LogRecord`, lists, protocols 0 to 5 with all their ways to write a string. It is a
small pickle machine of its own: it knows the opcodes that build text, bytes, numbers, None,
tuples, lists and dicts. Names are text to it, and a call makes a `Named`, the name of what was to
be called: a record whose extras hold a date is a record, and nothing is looked up or run for it.

Bounds, beside those of single values:

- Every opcode counts, so the time is bounded whatever the program.
- A container knows how large it is when written out, everything it shares counted each time, and
  how deep it is. Both are bounded when it grows.
- A list or dict that was fetched from the memo can't be changed any more, so nothing ever
  contains itself and a size once known stays true.
- Keys are text. The memo is a dict here: its indexes cost nothing.

What each opcode does is in `opcodes.py`. About 0.5 us each: 20 us for a record, against 6 us by way
of the grammar.
"""

from __future__ import annotations

import pickle
from typing import Final, cast

from logd.wire.errors import WireError
from logd.wire.fields import Named
from logd.wire.opcodes import OPERATIONS

_MAX_OPCODES: Final = 50_000
"""2,000 records of a simple sender in one frame; 30 ms."""

_MAX_MADE: Final = 20_000
"""Containers, names and lines of text, which cost some times as much as other opcodes. A pickler
stores nearly each of them in its memo, which is another opcode."""

_MAX_WRITTEN: Final = 4 << 20
"""Characters a value may have when written out, sharing undone."""

_MAX_DEPTH: Final = 32

_ITEM_CHARS: Final = 4
"""What a container's item costs when written besides itself: quotes, comma, blank."""

_OPCODE_NAMES: Final = {
    code: name
    for name, code in vars(pickle).items()
    if name.isupper() and type(code) is bytes and len(code) == 1
}

_ONLY_TEXT: Final = frozenset([str])

Container = tuple[object, ...] | list[object] | dict[str, object]


class _Mark:
    """Stands on the stack where MARK was executed."""


_MARK: Final = _Mark()


def run(payload: bytes) -> object:
    """The value of a pickle of plain data; byte strings of Python 2 become text.

    Raises:
        WireError: any other opcode, a broken program, a bound exceeded.
    """
    return Machine(payload).run()


class Machine:
    """One program with its stack and memo.

    Attributes:
        code: the program.
        at: where the next opcode or argument stands in it.
        stack: values, and a mark where MARK was executed.
        memo: values that may be used again, by number.
    """

    __slots__ = ("_frozen", "_made", "_marks", "_sizes", "at", "code", "memo", "stack")

    def __init__(self, code: bytes) -> None:
        self.code = code
        self.at = 0
        self.stack: list[object] = []
        self._marks: list[int] = []
        self._made = 0
        self.memo: dict[int, object] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        """Identity of a container -> characters when written out, depth."""
        self._frozen: set[int] = set()
        """Identities of the lists and dicts that were fetched from the memo."""

    def run(self) -> object:
        """Run the program to its end; its value.

        Raises:
            WireError: as for the function `run`.
        """
        code = self.code
        operations = OPERATIONS
        try:
            for _ in range(_MAX_OPCODES):
                at = self.at
                self.at = at + 1
                operation = operations[code[at]]
                if operation is None:
                    break
                operation(self)
            else:
                raise WireError(f"pickle of more than {_MAX_OPCODES} opcodes")
        except IndexError:
            raise WireError("pickle cut off") from None
        if code[at : at + 1] != pickle.STOP:
            raise _refused(code[at : at + 1])
        return self._stop()

    def _stop(self) -> object:
        if self.at != len(self.code):
            raise WireError(f"{len(self.code) - self.at} bytes after the end of the pickle")
        if len(self.stack) != 1:
            raise WireError(f"pickle ends with {len(self.stack)} values, 1 expected")
        return self.pop()

    # What the operations are made of

    def count(self, cost: int = 1) -> None:
        """Count a value that is dear to make."""
        self._made += cost
        if self._made > _MAX_MADE:
            raise WireError(f"pickle of more than {_MAX_MADE} containers, names and lines of text")

    def take(self, size: int) -> bytes:
        """The next bytes of the program."""
        start = self.at
        self.at = start + size
        taken = self.code[start : start + size]
        if len(taken) != size:
            raise WireError(f"pickle cut off: {size} bytes announced, {len(taken)} there")
        return taken

    def counted(self, width: int) -> bytes:
        """The bytes whose number stands before them in `width` little-endian bytes."""
        start = self.at + width
        size = int.from_bytes(self.code[self.at : start], "little")
        self.at = start + size
        taken = self.code[start : start + size]
        if len(taken) != size:
            raise WireError(f"pickle cut off: {size} bytes announced, {len(taken)} there")
        return taken

    def line(self, limit: int | None = None) -> bytes:
        """The program up to the next newline, which is within `limit` bytes."""
        start = self.at
        end = self.code.find(b"\n", start, None if limit is None else start + limit)
        if end < 0:
            raise WireError("pickle: line without end")
        self.at = end + 1
        return self.code[start:end]

    def pop(self) -> object:
        """Take the topmost value."""
        if not self.stack:
            raise WireError("pickle takes from an empty stack")
        value = self.stack.pop()
        if value is _MARK:
            raise WireError("pickle takes a mark for a value")
        return value

    def push_mark(self) -> None:
        """Mark where a container's values begin."""
        self._marks.append(len(self.stack))
        self.stack.append(_MARK)

    def pop_to_mark(self) -> list[object]:
        """Take the values from the last mark on."""
        if not self._marks:
            raise WireError("pickle without the mark it needs")
        at = self._marks.pop()
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def top(self, kind: type[list[object]] | type[dict[str, object]]) -> object:
        """The list or dict on top of the stack, which is about to grow."""
        top = self.stack[-1] if self.stack else None
        if type(top) is Named:
            # A class made from list or dict: what it holds is dropped like all it is.
            return kind()
        if type(top) is not kind:
            raise WireError(f"pickle adds to {type(top).__name__}, {kind.__name__} expected")
        if id(top) in self._frozen:
            raise WireError(f"pickle changes a {kind.__name__} that is in use already")
        return top

    def grow(self, container: Container, values: list[object]) -> None:
        """Count what `values` add to the container."""
        size, depth = self._sizes.get(id(container), (_ITEM_CHARS, 1))
        for value in values:
            if type(value) is str:
                size += len(value) + _ITEM_CHARS
            elif type(value) is bytes:
                size += 4 * len(value) + _ITEM_CHARS
            elif type(value) is Named:
                size += len(value) + _ITEM_CHARS
            elif type(value) in (tuple, list, dict):
                inner, below = self._sizes[id(value)]
                size += inner + _ITEM_CHARS
                depth = max(depth, below + 1)
            else:
                size += 8 + _ITEM_CHARS
        if size > _MAX_WRITTEN:
            raise WireError(f"pickle of more than {_MAX_WRITTEN} characters when written out")
        if depth > _MAX_DEPTH:
            raise WireError(f"pickle nested more than {_MAX_DEPTH} deep")
        self._sizes[id(container)] = (size, depth)

    def push_new(self, container: Container) -> None:
        """Push a container that is empty, or about to be counted with `grow`."""
        self.count()
        # A value that a later one of the same key replaced is gone, and its identity free again.
        self._frozen.discard(id(container))
        self._sizes[id(container)] = (_ITEM_CHARS, 1)
        self.stack.append(container)

    def push_tuple(self, values: list[object]) -> None:
        """Push a tuple of values."""
        made = tuple(values)
        self.push_new(made)
        self.grow(made, values)

    def push_list(self, values: list[object]) -> None:
        """Push a list of values."""
        self.push_new(values)
        self.grow(values, values)

    def push_dict(self, pairs: list[object]) -> None:
        """Push a dict of key, value, key, value, ..."""
        made: dict[str, object] = {}
        self.push_new(made)
        self.set_items(made, pairs)

    def set_items(self, target: dict[str, object], pairs: list[object]) -> None:
        """Add key, value, key, value, ... to a dict."""
        if len(pairs) == 2 and type(pairs[0]) is str:
            self.grow(target, pairs)
            target[pairs[0]] = pairs[1]
            return
        if len(pairs) % 2:
            raise WireError("pickle: a key without a value")
        keys = pairs[::2]
        if not _ONLY_TEXT.issuperset(map(type, keys)):
            raise WireError("pickle: a key that is not text")
        self.grow(target, pairs)
        target.update(zip(cast("list[str]", keys), pairs[1::2], strict=True))

    def put(self, index: int) -> None:
        """Keep the topmost value under a number."""
        top = self.stack[-1] if self.stack else _MARK
        if top is _MARK:
            raise WireError("pickle memoizes nothing")
        self.memo[index] = top

    def get(self, index: int) -> None:
        """Push the value kept under a number; it can't be changed from now on."""
        try:
            value = self.memo[index]
        except KeyError:
            raise WireError(f"pickle fetches memo {index}, which was never set") from None
        if type(value) in (list, dict):
            self._frozen.add(id(value))
        self.stack.append(value)


def _refused(opcode: bytes) -> WireError:
    name = _OPCODE_NAMES.get(opcode)
    if name is None:
        return WireError(f"not a pickle: no opcode {opcode[0]:#04x}")
    return WireError(f"pickle opcode {name} refused: only plain data is taken")
