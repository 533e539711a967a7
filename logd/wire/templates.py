"""Recognises frames of `SocketHandler` that differ from an earlier one in few places only.

A `LogRecord` is sent as some 22 names with their values, and all but four of them are the same
each time a program passes the same logging call. Such a frame is made of five constant parts

    head [text] middle [created] milliseconds [msecs] relative [relativeCreated] tail [extras]

around a text that is preceded by its length and three floats of eight bytes; what follows the
tail was added by the application. Once a frame was decoded in full, its parts are kept with what
they mean; a frame with the same parts need not be decoded again: only its text, its first float
and its extras are read. Nothing is guessed: parts are compared as a whole, and are kept only if
each matches its piece of the grammar by itself, so that nothing between them can change what they
mean. What a call and a thread mean is kept apart (`sites.py`), so that cost grows with their sum.
Measured: 2 us a record, 6 us with extras, instead of 10. If several frames came together,
`recognition.py` looks them up all at once, for half of that.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Final

from logd.records.context import Context, Special
from logd.wire import fields
from logd.wire.errors import WireError
from logd.wire.expansion import room_of
from logd.wire.items import KnownItems
from logd.wire.limits import MAX_SPECIAL_ITEMS, MAX_TIME
from logd.wire.logrecords import STANDARD_ATTRIBUTES, log_record
from logd.wire.pickles import grammar, machine, unpickler
from logd.wire.pickles.constants import constants
from logd.wire.pickles.loading import load
from logd.wire.pickles.made import as_dict
from logd.wire.sites import (
    MAX_KNOWN_BYTES,
    Generations,
    Site,
    SiteKey,
    Thread,
    site_numbers,
    site_of,
    thread_of,
)

LOG_RECORD_HEAD: Final = b"}q\x00(X\x04\x00\x00\x00nameq\x01X"
"""How every such frame of a Python 3 begins."""

_DICT_HEAD: Final = b"}q\x00("
_UNNAMED_DICT_HEAD: Final = b"}("
_DICT_TAIL: Final = b"u."
TEXT_KEY: Final = b"X\x03\x00\x00\x00msgq"
"""What stands before the text, but for `KEY_TAIL` bytes and its length."""

CREATED_KEY: Final = b"X\x07\x00\x00\x00createdq"
"""What stands before the three floats, but for `KEY_TAIL` bytes."""

_MEMOIZE: Final = b"\x94"

_MAX_HEAD_BYTES: Final = 512
KEY_TAIL: Final = 2
"""After a key: its memo index and the opcode of the value."""

_LENGTH = Struct("<I")
_TIME = Struct(">d")
TIMES: Final = Struct(">d13s8x23s8x")
"""The three floats and the two keys between them; only of the first the value is taken."""

# The keys of the two floats after the first, of which only the memo index may differ.
_MILLISECONDS = re.compile(rb"X\x05\x00\x00\x00msecsq.G", re.DOTALL)
_RELATIVE = re.compile(rb"X\x0f\x00\x00\x00relativeCreatedq.G", re.DOTALL)

# The last attributes that the logging package sets itself. If a task has a name, that stays
# with the extras: it is another one for each task.
_LAST_ATTRIBUTE = re.compile(
    rb"X\x07\x00\x00\x00processq.(?:M..|J.{4}|K.)(?:X\x08\x00\x00\x00taskNameq.N)?+", re.DOTALL
)

_MAX_TEMPLATES: Final = 16_384
"""Calls as passed by a thread: when there are more, or their parts take more than the following,
they are made anew from what `sites.py` keeps, which takes 2 us. At most 30 MB."""

_FORGET_AFTER: Final = 4 * _MAX_TEMPLATES
"""If this many were made and not kept, for want of room, others are in use now."""

_MAX_PARTS_BYTES: Final = 8 << 20

_MAX_TEMPLATE_BYTES: Final = 4096
"""Longer frames are rare and would make the memory of all templates large."""

_MAX_CANDIDATES: Final = 32_768


_Key = tuple[bytes, bytes, bytes, bytes, bytes]
_Parts = tuple[_Key, float, bytes, bytes]
"""A frame, taken apart: what is constant, the time, the text, the extras."""


class Template:
    """What the constant parts of a frame mean. One object each: it serves as a key, too.

    Attributes:
        constants: a program that puts the texts of the constant parts into the memo; made when it
            is needed first.
        context, msgid, appendix, special: as in `LogRecordParts`.
    """

    __slots__ = ("appendix", "constants", "context", "msgid", "special")

    def __init__(
        self,
        context: Context,
        msgid: int,
        appendix: str,
        special: Special,
    ) -> None:
        self.constants: bytes | None = None
        self.context = context
        self.msgid = msgid
        self.appendix = appendix
        self.special = special


class Templates:
    """The templates learned so far, from all connections; used by one thread.

    Attributes:
        whole: the templates by the parts of a frame without extras, the last one with its end.
    """

    __slots__ = (
        "_candidates",
        "_items",
        "_parts",
        "_parts_bytes",
        "_passed",
        "_sites",
        "_specials",
        "_templates",
        "_threads",
        "whole",
    )

    def __init__(self) -> None:
        self._templates: dict[_Key, Template] = {}
        self.whole: dict[_Key, Template] = {}
        self._items = KnownItems()
        self._parts: dict[bytes, bytes] = {}
        """Each different part once: templates differ in one or two of them. Comparing frames with
        few objects that the processor's cache still holds makes looking them up a third faster
        where eight processes send."""
        self._parts_bytes = 0
        self._passed = 0
        self._specials: dict[tuple[tuple[str, object], ...], Special] = {}
        """Each different collection of items once, so that writers meet the same again."""
        self._sites: Generations[SiteKey, Site] = Generations(MAX_KNOWN_BYTES)
        self._threads: Generations[bytes, Thread] = Generations(MAX_KNOWN_BYTES)
        self._candidates: set[int] = set()
        """Hashes of parts seen once. Frames that never come again would only push out those that
        do, so a frame is learned when it comes for the second time."""

    def match(
        self, data: bytes, start: int, stop: int
    ) -> tuple[Template, float, str, Special] | None:
        """The template, time, text and items of a frame; None if it has to be decoded."""
        parts = _split(data, start, stop)
        if parts is None:
            return None
        key, created, text, extras = parts
        template = self._templates.get(key) or self._composed(key)
        if template is None or not 0.0 <= created < MAX_TIME:
            return None
        special = template.special
        if extras != _DICT_TAIL:
            if not extras.endswith(_DICT_TAIL):
                # By itself it may mean something, behind the rest of the frame it does not.
                return None
            items = self._items.read(extras)
            if items is None:
                whole = _with_extras(template, key, extras, stop - start)
            else:
                whole = {**special, **items} if special else items
            if whole is None or len(whole) > MAX_SPECIAL_ITEMS:
                return None
            special = whole
        try:
            return template, created, text.decode("utf-8", "surrogatepass"), special
        except UnicodeDecodeError:
            return None

    def learn(self, data: bytes, start: int, stop: int) -> None:
        """Keep the template of a frame that was decoded in full and found to be a record."""
        parts = _split(data, start, stop)
        if parts is None or stop - start > _MAX_TEMPLATE_BYTES:
            return
        key, created, text, extras = parts
        if key in self._templates:
            # It was decoded in full for its extras.
            return
        if not _has_usual_times(key):
            # What stands there is an item of the record, and its value counts.
            return
        # Both are asked, so that each is noted.
        if not all([self._is_seen(key[:4]), self._is_seen(key[4])]):
            return
        tail = key[4]
        thread = self._threads.get(tail, len(tail)) or thread_of(tail)
        numbers = site_numbers(key[:4])
        # Then they make a flat dict together, too.
        stand_alone = (
            thread is not None and numbers is not None and numbers.isdisjoint(thread.numbers)
        )
        if not stand_alone and _constants(key) is None:
            return
        # A name may come twice, and the last one counts: so it is tried out that another text and
        # another time in the places found here really make another record.
        probe_text, probe_time = text + b"?", created + 1.0
        times_at = start + len(key[0]) + _LENGTH.size + len(text) + len(key[1])
        probe = (
            key[0]
            + _LENGTH.pack(len(probe_text))
            + probe_text
            + key[1]
            + _TIME.pack(probe_time)
            + data[times_at + _TIME.size : stop - len(extras)]
            + _DICT_TAIL
        )
        try:
            record = log_record(load(probe, grammar.proven_flat(probe)))
        except WireError:
            # The frame was decoded with its extras, by the machine, which is milder with numbers.
            return
        if probe_time != record.time or probe_text != record.msg.encode("utf-8", "surrogatepass"):
            return
        if thread is not None and numbers is not None and stand_alone:
            self._sites.put(key[:4], site_of(record, numbers), sum(map(len, key)))
            self._threads.put(tail, thread, len(tail))
        self._add(key, record.context, record.msgid, record.appendix, record.special)

    def _is_seen(self, part: tuple[bytes, ...] | bytes) -> bool:
        """Whether a part came before; it has now."""
        identity = hash(part)
        if identity in self._candidates:
            return True
        if len(self._candidates) >= _MAX_CANDIDATES:
            self._candidates.clear()
        self._candidates.add(identity)
        return False

    def composed(
        self, head: bytes, middle: bytes, milliseconds: bytes, relative: bytes, end: bytes
    ) -> Template | None:
        """The template of a frame without extras, from its parts as in `whole`."""
        if not end.endswith(_DICT_TAIL):
            return None
        return self._composed((head, middle, milliseconds, relative, end[: -len(_DICT_TAIL)]))

    def _composed(self, key: _Key) -> Template | None:
        """A template of a call and a thread that are known, but not with each other."""
        tail = key[4]
        thread = self._threads.get(tail, len(tail))
        if thread is None:
            return None
        site = self._sites.get(key[:4], sum(map(len, key)))
        if site is None or not site.numbers.isdisjoint(thread.numbers):
            return None
        context = site.passed_by(thread)
        if len(self._templates) < _MAX_TEMPLATES:
            return self._add(key, context, site.msgid, site.appendix, site.special)
        # To keep it costs more than to make it, unless it comes again before it is pushed out.
        self._passed += 1
        if self._passed >= _FORGET_AFTER:
            self._forget()
        return Template(context, site.msgid, site.appendix, site.special)

    def _forget(self) -> None:
        for kept in (self._templates, self.whole, self._parts, self._specials):
            kept.clear()
        self._parts_bytes = self._passed = 0

    def _add(
        self, key: _Key, context: Context, msgid: int, appendix: str, special: Special
    ) -> Template:
        if len(self._templates) >= _MAX_TEMPLATES or self._parts_bytes >= _MAX_PARTS_BYTES:
            self._forget()
        if all(type(value) is str for value in special.values()):
            special = self._specials.setdefault(tuple(special.items()), special)
        template = Template(context, msgid, appendix, special)
        head, middle, milliseconds, relative, tail = map(self._kept, key)
        end = self._kept(tail + _DICT_TAIL)
        self._templates[head, middle, milliseconds, relative, tail] = template
        self.whole[head, middle, milliseconds, relative, end] = template
        return template

    def _kept(self, part: bytes) -> bytes:
        """The one object that is kept for a part."""
        known = self._parts.get(part)
        if known is None:
            known = self._parts[part] = part
            self._parts_bytes += len(part)
        return known


def _split(data: bytes, start: int, stop: int) -> _Parts | None:
    """A frame in its parts; None if it is made otherwise.

    A part that is not found moves the place of the next before the last one (`find` returns -1),
    which the comparisons notice.
    """
    length_at = data.find(TEXT_KEY, start, start + _MAX_HEAD_BYTES) + len(TEXT_KEY) + KEY_TAIL
    text_at = length_at + 4
    if text_at < start + len(LOG_RECORD_HEAD) or text_at > stop:
        return None
    text_end = text_at + _LENGTH.unpack_from(data, length_at)[0]
    times_at = data.find(CREATED_KEY, text_end, stop) + len(CREATED_KEY) + KEY_TAIL
    tail_at = times_at + TIMES.size
    if times_at < text_end or tail_at > stop:
        return None
    last = _LAST_ATTRIBUTE.search(data, tail_at, stop)
    if last is None:
        return None
    created, milliseconds, relative = TIMES.unpack_from(data, times_at)
    extras_at = last.end()
    return (
        (
            data[start:length_at],
            data[text_end:times_at],
            milliseconds,
            relative,
            data[tail_at:extras_at],
        ),
        created,
        data[text_at:text_end],
        data[extras_at:stop],
    )


def _has_usual_times(key: _Key) -> bool:
    """Whether the two floats after the time are those that nobody needs."""
    return bool(_MILLISECONDS.fullmatch(key[2]) and _RELATIVE.fullmatch(key[3]))


def _constants(key: _Key) -> bytes | None:
    """A program that puts the texts in the parts into the memo; None if they are no flat dict.

    That is so whatever stands between them.
    """
    head, middle, milliseconds, relative, tail = key
    if not _has_usual_times(key):
        return None
    return constants(head, middle, (milliseconds, relative), tail)


def _with_extras(template: Template, key: _Key, rest: bytes, frame_bytes: int) -> Special | None:
    """All items of a record, from the end of its frame; None if they need the whole frame.

    The rest of a dict is a dict of its own, unless it fetches something from the memo of before.

    Args:
        template: what the constant parts of the frame mean.
        key: the constant parts.
        rest: the end of the frame.
        frame_bytes: how long the frame is.
    """
    if len(rest) > _MAX_TEMPLATE_BYTES:
        return None
    try:
        if grammar.are_extras(rest):
            value = _own(unpickler.run(_DICT_HEAD + rest))
            return None if value is None else {**template.special, **fields.special_items(value)}
        if grammar.are_extras(rest, may_fetch=True):
            if template.constants is None:
                template.constants = _constants(key) or b""
            value = _own(unpickler.run(template.constants + _DICT_HEAD + rest))
        elif _MEMOIZE in rest:
            # What number it gives depends on what stands before.
            return None
        else:
            value = _own(as_dict(machine.run_items(_UNNAMED_DICT_HEAD + rest)))
    except (WireError, UnicodeDecodeError):
        return None
    # Other keys than text mean other things to the machine: 1 and True are two there.
    if value is None or not {*map(type, value)} <= {str}:
        return None
    # A text that is fetched over and over is more than the frame.
    return fields.special_items({**template.special, **value}, room_of(frame_bytes))


def _own(value: object) -> dict[str, object] | None:
    """The application's own items; None if there are others among them."""
    if type(value) is not dict:
        return None
    value.pop("taskName", None)
    return value if STANDARD_ATTRIBUTES.isdisjoint(value) else None
