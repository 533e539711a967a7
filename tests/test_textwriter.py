"""Lines of the documented text writers: the default layout, and a function of the user's own."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.records.job import MsgJob
from logd.server import LogServer
from logd.text.escaping import CONTINUATION
from logd.text.lines import CallableFormat
from logd.textwriter import (
    LineFormat,
    TextlineLogWriter,
    encode_lines,
    tm_structconverter,
)
from tests.record_making import HERE, MOMENT, make_batch, make_job

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


def line(batch: Batch) -> str:
    """The default line of a batch's first record."""
    return LineFormat().format_batch(batch)[0]


def test_default_line() -> None:
    """The default line has all fields in the documented order."""
    batch = make_batch(
        msgid=[17],
        msg=["payment failed for order 812"],
        ts=["2026-11-22T11:10:00.123+0000"],
        special={0: {"user": "ann", "n": 3}},
    )
    assert line(batch) == (
        "2026-11-22T11:10:00.123+0000 E 4711#17 payment failed for order 812"
        "\t123000 9\tMainThread\tcharge\tviews.py(42)<-urls.py(10)\tuser=ann n=3"
    )


def test_default_line_without_fields() -> None:
    """What a record does not have is left out; the category is then a dash."""
    empty = HERE._replace(threadname="", cat="", path=(), cfunc="")
    assert line(make_batch(contexts=[empty], ts=[""])) == "- 4711#1 message 0\t123000 9\t\t\t\t"


def test_peer_and_full_names() -> None:
    """The sender's address follows its process id; names are as the server shows them."""
    full = LogServer(None, cfnMode=LogServer.CFN_FULL)
    batch = make_batch(peer="10.0.0.1", formatter=full)
    assert line(batch).startswith("E 4711@10.0.0.1#1 message 0\t")
    assert "\t/srv/shop/views.py(42)<-/srv/shop/urls.py(10)\t" in line(batch)


def test_names_follow_the_server() -> None:
    """One format that serves two servers shows the names of each in its way."""
    lines = LineFormat()
    servers = [LogServer(None, cfnMode=mode) for mode in (1, 2, 1)]
    shown = [lines.format_batch(make_batch(formatter=server))[0] for server in servers]
    assert ["/srv/shop/views.py(42)" in text for text in shown] == [False, True, False]


def test_some_records_without_timestamp() -> None:
    """In a batch where only some records have a timestamp the others just lack it."""
    lines = LineFormat().format_batch(make_batch(2, ts=["", "11:10"]))
    assert [text.split("#")[0] for text in lines] == ["E 4711", "11:10 E 4711"]


def test_message_lines_follow_the_entry() -> None:
    """Further lines of a message come after special items, marked as continuation."""
    batch = make_batch(msg=["one\r\ntwo\n  | three\r\x1b"], special={0: {"n": 1}})
    assert line(batch) == (
        "E 4711#1 one\t123000 9\tMainThread\tcharge\tviews.py(42)<-urls.py(10)\tn=1"
        "\n  | two\n  |   | three\\r\\x1b"
    )


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_field_forges_an_entry(
    msg: str, cat: str, thread: str, name: str, cfunc: str, key: str, value: str, peer: str
) -> None:
    """Whatever is in any field, a record is one entry of as many fields as ever, in UTF-8."""
    context = HERE._replace(threadname=thread, cat=cat, path=((name, 1),), cfunc=cfunc)
    batch = make_batch(
        contexts=[context], msg=[msg], special={0: {key: value}}, peer=peer, ts=["11:10"]
    )
    first, *further = line(batch).split("\n")
    assert re.fullmatch(r"11:10 \S+ 4711[^#\t]*#.*(\t[^\t]*){4}", first.replace("#", "#", 1))
    assert all(part.startswith(CONTINUATION) for part in further)
    assert LineFormat().encode_batch(batch).decode() == line(batch) + "\n"
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]", line(batch))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            ANY_TEXT,
            st.booleans(),
            st.sampled_from(["", "a\nb", "\t", "\udc80"]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.one_of(st.integers(0, 5000), st.none()),
)
def test_batches_equal_single_records(
    records: list[tuple[int, str, bool, str]], first_id: int | None
) -> None:
    """A batch is laid out as its records one by one, whatever is special about some of them."""
    count = len(records)
    contexts = [HERE, HERE._replace(cat="", cfunc="x\ty"), HERE._replace(pid=3, path=())]
    batch = make_batch(
        count,
        contexts=contexts,
        index=bytes(record[0] for record in records),
        msg=[record[1] + record[3] for record in records],
        msgid=list(range(count)) if first_id is None else range(first_id, first_id + count),
        special={row: {"row": row} for row, record in enumerate(records) if record[2]},
        ts=["11:10"] * count,
    )
    lines = LineFormat().format_batch(batch)
    assert lines == [line(batch.part(row, row + 1)) for row in range(count)]
    assert [f"#{batch.msgid[row]} " in text for row, text in enumerate(lines)] == [True] * count
    assert LineFormat().encode_batch(batch) == encode_lines(lines)


@pytest.mark.parametrize("first", [0, 7, 998, 999, 1000, 1001, 123_999, -3])
def test_message_ids_of_ranges(first: int) -> None:
    """Ids that count up are written as they are, over each thousand."""
    lines = LineFormat().format_batch(make_batch(2100, msgid=range(first, first + 2100)))
    assert [int(text.split("#")[1].split(" ")[0]) for text in lines] == list(
        range(first, first + 2100)
    )


def test_texts_kept_of_contexts_are_bounded() -> None:
    """Contexts that never repeat do not fill the memory."""
    lines = LineFormat()
    contexts = [HERE._replace(cfunc=f"f{number}") for number in range(20_000)]
    lines.format_batch(make_batch(20_000, contexts=contexts, index=range(20_000)))
    lines.format_batch(make_batch(contexts=[HERE._replace(cfunc="f" * 5000)]))
    _, kept = lines._kept
    assert 0 < len(kept) <= 8192
    assert all(len(text) <= 1024 for text in kept.values())


def test_lines_as_bytes() -> None:
    """Entries become UTF-8 with a line end each; what can't be encoded is visible."""
    assert encode_lines(["a", "\u20ac", "\udc80"]) == b"a\n\xe2\x82\xac\n\\udc80\n"


def test_format_line_takes_a_job() -> None:
    """format_line: "Callable, takes a job and returns a single message line as str"."""
    writer = TextlineLogWriter(lambda job: f"{job.cat}:{job.msg}")
    assert writer.line_format.format_batch(make_batch(2)) == ["E:message 0", "E:message 1"]


def test_format_line_takes_a_job_and_the_line_count() -> None:
    """Formatter.__call__(job, lineCount) is "an example": such callables get the count too."""
    writer = TextlineLogWriter(lambda job, lineCount: f"{lineCount} {job.msg}")
    writer._line_count = 7
    assert writer.line_format.format_batch(make_batch(2)) == ["7 message 0", "8 message 1"]


def test_format_line_with_an_option_gets_the_job_only() -> None:
    """A second parameter that has a default is the user's own."""
    writer = TextlineLogWriter(lambda job, prefix=">": prefix + job.msg)
    assert writer.line_format.format_batch(make_batch(1)) == [">message 0"]


def test_format_line_of_wrong_shape() -> None:
    """A callable that takes neither is refused at once."""
    with pytest.raises(TypeError, match="format_line must take"):
        TextlineLogWriter(lambda: "")


def test_format_line_of_a_builtin() -> None:
    """What has no signature is called with a job."""
    assert TextlineLogWriter(str).line_format.format_batch(make_batch()) == [
        str(make_batch().jobs()[0])
    ]


def test_what_format_line_returns_is_one_entry() -> None:
    """Line breaks, control characters and other types in its result do no harm."""
    writer = TextlineLogWriter(lambda job: f"  | {job.msg}\x1b[0m")
    assert writer.line_format.format_batch(make_batch(msg=["a\nb\tc"])) == [
        "_  | a\n  | b\tc\\x1b[0m"
    ]
    numbers = TextlineLogWriter(lambda job: job.msgid)
    assert numbers.line_format.encode_batch(make_batch(2)) == b"1\n2\n"


def test_failing_format_line_loses_no_record() -> None:
    """Where format_line fails the record is written in the default layout, with the reason."""
    writer = TextlineLogWriter(lambda job: job.special["user"])
    lines = writer.line_format.format_batch(make_batch(2, special={1: {"user": "ann"}}))
    assert lines[0].startswith("E 4711#1 message 0\t")
    assert lines[0].endswith("\tformat_line_failed=\"KeyError: 'user'\"")
    assert lines[1] == "ann"


def test_layout_of_a_subclass() -> None:
    """A subclass's own `_format_line` is its layout unless another is given."""

    class Short(TextlineLogWriter):
        def _format_line(self, job: MsgJob) -> str:
            return job.msg

    assert Short().line_format.format_batch(make_batch()) == ["message 0"]
    assert Short(lambda job: "x").line_format.format_batch(make_batch()) == ["x"]
    assert isinstance(TextlineLogWriter().line_format, LineFormat)
    assert not isinstance(TextlineLogWriter().line_format, CallableFormat)
    assert TextlineLogWriter()._format_line(make_job()) == line(Batch.from_jobs([make_job()]))


def test_cfn_cln() -> None:
    """cfn_cln: '"*<cfn>(<cln>)", "" if these data are not available'."""
    writer = TextlineLogWriter()
    assert writer.cfn_cln(make_job()) == "*views.py(42)"
    assert writer.cfn_cln(make_job(path=())) == ""


def test_estimate_line_count() -> None:
    """estimateLineCount: "count of already written log lines"."""
    assert TextlineLogWriter().estimateLineCount() == 0


def test_tm_structconverter() -> None:
    """tm_structconverter: "(struct_time,milliseconds)", milliseconds "an int >=0 and <1000"."""
    assert tm_structconverter(MOMENT, time.gmtime) == (time.gmtime(int(MOMENT)), 123)
    assert tm_structconverter(MOMENT)[0] == time.localtime(int(MOMENT))
    assert tm_structconverter(secs=-0.25, to_structtime=time.gmtime) == (time.gmtime(-1), 750)
