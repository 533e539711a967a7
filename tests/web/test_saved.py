"""Saved views: the page and the terminal mean the same by them."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from logd.cli import main
from logd.web import saved
from tests.query.log_making import record, write_log


def _search(folder: Path, text: str) -> dict[str, list[str]]:
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    (view,) = saved.listed([folder])
    return parse_qs(view["search"].removeprefix("?"))


def test_a_view_of_the_terminal_is_the_same_on_the_page(tmp_path: Path) -> None:
    """All that a file may say reaches the page: nothing is left out in silence."""
    text = """
q = '"card declined" -func:retry'
host = ["10.0.0.7", "web 2"]
cat = "E,C"
not = ["logger:shop.cache"]
where = ["ms>500", "user!=ann"]
grep = "time(d )?out"
since = "2 hours ago"
until = "@1795820400"
"""
    assert _search(tmp_path, text) == {
        "q": ['"card declined" -func:retry ms:>500 -user:ann /time(d )?out/'],
        "f": ["cat:E", "cat:C", "host:10.0.0.7", 'host:"web 2"'],
        "x": ["logger:shop.cache"],
        "from": ["-7200s"],
        "to": ["1795820400.000"],
    }


@pytest.mark.parametrize("text", ['q = "/(/"', 'since = "some day"', "colour = 1", "q = ["])
def test_a_view_that_is_none_is_left_out(tmp_path: Path, text: str) -> None:
    """A file that can't be understood is not shown as something else."""
    (tmp_path / "broken.toml").write_text(text, encoding="utf-8")
    assert saved.listed([tmp_path]) == []


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    """A saved search is the one that is shown, and ignores case as the page does."""
    saved.save(tmp_path, "mine", "?q=Timeout&f=cat%3AE&x=user%3Aann&from=-1h")
    (view,) = saved.listed([tmp_path])
    assert parse_qs(view["search"].removeprefix("?")) == {
        "q": ["Timeout cat:E -user:ann"],
        "from": ["-3600s"],
    }
    assert "ignore_case = true" in (tmp_path / "mine.toml").read_text()


@pytest.mark.parametrize("parameters", [{"x": ["cat:I"], "from": ["-1h"]}, {"q": ["RECORD"]}])
def test_the_command_is_one(
    parameters: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is copied for the terminal is understood there, and finds the same."""
    write_log(tmp_path / "x_%d.log", [record(1, cat="E", time=time.time() - 60)])
    words = shlex.split(saved.command(parameters))[1:]
    with pytest.raises(SystemExit) as ended:
        main([words[0], "--file", str(tmp_path / "x_%d.log"), *words[1:]])
    assert not ended.value.code
    assert "record 1" in capsys.readouterr().out
