"""The page in a real browser: keys, hostile records, accessibility, live; and its types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.daemon_process import running
from tests.ports import reserved_port
from tests.query.log_making import record, write_log
from tests.web.conftest import NOW
from tests.web.serving import Page, serving
from tests.web.test_server import send

HERE = Path(__file__).with_name("browser")
CHECK_S = 180.0

TRACEBACK = """Traceback (most recent call last):
  File "<script>window.ran=1</script>", line 1, in <img src=x onerror=window.ran=1>
    <b onclick=window.ran=1>x</b>
<script>window.ran=1</script>: <i>"""

HOSTILE = [
    "<script>window.ran = 1</script>",
    "<img src=x onerror=window.ran=1>",
    '"><svg onload=window.ran=1>',
    "javascript:window.ran=1",
    "{{constructor.constructor('window.ran=1')()}}",
    "</style><style>*{background:url(//evil.example)}</style>",
    "first line\n<script>window.ran = 1</script>\n<iframe srcdoc='<script>parent.ran=1</script>'>",
    TRACEBACK,
    TRACEBACK.replace('File "', 'File "\ud800?/#'),
    "\x1b]0;title\x07 \u202egnihtyna \x00 \ud800",
    "x" * 100_000,
]


def node(*arguments: str) -> list[str]:
    """A command that runs node with what the checks need; skips the test if that is not here."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (HERE / "node_modules" / "playwright-core").is_dir():
        pytest.skip("the browser's driver is not installed: make browser")
    return ["node", *arguments]


def chromium() -> str:
    """The browser; skips the test if there is none."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    return path


def environment(page: Page, **more: str) -> dict[str, str]:
    """What the checks are told."""
    return {
        **os.environ,
        "CHROMIUM": chromium(),
        "LOGD_WEB_LINK": page.link.partition("#")[0],
        "LOGD_WEB_COOKIE": page.cookie,
        **more,
    }


def check(name: str, page: Page, **more: str) -> None:
    """Run one of the checks; what it says is the failure."""
    done = subprocess.run(
        node(str(HERE / name)),
        env=environment(page, **more),
        capture_output=True,
        text=True,
        timeout=CHECK_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


DEPLOY = int(NOW - 6420)
STORY_PATH = f"/?from={int(NOW - 9000)}&to={int(NOW)}"


def test_keys(page: Page) -> None:
    """Each key does what the help says, and all of the state is in the URL."""
    check("keys.mjs", page, LOGD_WEB_PATH=STORY_PATH)


def test_accessibility(page: Page) -> None:
    """axe-core finds no violation of WCAG 2.2 AA in any view, in both themes, at three widths."""
    # Rows are built alike: a screenful of them shows what a thousand would.
    check("accessible.mjs", page, LOGD_WEB_PATH=f"/?from={DEPLOY}&to={DEPLOY + 100}")


def test_hostile_records(tmp_path: Path) -> None:
    """A record runs nothing, anywhere in the page, and violates no policy."""
    pattern = tmp_path / "x_%d.log"
    batches = [
        record(
            number,
            msg=text,
            cat="E",
            special={"<b>": text[:200], "user": text[:50], text[:30]: 1, "logger": text[:60]},
            peer=HOSTILE[number - 1][:40],
            path=((text[:50], 1),),
        )
        for number, text in enumerate(HOSTILE)
    ]
    # Marks, and categories that are names of what the page, or every object, has.
    count = len(HOSTILE)
    for number, text in enumerate(
        ("new", "detail", "__proto__", "constructor", "<img src=x>", "*")
    ):
        items = {"version": HOSTILE[number][:60], "logger": "deploy"}
        batches.append(record(count + number, msg=f"deploy {text}", cat=text, special=items))
    write_log(pattern, batches)
    with serving(pattern, "--web-source-link", "https://code.example{file}#L{line}") as page:
        check("hostile.mjs", page, LOGD_WEB_COUNT=str(len(batches)))


@contextmanager
def driven(name: str, page: Page) -> Iterator[Callable[[str], str]]:
    """A check that takes commands, once it is ready: each gets one line as its answer."""
    driver = subprocess.Popen(
        node(str(HERE / name)),
        env=environment(page),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stdin, stdout = driver.stdin, driver.stdout
    assert stdin is not None
    assert stdout is not None

    def ask(command: str) -> str:
        stdin.write(command + "\n")
        stdin.flush()
        return stdout.readline().strip()

    try:
        if stdout.readline().strip() == "ready":
            yield ask
    finally:
        _, said = driver.communicate("end\n", timeout=CHECK_S)
    assert driver.returncode == 0, said


def seen(*numbers: int) -> str:
    """What a check says of a list with these records."""
    return json.dumps([f"record {n}" for n in numbers], separators=(",", ":"))


def test_live_through_kills(tmp_path: Path) -> None:
    """Live records are seen once each, through a kill of the daemon and a restart of the server."""
    pattern = tmp_path / "x_%d.log"
    options = ["--file", pattern, "--state-dir", tmp_path / "state"]
    with ExitStack() as stack:
        port = stack.enter_context(reserved_port())
        daemon = stack.enter_context(running(*options, folder=tmp_path))
        server = ExitStack()
        stack.push(server)
        page = server.enter_context(serving(pattern, port=port))
        ask = stack.enter_context(driven("live.mjs", page))
        assert ask("state live") == "so"
        send(daemon.port, 1, 5)
        assert ask("wait 5") == "seen"
        daemon.process.kill()
        daemon.process.wait(60)
        assert ask("state away") == "so"
        again = stack.enter_context(running(*options, folder=tmp_path))
        send(again.port, 6, 10)
        assert ask("wait 10") == "seen"
        assert ask("state live") == "so"
        server.close()
        assert ask("state away") == "so"
        send(again.port, 11, 12)
        # A server that was restarted knows nobody: the page says so, and goes on then.
        page = stack.enter_context(serving(pattern, port=port, signs_in=False))
        assert ask(f"signin {page.token}") == "so"
        send(again.port, 13, 15)
        assert ask("wait 15") == "seen"
        assert ask("state live") == "so"
        assert ask("rows") == seen(*range(1, 16))
        # What comes while it is paused is counted, and shown then.
        assert ask("pause") == "so"
        send(again.port, 16, 18)
        assert ask("new 3") == "so"
        assert ask("rows") == seen(*range(1, 16))
        assert ask("resume") == "so"
        assert ask("wait 18") == "seen"
        assert ask("rows") == seen(*range(1, 19))


def test_tabs(tmp_path: Path) -> None:
    """Of eight tabs only the one that is seen asks anything; a hidden one goes on when shown."""
    pattern = tmp_path / "x_%d.log"
    options = ["--file", pattern, "--state-dir", tmp_path / "state"]
    with running(*options, folder=tmp_path) as daemon:
        send(daemon.port, 1, 2)
        with serving(pattern) as page, driven("tabs.mjs", page) as ask:
            send(daemon.port, 3, 5)
            assert ask("wait 7 5") == "seen"
            # Ten minutes later, too.
            assert ask("later") == "0"
            assert ask("rows 0") == seen(1, 2)
            assert ask("show 0") == "so"
            assert ask("wait 0 5") == "seen"
            assert ask("rows 0") == seen(1, 2, 3, 4, 5)
            assert ask("rows 7") == seen(1, 2, 3, 4, 5)


def test_types() -> None:
    """The page's code passes the type checker."""
    compiler = HERE / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run(
        node(str(compiler), "--project", str(HERE)),
        capture_output=True,
        text=True,
        timeout=CHECK_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
