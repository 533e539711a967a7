"""The programs of the READMEs run, their commands exist, their links lead somewhere."""

from __future__ import annotations

import logging
import logging.handlers
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from logd.cli.query import query
from tests.daemon_process import DaemonProcess, running

ROOT = Path(__file__).parent.parent
FOLDERS = (".", "client", "logd", "logd/*", "packages", "packages/*", "systemd", "tests", "tests/*")
PAGES = {
    path.relative_to(ROOT): path.read_text("utf-8")
    for folder in FOLDERS
    for path in sorted(ROOT.glob(f"{folder}/README.md"))
}
README = "\n".join(PAGES.values())
MAX_FIRST_PAGE_LINES = 200
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def programs() -> dict[str, str]:
    """The Python programs by the name in their first line; the client's page has its own test."""
    found = {}
    pages = [text for page, text in PAGES.items() if page.parts[0] != "client"]
    own = PAGES[Path("client/README.md")].partition("## A log of its own")[2].partition("\n## ")[0]
    for match in BLOCK.finditer("\n".join([*pages, own])):
        if match["language"] == "python":
            name = match["text"].splitlines()[0].removeprefix("# ")
            found[name] = match["text"]
    return found


def commands() -> Iterator[str]:
    """What stands behind the prompts, one command each."""
    for match in BLOCK.finditer(README):
        if match["language"] == "console":
            for line in match["text"].splitlines():
                if line.startswith(("$ logd ", "# logd ")):
                    yield line[2:]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon as the quick start has it, on a free port."""
    with running(folder=tmp_path) as process:
        yield process


def run(name: str, daemon: DaemonProcess) -> str:
    """Run a program of the README in the daemon's folder; returns what it printed."""
    text = programs()[name]
    text = text.replace('"host": "localhost"', f'"host": "127.0.0.1", "ports": [{daemon.port}]')
    text = text.replace('"localhost", 9801', f'"127.0.0.1", {daemon.port}')
    text = text.replace('"localhost", (9801,)', f'"127.0.0.1", ({daemon.port},)')
    path = daemon.folder / name
    path.write_text(text)
    return subprocess.run(
        [sys.executable, path], check=True, cwd=daemon.folder, capture_output=True, text=True
    ).stdout


def logd(daemon: DaemonProcess, *arguments: str) -> str:
    """What a command of logd prints, run in the daemon's folder."""
    command = [sys.executable, "-m", "logd", *arguments]
    return subprocess.run(
        command, check=True, cwd=daemon.folder, capture_output=True, text=True
    ).stdout


def test_twenty_workers_share_a_log(daemon: DaemonProcess) -> None:
    """The first thing most users do: what the README shows is what comes out."""
    run("shop.py", daemon)
    assert daemon.stop() == 0
    assert logd(daemon, "query", "--by", "cat") == "I  20,000\nE      20\n"
    assert re.fullmatch(
        r"shop\.py\(\d+\)  20\n", logd(daemon, "query", "--cat", "E", "--by", "site")
    )
    assert logd(daemon, "query", "--cat", "E", "--since", "yesterday", "--count") == "20\n"
    last = logd(daemon, "tail", "-n", "1").splitlines()
    assert re.search(r"checkout failed\t[0-9]{3} [0-9]+\tMainThread\twork\tshop.py\(", last[0])
    assert last[-1] == "  | ZeroDivisionError: division by zero"


def test_searches_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every search that a README shows is one that `logd query` takes."""
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "logs" / "logd_0.log"
    log.parent.mkdir()
    log.write_text("2026-11-22T12:53:53.148+0000 I 1#1 deploy\tMainThread\t\t\tversion=2.14.0\n")
    searches = [shlex.split(line) for line in commands() if line.startswith("logd query ")]
    assert len(searches) > 4
    for _, _, *arguments in searches:
        result = CliRunner().invoke(query, arguments)
        assert result.exit_code == 0, (arguments, result.output)


def test_an_old_app_works_unchanged(daemon: DaemonProcess) -> None:
    """The second: the standard library's handler."""
    run("old.py", daemon)
    assert daemon.stop() == 0
    assert " W " in daemon.log_text()
    assert re.search(
        r"disk 93% full\t[0-9]{3} [0-9]+\tMainThread\t<module>\told.py\(", daemon.log_text()
    )


def test_the_client_does_what_the_table_says(daemon: DaemonProcess) -> None:
    """The client's program prints a receipt and its records are in the log."""
    assert run("own.py", daemon) == "Receipt(complete=True, sequence=2)\n"
    assert daemon.stop() == 0
    assert [line.split("\t")[0].split(" ", 3)[3] for line in daemon.log_text().splitlines()] == [
        "payment failed",
        "card charged",
    ]


def test_a_filter_of_ones_own(tmp_path: Path) -> None:
    """The README's filter, found by PYTHONPATH, drops and changes records as it says."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "shop_filters.py").write_text(programs()["shop_filters.py"])
    spec = "shop_filters:WithoutHealthChecks?slow_ms=200"
    environment = {"PYTHONPATH": str(modules)}
    with running("--filter", spec, folder=tmp_path, environment=environment) as daemon:
        handler = logging.handlers.SocketHandler("127.0.0.1", daemon.port)
        for text, ms in (("GET /healthz 200", 1), ("GET /cart 200", 5), ("GET /pay 200", 300)):
            handler.emit(logging.makeLogRecord({"msg": text, "levelno": 20, "ms": ms}))
        handler.close()
        assert daemon.stop() == 0
        fast, slow = daemon.log_text().splitlines()
    assert " I " in fast
    assert "GET /cart" in fast
    assert " W " in slow
    assert slow.endswith("ms=300 slow=true")


def test_an_output_of_ones_own(tmp_path: Path) -> None:
    """A package with the README's output is found by its name, and keeps its marks."""
    package = tmp_path / "site"
    metadata = package / "logd_jsonlines-1.0.dist-info"
    metadata.mkdir(parents=True)
    (package / "logd_jsonlines.py").write_text(programs()["logd_jsonlines.py"])
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: logd-jsonlines\nVersion: 1.0\n"
    )
    entry = re.search(r'^\[project.entry-points."(.*)"\]\n(\w+) = "(.*)"$', README, re.MULTILINE)
    assert entry is not None
    (metadata / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n")
    environment = {"PYTHONPATH": str(package)}
    for _ in range(2):
        with running(
            "--output", "jsonlines:log.jsonl", folder=tmp_path, environment=environment
        ) as daemon:
            run("own.py", daemon)
            assert daemon.stop() == 0, daemon.output
    assert (tmp_path / "log.jsonl").read_text().count("payment failed") == 2


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_commands_have_the_options_shown(command: str) -> None:
    """Every option that a command of the README uses is one that its help names."""
    words = command.split()
    help_text = subprocess.run(
        [sys.executable, "-m", "logd", words[1], "--help"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for word in words[2:]:
        if word.startswith("-"):
            assert re.search(rf"(^|[ ,]){re.escape(word)}\b", help_text, re.MULTILINE), word


def anchors(page: Path) -> set[str]:
    """What links may lead to within a page: its headings, as GitHub makes names of them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", head.strip().lower()) for head in heads)
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Files named in links are there, and so are the headings that links lead to."""
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", PAGES[page]):
        target = ROOT / (page.parent / path if path else page)
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


def test_paths_and_targets_exist() -> None:
    """Files that pages name are there; so are the targets of make and the modules to be run."""
    for path in re.findall(
        r"`((?:logd|client|tests|systemd|packages)/[\w/.-]+(?:\.\w+|/))`", README
    ):
        assert (ROOT / path).exists(), path
    # In the map of the code a name without a folder is in that of the name before it.
    for row in re.findall(r"^\|.*\|$", PAGES[Path("logd/README.md")], re.MULTILINE):
        folder = ROOT
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", row):
            place = ROOT / name if "/" in name else folder / name
            assert place.exists(), name
            folder = place if place.is_dir() else place.parent
    for module in re.findall(r"python3? -m ((?:logd|tests)(?:\.\w+)*)", README):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make ([a-z-]+)", README):
        assert re.search(rf"^{target}:|^\.PHONY:.*\b{target}\b", makefile, re.MULTILINE), target


def test_the_first_page_is_short() -> None:
    """A newcomer reads the first page; all else stands where its readers are."""
    assert len(PAGES[Path("README.md")].splitlines()) <= MAX_FIRST_PAGE_LINES
