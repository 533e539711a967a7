"""The page in a real browser: keys, hostile records, accessibility, live; and its types."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.daemon_process import running
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


STORY_PATH = f"/?from={int(NOW - 9000)}&to={int(NOW)}"


def test_keys(page: Page) -> None:
    """Each key does what the help says, and all of the state is in the URL."""
    check("keys.mjs", page, LOGD_WEB_PATH=STORY_PATH)


def test_accessibility(page: Page) -> None:
    """axe-core finds no violation of WCAG 2.2 AA in any view, in both themes, at three widths."""
    check("accessible.mjs", page, LOGD_WEB_PATH=STORY_PATH)


def test_hostile_records(tmp_path: Path) -> None:
    """A record runs nothing, anywhere in the page, and violates no policy."""
    pattern = tmp_path / "x_%d.log"
    batches = [
        record(number, msg=text, cat="E", special={"<b>": text[:200], "user": text[:50]})
        for number, text in enumerate(HOSTILE)
    ]
    write_log(pattern, batches)
    with serving(pattern) as page:
        check("hostile.mjs", page, LOGD_WEB_COUNT=str(len(HOSTILE)))


def test_live_through_kills(tmp_path: Path) -> None:
    """Live records are seen once each, through a kill of the daemon and its restart."""
    pattern = tmp_path / "x_%d.log"
    options = ["--file", pattern, "--state-dir", tmp_path / "state"]
    with running(*options, folder=tmp_path) as daemon, serving(pattern) as page:
        driver = subprocess.Popen(
            node(str(HERE / "live.mjs")),
            env=environment(page),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert driver.stdout is not None
            assert driver.stdin is not None

            def ask(command: str) -> str:
                assert driver.stdin is not None
                assert driver.stdout is not None
                driver.stdin.write(command + "\n")
                driver.stdin.flush()
                return driver.stdout.readline().strip()

            assert driver.stdout.readline().strip() == "ready"
            assert ask("state live") == "so"
            send(daemon.port, 1, 5)
            assert ask("wait 5") == "seen"
            daemon.process.kill()
            daemon.process.wait(60)
            assert ask("state away") == "so"
            with running(*options, folder=tmp_path) as again:
                send(again.port, 6, 10)
                assert ask("wait 10") == "seen"
                assert ask("state live") == "so"
            assert ask("rows") == str([f"record {n}" for n in range(1, 11)]).replace(
                "'", '"'
            ).replace(", ", ",")
        finally:
            driver.communicate("end\n", timeout=CHECK_S)


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
