"""Stack and memo of a pickle program, and what bounds them; `machine.py` says why.

The operations of `opcodes.py` are made of the methods here.
"""

from __future__ import annotations

from typing import Final

from logd.wire.errors import TooLongError, WireError
from logd.wire.pickles.made import Made, MadeSet, Mapped

_MAX_MADE: Final = 20_000
"""Containers, names and lines of text, which cost some times as much as other opcodes. A pickler
stores nearly each of them in its memo, which is another opcode."""


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
        has_dropped: something was taken off the stack to be forgotten.
        is_cut: the program is the beginning of one: what is cut off counts as far as it is there.
    """

    __slots__ = ("_made", "_marks", "at", "code", "has_dropped", "is_cut", "memo", "stack")

    def __init__(self, code: bytes) -> None:
        self.code = code
        self.at = 0
        self.stack: list[object] = []
        self._marks: list[int] = []
        self._made = 0
        self.memo: dict[int, object] = {}
        self.is_cut = False
        self.has_dropped = False

    def count(self, cost: int = 1) -> None:
        """Count a value that is dear to make."""
        self._made += cost
        if self._made > _MAX_MADE:
            raise TooLongError(
                f"pickle of more than {_MAX_MADE} containers, names and lines of text"
            )

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
            if not self.is_cut:
                raise WireError(f"pickle cut off: {size} bytes announced, {len(taken)} there")
            return _without_half_character(taken)
        return taken

    def line(self) -> bytes:
        """The program up to the next newline."""
        start = self.at
        end = self.code.find(b"\n", start)
        if end < 0:
            if not self.is_cut:
                raise WireError("pickle: line without end")
            end = len(self.code)
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

    def drop(self) -> None:
        """Forget the topmost value, or the mark if that is on top."""
        self.has_dropped = True
        if self._marks and self._marks[-1] == len(self.stack) - 1:
            self._marks.pop()
            self.stack.pop()
        else:
            self.pop()

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

    def top(self, kind: type[list[object]] | type[Mapped] | type[MadeSet]) -> list[object]:
        """What the container on top of the stack holds, which is about to grow."""
        top = self.stack[-1] if self.stack else None
        if type(top) is Made:
            return top.pairs if kind is Mapped else top.members
        if type(top) is Mapped and kind is Mapped:
            return top.pairs
        if type(top) is MadeSet and kind is MadeSet:
            return top.members
        if type(top) is not list or kind is not list:
            raise WireError(f"pickle adds to {type(top).__name__}, {kind.__name__} expected")
        return top

    def push_new(self, container: object) -> None:
        """Push a container or an object."""
        self.count()
        self.stack.append(container)

    def add_pairs(self, pairs: list[object]) -> None:
        """Add key, value, key, value, ... to the dict on top of the stack."""
        if len(pairs) % 2:
            raise WireError("pickle: a key without a value")
        self.top(Mapped).extend(pairs)

    def put(self, index: int) -> None:
        """Keep the topmost value under a number."""
        top = self.stack[-1] if self.stack else _MARK
        if top is _MARK:
            raise WireError("pickle memoizes nothing")
        self.memo[index] = top

    def get(self, index: int) -> None:
        """Push the value kept under a number."""
        try:
            self.stack.append(self.memo[index])
        except KeyError:
            raise WireError(f"pickle fetches memo {index}, which was never set") from None

    def beginning(self) -> Mapped | None:
        """The outermost dict as far as it is there, if the program stopped within it."""
        outermost = self.stack[0] if self.stack else None
        if type(outermost) is not Mapped:
            return None
        rest = self.stack[1:]
        if rest and rest[0] is _MARK:
            del rest[0]
        if any(value is _MARK for value in rest):
            # The values behind it belong to the last value before it, which is not complete.
            del rest[next(at for at, value in enumerate(rest) if value is _MARK) :]
        return Mapped(outermost.pairs + rest[: len(rest) // 2 * 2])


def _without_half_character(text: bytes) -> bytes:
    """UTF-8 that was cut off, without the bytes of a character that is not complete."""
    for missing in range(1, min(4, len(text) + 1)):
        lead = text[-missing]
        if lead & 0xC0 != 0x80:
            return text[:-missing] if lead >= 0xC0 else text
    return text
