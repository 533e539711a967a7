"""Stack and memo of a pickle program, and what bounds them; `machine.py` says why.

The operations of `opcodes.py` are made of the methods here.
"""

from __future__ import annotations

from typing import Final, cast

from logd.wire.errors import WireError
from logd.wire.fields import Named

_MAX_MADE: Final = 20_000
"""Containers, names and lines of text, which cost some times as much as other opcodes. A pickler
stores nearly each of them in its memo, which is another opcode."""

_MAX_WRITTEN: Final = 4 << 20
"""Characters a value may have when written out, sharing undone."""

_MAX_DEPTH: Final = 32

_ITEM_CHARS: Final = 4
"""What a container's item costs when written besides itself: quotes, comma, blank."""


_ONLY_TEXT: Final = frozenset([str])

Container = tuple[object, ...] | list[object] | dict[str, object]


class _Mark:
    """Stands on the stack where MARK was executed."""


_MARK: Final = _Mark()


class State:
    """A program, its stack and its memo.

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
