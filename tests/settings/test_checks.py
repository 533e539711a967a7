"""Settings that don't go together: each is refused with a line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.settings.checks import warnings
from logd.settings.loading import ConfigError, load
from logd.settings.secrets import MASK
from logd.settings.sources import Sources
from logd.settings.table import Config

SOURCE = 'source = "nats://n1"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # What `logd config` shows, put back as it is.
        (f'db = ["postgresql://ann:{MASK}@db/logs"]', "db: has *** for a hidden secret"),
        (f'filter = ["shop:Filter?key={MASK}"]', "filter: has *** for a hidden secret"),
        (f'source = "nats://ann:{MASK}@n1"\nfile = ["a_%p_%d"]', "source: has *** for a hidden"),
        # Records of a source.
        (SOURCE + 'file = ["app_%d.log"]', "file: needs %p"),
        (SOURCE + 'db = ["sqlite:///a.db"]', "table_pattern: needs %p"),
        (SOURCE + 'stdout = true\nfile = ["a_%p_%d"]', "stdout: can't keep how far"),
        (SOURCE + 'file = ["a_%p_%d", "b_%p_%d"]', "source: needs one output"),
        (
            SOURCE + '[[outputs]]\nfile = "a_%p_%d"\nselect = "cat:E"',
            "outputs: can't have select with a source: set filter",
        ),
        (
            SOURCE
            + 'shared_marks = true\ndb = ["postgresql://db/logs"]\ntable_pattern = "a_%p_%d"',
            "shared_marks: can't be set with source",
        ),
        # Marks that daemons share.
        ("shared_marks = true", "shared_marks: needs one db"),
        ('shared_marks = true\ndb = ["sqlite:///a.db"]', "shared_marks: needs one db"),
        # Later than others remember.
        ('engine_retry_s = "2 d"', "engine_retry_s: must be under 86400 s"),
    ],
)
def test_what_does_not_go_together(text: str, expected: str, tmp_path: Path) -> None:
    """The problem is named with the setting that has it."""
    path = tmp_path / "logd.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(Sources(file=path))
    assert any(expected in problem for problem in caught.value.problems), caught.value.problems


def test_an_engine_that_may_lose_is_warned_of() -> None:
    """With engine_durable = lazy the price is said at the start."""
    output = ("nats://n1",)
    assert not any("engine" in text for text in warnings(Config(output=output)))
    found = warnings(Config(output=output, engine_durable="lazy"))
    assert any("records of the last two minutes may be lost" in text for text in found)
