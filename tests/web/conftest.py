"""A log with a story in it, and a page that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.history import write_history
from tests.demo.shop import HOSTS
from tests.web.serving import Page, serving

pytest.importorskip(
    "starlette", reason="logd web needs starlette and uvicorn: pip install logd[web]"
)

NOW = 1_795_820_400.0
"""When the story ends."""

NAMES = ",".join(f"{address}={name}" for address, name in HOSTS.items())


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pattern of a log with a deploy, its errors and a rollback, a few thousand records."""
    pattern = tmp_path_factory.mktemp("story") / "logd_%d.log"
    write_history(pattern, NOW, thinned=12)
    return pattern


@pytest.fixture(scope="session")
def page(story: Path) -> Iterator[Page]:
    """A server for the story, signed in; not to be signed out."""
    link = "https://code.example{file}#L{line}"
    with serving(story, "--web-host-names", NAMES, "--web-source-link", link) as page:
        yield page
