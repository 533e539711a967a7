import subprocess
import sys
from typing import Any

import pytest

import logd
from logd import LogServer, MsgJob

PATH = (("/srv/shop/views.py", 42), (None, None), ("C:\\app\\urls.py", 10))


def make_job(**changes: Any) -> MsgJob:
    """A record with something in each attribute."""
    arguments: dict[str, Any] = {
        "msgid": 17,
        "pid": 4711,
        "tid": 1,
        "threadname": "MainThread",
        "ts": "11:10",
        "msg": "payment failed",
        "cat": "E",
        "path": PATH,
        "tblen": 9,
        "cfunc": "charge",
        "special": {"user": "ann"},
        "formatter": LogServer(None),
    }
    return MsgJob(**{**arguments, **changes})


def test_the_face_has_the_documented_names() -> None:
    """`import logd` gives the names of the reference's `server` package."""
    for name in logd.__all__:
        assert hasattr(logd, name)


def test_the_face_is_light() -> None:
    """`import logd` loads neither SQLAlchemy nor asyncio, so that local logs start at once."""
    heavy = "{'sqlalchemy', 'asyncio', 'click'}"
    code = f"import sys, logd, logd.filewriter; print(*{heavy} & {{*sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""


def test_attributes() -> None:
    """Every init argument is an attribute of the same name."""
    job = make_job(time=5.5, peer="10.0.0.1", client=b"c" * 16, sequence=3)
    assert (job.msgid, job.pid, job.tid, job.threadname) == (17, 4711, 1, "MainThread")
    assert (job.ts, job.msg, job.cat, job.path) == ("11:10", "payment failed", "E", PATH)
    assert (job.tblen, job.cfunc, job.special) == (9, "charge", {"user": "ann"})
    assert (job.time, job.peer, job.client, job.sequence) == (5.5, "10.0.0.1", b"c" * 16, 3)
    assert not job.dropped
    assert "4711#17 E 'payment failed'" in repr(job)


def test_special_is_a_dict_of_its_own() -> None:
    """`special` is always a dict, and a filter that changes it does not change the caller's."""
    items = {"user": "ann"}
    job = make_job(special=items)
    job.special["n"] = 1
    assert items == {"user": "ann"}
    assert make_job(special=None).special == {}


def test_cfn() -> None:
    """cfn: "Callers File Name", as the log shows file names; empty where there is none."""
    assert make_job().cfn() == "views"
    full = LogServer(None, cfnMode=LogServer.CFN_FULL)
    assert make_job(formatter=full).cfn() == "/srv/shop/views.py"
    assert make_job(formatter=None).cfn() == "views.py"
    assert make_job(path=()).cfn() == ""
    assert make_job(path=((None, None),)).cfn() == ""


def test_cln() -> None:
    """cln: "Callers Line Number", an int in any case."""
    assert make_job().cln() == 42
    assert make_job(path=()).cln() == 0
    assert make_job(path=((None, None),)).cln() == 0


def test_path_str() -> None:
    """pathStr: "imin==1 will skip the first path item"."""
    assert make_job().pathStr() == "views(42)<-...<-urls(10)"
    assert make_job().pathStr(1) == "...<-urls(10)"
    assert make_job(formatter=None).pathStr(imin=2) == "urls.py(10)"
    assert make_job().pathStr(3) == ""


def test_copy_update() -> None:
    """copy_update: "new instance with my init kwargs but updated with the given kwargs"."""
    job = make_job(time=5.5, sequence=3)
    copy = job.copy_update({"msg": "other", "special": {}})
    assert (copy.msg, copy.special, copy.time, copy.sequence) == ("other", {}, 5.5, 3)
    assert (job.msg, copy.msgid, copy.path) == ("payment failed", 17, PATH)
    with pytest.raises(TypeError):
        job.copy_update({"unknown": 1})


def test_formatted_dict_is_deprecated() -> None:
    """getFormattedDict: "already formatted data", and a warning because it is deprecated."""
    with pytest.warns(DeprecationWarning, match="format_dict"):
        row = make_job().getFormattedDict()
    assert row == {
        "pid": 4711,
        "threadname": "MainThread",
        "msgid": 17,
        "ts": "11:10",
        "cat": "E",
        "msg": "payment failed",
        "cfunc": "charge",
        "cfn": "views",
        "cln": 42,
        "path": "views(42)<-...<-urls(10)",
    }


def test_drop() -> None:
    """A dropped job says so."""
    job = make_job()
    job.drop()
    assert job.dropped
