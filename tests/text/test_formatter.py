"""Lines as the standard library's `Formatter` lays them out."""

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.job import MsgJob
from logd.text.escaping import CONTINUATION
from logd.textwriter import (
    Formatter,
    TextlineLogWriter,
)
from tests.record_making import HERE, MOMENT, make_batch, make_job

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


def formatted(fmt: str | None, job: MsgJob | None = None, **options: Any) -> str:
    """One record in a format."""
    return Formatter(fmt, **options)(job or make_job(), 0)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run in UTC, whatever the machine's zone."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_formatter_default() -> None:
    """Without fmt it is the default of the standard library's Formatter: the message."""
    assert formatted(None) == "payment failed"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("message", "payment failed"),
        ("msg", "payment failed"),
        ("msgid", "17"),
        ("levelname", "ERROR"),
        ("levelno", "40"),
        ("name", "root"),
        ("pathname", "/srv/shop/views.py"),
        ("filename", "views.py"),
        ("module", "views"),
        ("lineno", "42"),
        ("funcName", "charge"),
        ("process", "4711"),
        ("thread", "9"),
        ("threadName", "MainThread"),
        ("asctime", "2026-11-22 11:10:00,123"),
        ("created", str(MOMENT)),
        ("msecs", "123.0"),
        ("cat", "E"),
        ("pid", "4711"),
        ("tid", "9"),
        ("threadname", "MainThread"),
        ("cfunc", "charge"),
        ("cfn", "views.py"),
        ("cln", "42"),
        ("path", "views.py(42)<-urls.py(10)"),
        ("tblen", "12"),
        ("ts", "11:10"),
        ("peer", "10.0.0.1"),
        ("special", "user=ann n=3"),
        ("user", "ann"),
        ("unknown", ""),
    ],
)
@pytest.mark.usefixtures("utc")
def test_formatter_fields(field: str, text: str) -> None:
    """The standard library's attribute names, the job's own and special items, in each style."""
    job = make_job(ts="11:10", peer="10.0.0.1", special={"user": "ann", "n": 3})
    for fmt in (f"<%({field})s>", f"<{{{field}}}>", f"<${{{field}}}>"):
        assert formatted(fmt, job) == f"<{text}>"


@pytest.mark.usefixtures("utc")
def test_formatter_of_the_standard_library() -> None:
    """A format of `logging` gives the line that `logging` gives."""
    fmt = "%(asctime)s %(levelname)-8s %(filename)s:%(lineno)04d %(msecs)03d%% %(message).7s"
    assert formatted(fmt) == "2026-11-22 11:10:00,123 ERROR    views.py:0042 123% payment"
    assert float(formatted("%(relativeCreated)d")) < (MOMENT - time.time() + 3600) * 1000


@pytest.mark.usefixtures("utc")
def test_formatter_datefmt() -> None:
    """datefmt: "if omitted, you get the ISO8601 format"; %3N are milliseconds."""
    assert formatted("%(asctime)s", datefmt="%H:%M.%S;%3N") == "11:10.00;123"
    assert formatted("%(asctime)s", datefmt="std2") == "11/22 11:10.00"


@pytest.mark.parametrize(
    ("cat", "special", "level"),
    [
        ("C", {}, "CRITICAL 50"),
        ("W", {}, "WARNING 30"),
        ("D", {}, "DEBUG 10"),
        ("", {}, "NOTSET 0"),
        ("audit", {}, "audit 0"),
        ("I", {"level": "NOTICE"}, "NOTICE 20"),
    ],
)
def test_formatter_levels(cat: str, special: dict[str, Any], level: str) -> None:
    """Categories that are levels of the standard library have their names; others their own."""
    job = make_job(cat=cat, special=special)
    assert formatted("%(levelname)s %(levelno)d", job) == level


def test_formatter_logger_name() -> None:
    """%(name)s is the logger that a handler sent with the record."""
    assert formatted("%(name)s", make_job(special={"logger": "shop.pay"})) == "shop.pay"


def test_formatter_styles() -> None:
    """The style is seen from the format or given; the other styles' signs are then text."""
    assert formatted("{msgid:>5}|{message!r}") == "   17|'payment failed'"
    assert formatted("$message costs 5$$") == "payment failed costs 5$"
    assert formatted("100%% {x} $y %(msgid)s") == "100% {x} $y 17"
    assert formatted("{{{msgid}}}", style="{") == "{17}"
    assert formatted("%(msgid)s {msgid}", style="{") == "%(msgid)s 17"
    assert formatted("plain") == "plain"
    assert formatted("") == ""


@pytest.mark.parametrize(
    ("fmt", "style"),
    [
        ("%(message)", "%"),
        ("100 %", "%"),
        ("%s", "%"),
        ("%(pid)c", "%"),
        ("%(pid)*d", "%"),
        ("{message.__class__}", "{"),
        ("{path[0]}", "{"),
        ("{0}", "{"),
        ("{}", "{"),
        ("{msgid:{pid}}", "{"),
        ("{msgid:no}", "{"),
        ("{message!x}", "{"),
        ("{message", "{"),
        ("5 $", "$"),
        ("${message", "$"),
        ("x", "?"),
    ],
)
def test_formatter_refuses_bad_formats(fmt: str, style: Any) -> None:
    """A format that is no plain list of fields is refused at the start, with the reason."""
    with pytest.raises(ValueError, match="line format"):
        Formatter(fmt, style=style)


def test_formatter_value_of_another_type() -> None:
    """A value that does not fit its conversion is shown as it is."""
    assert formatted("%(user)d {", make_job(special={"user": "ann"})) == "ann {"


@given(
    ANY_TEXT, st.sampled_from(["%(message)s|%(user)s", "{user:>9}|{message!r}", "$user|$message"])
)
def test_formatter_gives_a_single_line(text: str, fmt: str) -> None:
    """__call__: "formatting single-line string", whatever the record contains."""
    result = formatted(fmt, make_job(text, special={"user": text}))
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]", result)
    assert not result.startswith(CONTINUATION)


def test_formatter_with_a_line_break_of_its_own() -> None:
    """A line break in the format itself continues the entry; tabs in it stay."""
    assert formatted("%(cat)s\t%(msgid)d\n%(message)s") == "E\t17\n  | payment failed"


def test_formatter_lays_out_batches() -> None:
    """A Formatter lays out whole batches, contexts and special items in their places."""
    batch = make_batch(
        3,
        contexts=[HERE, HERE._replace(cat="I", pid=5)],
        index=bytes([1, 0, 1]),
        special={2: {"user": "bob"}},
    )
    assert Formatter("{levelname} {pid} {message} {user}").encode_batch(batch) == (
        b"INFO 5 message 0 \nERROR 4711 message 1 \nINFO 5 message 2 bob\n"
    )


def test_formatter_as_format_line() -> None:
    """A Formatter is a `format_line` for every writer."""
    writer = TextlineLogWriter(format_line=Formatter("%(cat)s %(message)s"))
    assert writer.line_format.format_batch(make_batch(1)) == ["E message 0"]
