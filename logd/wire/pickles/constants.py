"""What the constant parts of a frame put into the memo of its pickle.

Equal texts that are one object are pickled once: further on there is only the number of the memo
where it lies. A file name without a folder is its own last part, a route may have the name of its
function, a value that of an attribute. So parts of a frame may name what others hold; here they
are proven to name constants only. A program puts the constants into the memo once more, for the
items behind them.
"""

from __future__ import annotations

from logd.wire.pickles.grammar import TEMPLATE_ITEM

_BEGINNING = b"}q\x00("
_KEY_AND_OPCODE = 2


class Constants:
    """The memo of a frame so far; the parts of the frame are read in order.

    Attributes:
        texts: the constant texts by their number, as they are pickled.
    """

    def __init__(self) -> None:
        self.texts: dict[int, bytes] = {}
        self._numbers = {0}
        """All numbers in use: of the dict, the text that varies, numbers."""

    def read(self, items: bytes) -> bool:
        """Read a part of items; False unless that is all it is, and it names constants only."""
        at = 0
        while at < len(items):
            item = TEMPLATE_ITEM.compiled.match(items, at)
            if item is None:
                return False
            key, key_number, text, named, number = item.groups()
            if not self._put(key_number[0], key):
                return False
            if named is not None and (named[0] not in self.texts or number is not None):
                return False
            if number is not None and not self._put(number[0], text):
                return False
            at = item.end()
        return True

    def put_varying(self, number: int) -> bool:
        """A text that is no constant has this number; False if it is in use."""
        return self._put(number, None)

    def _put(self, number: int, pickled: bytes | None) -> bool:
        if number in self._numbers:
            return False
        self._numbers.add(number)
        if pickled is not None:
            self.texts[number] = pickled
        return True

    @property
    def numbers(self) -> frozenset[int]:
        """All numbers of the memo that are in use, but for the dict's."""
        return frozenset(self._numbers - {0})

    @property
    def program(self) -> bytes:
        """Opcodes that put the texts into the memo, and leave nothing on the stack."""
        puts = [b"%bq%c" % (text, number) for number, text in self.texts.items()]
        return b"(%b1" % b"".join(puts)


def constants(
    head: bytes, middle: bytes, float_keys: tuple[bytes, bytes], tail: bytes
) -> bytes | None:
    """A program that puts the constant texts of a frame into the memo; None if it is no flat dict.

    Args:
        head: the beginning of the pickle up to the length of the text that is "msg".
        middle: from the end of that text to the float that is "created".
        float_keys: the keys of the two floats behind that, with their numbers and FLOAT.
        tail: further items after these floats.
    """
    known = constants_of_site(head, middle, float_keys)
    return known.program if known is not None and known.read(tail) else None


def constants_of_site(
    head: bytes, middle: bytes, float_keys: tuple[bytes, bytes]
) -> Constants | None:
    """The same for the parts before the tail."""
    known = Constants()
    # The keys before the text and the three floats stand without their values.
    text_key, created_key = (
        _last_key(head, b"X\x03\0\0\0msgq"),
        _last_key(middle, b"X\x07\0\0\0createdq"),
    )
    is_flat = (
        head.startswith(_BEGINNING)
        and head.endswith(b"X")
        and text_key is not None
        and known.read(head[len(_BEGINNING) : text_key])
        and known.read(head[text_key:-1] + b"N")
        and middle.startswith(b"q")
        and len(middle) > _KEY_AND_OPCODE
        and known.put_varying(middle[1])
        and middle.endswith(b"G")
        and created_key is not None
        and known.read(middle[2:created_key])
        and all(known.read(key[:-1] + b"N") for key in (middle[created_key:], *float_keys))
    )
    return known if is_flat else None


def _last_key(part: bytes, key: bytes) -> int | None:
    """Where the key begins that ends a part: but for its number and the opcode of its value."""
    at = len(part) - len(key) - _KEY_AND_OPCODE
    return at if at >= 0 and part.startswith(key, at) else None
