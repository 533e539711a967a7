from __future__ import annotations

import enum
import logging
import logging.handlers
import os
import pickle
import shutil
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.wire import Decoder, Frames, FrameSplitter, WireError

VERSIONS = ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]

# Runs under every Python from 2.7 on; its frames go to stdout.
SENDER = r"""# -*- coding: utf-8 -*-
import logging, logging.handlers, os, sys

class Handler(logging.handlers.SocketHandler):
    def send(self, data):
        os.write(1, data)

log = logging.getLogger("shop.pay")
log.addHandler(Handler("localhost", 1))
log.propagate = False
log.setLevel(1)

def charge(order):
    log.error("payment failed for order %d", order)

for order in range(5):
    charge(order)
log.info(u"gr\xfcn \u20ac \U0001f600")
for n in range(4):
    log.warning("with extras", extra=dict(user="ann", n=n, ok=True, f=1.5, nothing=None, big=2**70,
                                          nested={"a": [1, (2, u"\xfc")]}, text=u"\xfc" * 300))
try:
    1 // 0
except ZeroDivisionError:
    log.exception("boom")
log.log(35, "between")
log.debug("long " + "x" * 70000)
log.critical("fast")
log.critical("%s", b"caf\xc3\xa9" if str is bytes else u"caf\xe9")
logging.getLogger().addHandler(log.handlers[0])
logging.getLogger().warning("root")
if sys.version_info[0] > 2:
    log.info("stack", stack_info=True)
"""


def interpreter(version: str) -> str | None:
    """Some python of this version: on the PATH, or one of pyenv's."""
    found = shutil.which(f"python{version}")
    if found and ".pyenv/shims" not in found:
        return found
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    made = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
    return str(made[0]) if made else None


def rows(batches: list[Batch]) -> list[SimpleNamespace]:
    """The records of batches as objects with all fields."""
    return [
        SimpleNamespace(
            msgid=batch.msgid[n],
            time=batch.time[n],
            msg=batch.msg[n],
            special=dict(batch.special.get(n, {})),
            **batch.contexts[batch.index[n]]._asdict(),
        )
        for batch in batches
        for n in range(len(batch))
    ]


def frames_of(stream: bytes) -> Frames:
    """The frames of a whole stream."""
    frames = FrameSplitter().feed(stream)
    assert frames is not None
    return frames


def record(**attributes: object) -> bytes:
    """What a SocketHandler of this Python sends for a LogRecord with these attributes."""
    made = logging.makeLogRecord({"name": "app", "msg": "m", "levelno": 20, **attributes})
    return logging.handlers.SocketHandler("localhost", 1).makePickle(made)


def decoded(**attributes: object) -> SimpleNamespace:
    """The record that such a frame is decoded to."""
    (row,) = rows(Decoder().decode(frames_of(record(**attributes))))
    return row


@pytest.mark.parametrize("version", VERSIONS)
def test_real_handlers_of_each_python(version: str) -> None:
    """Records of a real SocketHandler come through whole: texts, extras, exceptions, stacks."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    sent = subprocess.run([python, "-c", SENDER], capture_output=True, check=True, timeout=60)
    got = rows(Decoder().decode(frames_of(sent.stdout), peer="10.0.0.1"))
    assert [row.msg.split("\n")[0] for row in got[:10]] == [
        *[f"payment failed for order {order}" for order in range(5)],
        "grün € 😀",
        *["with extras"] * 4,
    ]
    assert [row.cat for row in got[:13]] == [*"EEEEE", "I", *"WWWW", "E", "W", "D"]
    first = got[0]
    assert (first.threadname, first.cfunc, first.path[0][1]) == ("MainThread", "charge", 14)
    assert (first.msgid, first.tblen, first.special) == (0, 0, {"logger": "shop.pay"})
    assert first.pid == got[-1].pid > 1
    assert first.tid == got[-1].tid > 1
    assert 1.6e9 < first.time <= got[-1].time < 4e9
    for n, row in enumerate(got[6:10]):
        assert row.special["user"] == "ann"
        assert row.special["n"] == n
        assert row.special["ok"] is True
        assert row.special["f"] == 1.5
        assert row.special["nothing"] is None
        assert row.special["big"] == str(2**70)
        assert row.special["nested"] == '{"a": [1, [2, "ü"]]}'
        assert row.special["text"] == "ü" * 300
        assert row.special["logger"] == "shop.pay"
        assert len(row.special) == 9
    boom, between, long, fast, bytes_, root = got[10:16]
    assert boom.msg.startswith("boom\nTraceback (most recent call last):")
    assert "ZeroDivisionError" in boom.msg
    assert between.special == {"logger": "shop.pay", "level": "Level 35"}
    assert long.msg == "long " + "x" * 70000
    assert (fast.cat, fast.msg) == ("C", "fast")
    assert bytes_.msg == "café"
    assert (root.msg, root.special) == ("root", {})
    if version != "2.7":
        assert got[16].msg.startswith("stack\nStack (most recent call last):")


@pytest.mark.parametrize(
    ("level", "category", "special"),
    [
        (50, "C", {}),
        (40, "E", {}),
        (30, "W", {}),
        (20, "I", {}),
        (10, "D", {}),
        (0, "", {}),
        (55, "C", {"level": "Level 55"}),
        (25, "I", {"level": "Level 25"}),
        (7, "", {"level": "Level 7"}),
    ],
)
def test_levels_map_to_categories(level: int, category: str, special: dict[str, str]) -> None:
    """A level in between has the category of the one below, and its name among the items."""
    row = decoded(name="root", levelno=level, levelname=logging.getLevelName(level))
    assert (row.cat, row.special) == (category, special)


def test_arguments_are_never_a_format() -> None:
    """Arguments that come unmerged stand beside the message, whatever it contains."""
    payload = pickle.dumps({"msg": "%1000000000d", "args": (1, "x"), "created": 1.0}, 1)
    (row,) = rows(Decoder().decode(Frames.of(payload)))
    assert (row.msg, row.special) == ("%1000000000d", {"args": '[1, "x"]'})


def test_a_message_id_among_the_extras_is_the_message_id() -> None:
    """Senders that number their records may say so."""
    assert decoded(msgid=17).msgid == 17
    assert "msgid" not in decoded(msgid=17).special


def test_what_other_handlers_left_is_not_an_extra() -> None:
    """The attributes that formatters leave in a record are no items of the application."""
    assert decoded(message="m", asctime="now", taskName="Task-1").special == {"logger": "app"}


def test_bytes_of_python_2_that_are_not_utf_8_are_escaped() -> None:
    """A byte string in another encoding becomes visible escapes, in a short and in a long text."""
    for text in (b"caf\xe9", b"caf\xe9" + b"x" * 300):
        code = b"U" + bytes([len(text)]) if len(text) < 256 else b"T" + struct.pack("<I", len(text))
        payload = b"}q\x01(U\x03msgq\x02" + code + text + b"U\x07createdq\x03G" + bytes(8) + b"u."
        (row,) = rows(Decoder().decode(Frames.of(payload)))
        assert row.msg == text.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("protocol", range(6))
def test_handlers_of_any_pickle_protocol(protocol: int) -> None:
    """A handler that was given another protocol is understood as well."""
    attributes = {"name": "app", "msg": "m" * 300, "created": 1.5, "levelno": 40, "user": "ann"}
    (row,) = rows(Decoder().decode(Frames.of(pickle.dumps(attributes, protocol))))
    assert (row.msg, row.time, row.cat) == ("m" * 300, 1.5, "E")
    assert row.special == {"logger": "app", "user": "ann"}


extras = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).map("x_{}".format),
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=12)
    | st.floats(allow_nan=False, allow_infinity=False),
    max_size=3,
)
texts = st.text(st.characters(exclude_categories=()), max_size=300)


@given(st.lists(st.tuples(texts, st.floats(0, 1e10), extras), min_size=3, max_size=6))
def test_repeated_frames_mean_the_same_as_new_ones(
    sent: list[tuple[str, float, dict[str, object]]],
) -> None:
    """A decoder that has learned a logging call reads its frames as one that has not."""
    payloads = []
    for text, created, extra in sent:
        made = logging.makeLogRecord({"name": "app", "msg": text, "created": created, **extra})
        payloads.append(logging.handlers.SocketHandler("localhost", 1).makePickle(made)[4:])
    decoder = Decoder()
    for _ in range(3):
        learned = rows(decoder.decode(Frames.of(*payloads)))
        new = [rows(Decoder().decode(Frames.of(payload)))[0] for payload in payloads]
        assert learned == new
    assert [(row.msg, row.time) for row in new] == [(text, created) for text, created, _ in sent]
    assert [row.special for row in new] == [{"logger": "app"} | extra for _, _, extra in sent]


def test_a_text_that_looks_like_a_frame_changes_nothing() -> None:
    """Keys within a message are not mistaken for those around it."""
    inner = record(msg="inner")[4:].decode("latin-1")
    decoder = Decoder()
    payloads = [record(msg=text)[4:] for text in ("a", "b", inner, inner * 2)]
    for _ in range(3):
        got = rows(decoder.decode(Frames.of(*payloads)))
        assert [row.msg for row in got] == ["a", "b", inner, inner * 2]


def test_a_learned_frame_with_a_bad_time_or_text_is_mended() -> None:
    """What varies in a frame that is known is checked like in one that is not."""
    decoder = Decoder()
    good = record(msg="text", created=1.0)[4:]
    for _ in range(3):
        decoder.decode(Frames.of(good))
    bad = (
        good.replace(b"G" + struct.pack(">d", 1.0), b"G" + struct.pack(">d", float("nan"))),
        good.replace(b"text", b"te\xff\xff"),
    )
    got = rows(decoder.decode(Frames.of(good, *bad, *[good] * 8), now=7.0))
    assert got == rows(Decoder().decode(Frames.of(good, *bad, *[good] * 8), now=7.0))
    assert [row.msg for row in got[:4]] == ["text", "text", "te\\xff\\xff", "text"]
    assert [row.time for row in got[:4]] == [1.0, 7.0, 1.0, 1.0]
    assert got[1].special == {"logger": "app", "created": "nan"}


def test_attributes_that_stand_before_the_last_standard_one_are_kept() -> None:
    """A class of records of its own may set attributes first; learning a frame loses none."""
    head, tail = record(msg="m")[4:].split(b"X\x04\0\0\0args")
    payload = head + b"X\x04\0\0\0siteq\x60X\x02\0\0\0muq\x61X\x04\0\0\0args" + tail
    decoder = Decoder()
    for _ in range(4):
        (row,) = rows(decoder.decode(Frames.of(payload)))
        assert row.special == {"logger": "app", "site": "mu"}


def test_a_name_that_comes_twice_is_never_learned() -> None:
    """Of a repeated name the last value counts, and goes on counting."""
    twice = record(msg="first")[4:].removesuffix(b"u.")
    twice += b"X\x03\0\0\0msgq\x50X\x06\0\0\0secondq\x51u."
    decoder = Decoder()
    for _ in range(4):
        (row,) = rows(decoder.decode(Frames.of(twice)))
        assert row.msg == "second"


class Level(enum.IntEnum):
    AUDIT = 35


class Name(str, enum.Enum):  # noqa: UP042 - what applications have
    SHOP = "shop"


class Line(int):
    pass


@pytest.mark.parametrize("protocol", range(6))
def test_fields_of_any_class_cost_no_record(protocol: int) -> None:
    """A level, name, line or time of an application's own class is read; what it is not is kept."""
    attributes = {
        "name": Name.SHOP,
        "msg": "m",
        "created": 1.0,
        "levelno": Level.AUDIT,
        "levelname": "AUDIT",
        "pathname": "p",
        "lineno": Line(7),
        "process": "seven",
        "thread": 2**70,
        "threadName": 5,
        "funcName": None,
        5: "int",
        None: "none",
        (1, "a"): "tuple",
        Name.SHOP: "enum",
    }
    (row,) = rows(Decoder().decode(Frames.of(pickle.dumps(attributes, protocol))))
    assert (row.msg, row.cat, row.path, row.cfunc) == ("m", "W", (("p", 7),), "")
    assert (row.pid, row.tid, row.threadname) == (0, 0, "5")
    assert row.special == {
        "logger": "Name('shop')",
        "level": "AUDIT",
        "process": "seven",
        "thread": str(2**70),
        "5": "int",
        "None": "none",
        "(1, 'a')": "tuple",
        "Name('shop')": "enum",
    }


@pytest.mark.parametrize("created", [float("nan"), -1.0, 1e12, None, "soon", [1]])
def test_a_record_without_a_possible_time_has_that_of_its_arrival(created: object) -> None:
    """What was given as the time stands among the items; without a clock it is an error."""
    payload = pickle.dumps({"msg": "m", "created": created}, 1)
    (row,) = rows(Decoder().decode(Frames.of(payload), now=9.0))
    assert (row.msg, row.time) == ("m", 9.0)
    assert "created" in row.special
    with pytest.raises(WireError, match="time"):
        Decoder().decode(Frames.of(payload))


@pytest.mark.parametrize("protocol", range(6))
def test_what_is_too_much_of_a_record_is_left_out_with_a_mark(protocol: int) -> None:
    """Of a dict of more opcodes than are looked at the record stays, and what came before."""
    attributes = {"msg": "m", "created": 1.0, "a": 1, "b": list(range(1, 100_000)), "c": 2}
    (row,) = rows(Decoder().decode(Frames.of(pickle.dumps(attributes, protocol))))
    assert (row.msg, row.special["a"]) == ("m", 1)
    assert row.special["..."] == "[... the rest: pickle of more than 50000 opcodes]"


def test_values_that_contain_themselves_end_in_dots() -> None:
    """A list, dict or tuple within itself is written as far as it is new."""
    inner: list[object] = [1]
    inner.append(inner)
    mapped: dict[str, object] = {"a": 1}
    mapped["b"] = mapped
    pair: tuple[object, ...] = ([],)
    pair[0].append(pair)
    for protocol in range(6):
        payload = pickle.dumps({"msg": "m", "created": 1.0, "x": [inner, mapped, pair]}, protocol)
        (row,) = rows(Decoder().decode(Frames.of(payload)))
        assert row.special == {"x": '[[1, [...]], {"a": 1, "b": [...]}, [[[...]]]]'}


def test_deep_values_are_written_to_a_depth() -> None:
    """What lies deeper than 32 levels ends in dots; the record stays."""
    deep: list[object] = []
    for _ in range(200):
        deep = [deep]
    row = decoded(deep=deep)
    assert row.special["deep"] == "[" * 32 + "..." + "]" * 32
