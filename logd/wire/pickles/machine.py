"""Runs any pickle of plain data, slowly and within bounds.

What `grammar.py` can't prove in one stroke, but senders legitimately send, comes here: nested
extras of a `LogRecord`, lists, protocols 0 to 5 with all their ways to write a string. It is a
small pickle machine of its own: it knows all opcodes but those that fetch from outside of the
pickle. Names are text to it, and a call makes a `Made`, the name of what was to be called with its
arguments: a record whose extras hold a date is a record, and nothing is looked up or run for it.

Bounds, beside those of single values:

- Every opcode counts, so the time is bounded whatever the program.
- Nothing is hashed or compared: a dict is a list of keys and values. So things may be shared, and
  contain themselves; a writer of text stops when there is enough (`writers.py`).
- The memo is a dict here: its indexes cost nothing.

What each opcode does is in `opcodes.py` and `objects.py`. About 0.5 us each: 20 us for a record,
against 6 us by way of the grammar.
"""

from __future__ import annotations

import pickle
from typing import Final

from logd.wire.errors import TooLongError, WireError
from logd.wire.pickles.made import Mapped
from logd.wire.pickles.opcodes import OPERATIONS
from logd.wire.pickles.state import State

_MAX_OPCODES: Final = 50_000
"""2,000 records of a simple sender in one frame; 30 ms."""

_OPCODE_NAMES: Final = {
    code: name
    for name, code in vars(pickle).items()
    if name.isupper() and type(code) is bytes and len(code) == 1
}


def run(payload: bytes) -> object:
    """The value of a pickle of plain data; byte strings of Python 2 become text.

    Raises:
        WireError: any other opcode, a broken program, a bound exceeded.
    """
    return Machine(payload).run()


def run_items(payload: bytes) -> object:
    """The same for the items of a longer dict; None if they might mean something else in that."""
    machine = Machine(payload)
    value = machine.run()
    return None if machine.has_dropped else value


def beginning(payload: bytes) -> Mapped | None:
    """The outermost dict of a pickle as far as it is there; None if it is none.

    Args:
        payload: a pickle that was cut off, or takes more opcodes than are looked at.
    """
    machine = Machine(payload)
    machine.is_cut = True
    try:
        machine.run()
    except WireError:
        return machine.beginning()
    return None


class Machine(State):
    """One program; `run` runs it to its end."""

    __slots__ = ()

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
                raise TooLongError(f"pickle of more than {_MAX_OPCODES} opcodes")
        except IndexError:
            raise WireError("pickle cut off") from None
        except TooLongError as exc:
            exc.beginning = self.beginning()
            raise
        if code[at : at + 1] != pickle.STOP:
            raise _refused(code[at : at + 1])
        return self._stop()

    def _stop(self) -> object:
        if self.at != len(self.code):
            raise WireError(f"{len(self.code) - self.at} bytes after the end of the pickle")
        # What lies below it does not count, as for Python's own unpickler.
        return self.pop()


def _refused(opcode: bytes) -> WireError:
    name = _OPCODE_NAMES.get(opcode)
    if name is None:
        return WireError(f"not a pickle: no opcode {opcode[0]:#04x}")
    return WireError(f"pickle opcode {name} refused: only plain data is taken")
