"""`Log` as documented, with a server in the same process."""

from __future__ import annotations

import re
import sys
import threading
import warnings
from typing import Any

import pytest
from listserver import ListServer, make

import logd_client
from logd_client import Log
from logd_client.log import message_ids


class Broken(ListServer):
    def log(self, jobdata: tuple[Any, ...]) -> None:
        raise OSError("broken")


def test_face_has_the_documented_names() -> None:
    """`__all__` names what exists, and the version is there."""
    assert logd_client.__version__ == "1.0.0"
    for name in logd_client.__all__:
        assert hasattr(logd_client, name)


def test_call_makes_a_job_of_eleven() -> None:
    """A call gives the server the 11-tuple, with the caller's place and the time."""
    log, server = make()
    assert server.clients == 1
    line = sys._getframe().f_lineno + 1
    assert log("hello", "E") == 1
    job = server.last
    assert len(server.jobs[0]) == 11
    assert (job["msg"], job["cat"], job["special"]) == ("hello", "E", {})
    assert job["path"] == ((__file__, line),)
    assert job["cfunc"] == "test_call_makes_a_job_of_eleven"
    assert job["threadname"] == threading.current_thread().name
    assert job["tid"] == threading.get_ident()
    assert isinstance(job["ts"], float)


def test_message_ids_count_from_one_and_go_back() -> None:
    """Ids go back to 1 where the next one would be `msgCountLimit`."""
    log, _ = make(msgCountLimit=4)
    assert [log("m") for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]
    log, _ = make(msgCountLimit=2)
    assert [log("m") for _ in range(3)] == [1, 1, 1]
    with pytest.raises(ValueError, match="at least 2"):
        make(msgCountLimit=1)
    ids = message_ids(1000000)
    for expected in range(1, 1000000):
        assert next(ids) == expected
    assert next(ids) == 1


def test_switched_off_log_logs_nothing() -> None:
    """`off` makes calls return None, `on` ends that, `repr` shows which."""
    log, server = make(name="mine")
    assert repr(log) == "mine(on)"
    log.off()
    assert repr(log) == "mine(Off)"
    assert log("m") is None
    assert log.submit("m").cancelled()
    log.on()
    assert log("m") == 1
    assert len(server.jobs) == 1


def test_categories_are_enabled_or_disabled() -> None:
    """`catsEnable` lets only its categories through, `catsDisable` all but its own."""
    log, server = make(catsEnable=["E", ""])
    assert [log("m", cat) for cat in ("E", "W", "")] == [1, None, 2]
    log, server = make(catsDisable=("E",))
    assert [log("m", cat) for cat in ("E", "W", "")] == [None, 1, 2]
    assert log.submit("m", "E").cancelled()
    assert len(server.jobs) == 2
    log, server = make(catsEnable=())
    assert log("m") is None
    assert log.submit("m").cancelled()


def test_wrong_categories_are_errors() -> None:
    """A plain string, or both arguments at once, is an error that says so."""
    with pytest.raises(TypeError, match="catsEnable 'EW'"):
        make(catsEnable="EW")
    with pytest.raises(TypeError, match="catsDisable 'E'"):
        make(catsDisable="E")
    with pytest.raises(ValueError, match="both are given"):
        make(catsEnable=["E"], catsDisable=["W"])


def test_special_items_are_merged_by_precedence() -> None:
    """Keyword wins over special, special over sticked; no dict of the caller is changed."""
    log, server = make()
    sticked, special = {"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 2}
    log.set_sticked_items(sticked)
    with pytest.warns(DeprecationWarning, match="special=") as caught:
        log("m", special=special, c=3)
    assert caught[0].filename == __file__
    assert server.last["special"] == {"a": 1, "b": 2, "c": 3}
    assert (sticked, special) == ({"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 2})
    sticked["z"] = 9
    log("m")
    assert server.last["special"] == {"a": 1, "b": 1, "c": 1}
    log.set_sticked_items({})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log("m")
    assert server.last["special"] == {}


def test_error_handlers() -> None:
    """None lets the app have the error, an object gets it, and the call returns None."""
    with pytest.raises(OSError, match="broken"):
        Log(Broken())("m")
    caught: list[BaseException] = []

    class Handler:
        def handleException(self, e: BaseException) -> None:
            caught.append(e)

    assert Log(Broken(), errorHandler=Handler())("m") is None
    assert str(caught[0]) == "broken"
    assert isinstance(Log(Broken()).submit("m").exception(), OSError)


@pytest.mark.parametrize("choice", ["stderr", "STDERR", "stdout", "Silent"])
def test_named_error_handlers(choice: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The names in any case print one line or nothing."""
    assert Log(Broken(), errorHandler=choice)("m") is None
    out, err = capsys.readouterr()
    expected = "logd: OSError: broken\n"
    assert out == (expected if choice == "stdout" else "")
    assert err == (expected if choice.lower() == "stderr" else "")


@pytest.mark.parametrize("choice", ["", "std", 5, object()])
def test_other_error_handlers_are_type_errors(choice: Any) -> None:
    """Any other string or object is refused at once."""
    with pytest.raises(TypeError, match="errorHandler"):
        make(errorHandler=choice)


def test_closed_stderr_is_no_further_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The printing handlers do nothing where there is no usable stream."""
    log = Log(Broken(), errorHandler="stderr")
    monkeypatch.setattr(sys, "stderr", None)
    assert log("m") is None
    closed = open("/dev/null", "w")  # noqa: PTH123, SIM115
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert log("m") is None


def test_messages_become_text() -> None:
    """Objects are logged as their `str`, bytes as UTF-8, subclasses as exact str."""

    class Text(str):
        __slots__ = ()

    log, server = make()
    for message, text in ((5, "5"), (None, "None"), (b"\xc3\xa4\xff", "ä\\xff"), (Text("t"), "t")):
        log(message)
        assert server.last["msg"] == text
        assert type(server.last["msg"]) is str


def test_local_servers_have_stored_when_the_call_returns() -> None:
    """`flush`, `close` and futures are true at once where the server is in the same process."""
    log, server = make()
    assert log.submit("m", special={"a": 1}).result(0) == 0
    assert server.last["special"] == {"a": 1}
    assert log.flush(0)
    assert log.close()
    assert log("m", sync=True) == 2
    assert log.server is server


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"stackMax": "5"}, "stackMax '5': expected a number"),
        ({"traceOffset": None}, "traceOffset None: expected a number"),
        ({"msgCountLimit": 1e6}, "msgCountLimit 1000000.0: expected a number"),
        ({"extractStack": "no"}, "extractStack 'no': expected True or False"),
        ({"catsEnable": 5}, "catsEnable 5: expected a collection"),
        ({"catsDisable": "EW"}, "catsDisable 'EW': expected a collection"),
        ({"seFilesExclude": "a.py"}, "seFilesExclude 'a.py': expected something to call"),
    ],
)
def test_a_wrong_argument_is_named(given: dict[str, Any], text: str) -> None:
    """An argument of a wrong type fails in the constructor, not in a log call later."""
    with pytest.raises(TypeError, match=re.escape(text)):
        Log(ListServer(), **given)


@pytest.mark.parametrize("extract_stack", [True, False])
@pytest.mark.parametrize(
    ("cat", "text"), [(5, "5"), (0, "0"), (None, ""), (b"I", "I"), (("a",), "('a',)")]
)
def test_a_category_becomes_text(cat: Any, text: str, extract_stack: bool) -> None:
    """A daemon refuses any other: the record would be lost."""
    log, server = make(extractStack=extract_stack)
    log("message", cat)
    assert type(server.last["cat"]) is str
    assert server.last["cat"] == text
