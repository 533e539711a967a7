"""Settings from a file, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.settings.loading import ConfigError, load
from logd.settings.sources import Sources


def of_file(tmp_path: Path, text: str) -> Sources:
    """Sources with nothing but a file of this text."""
    path = tmp_path / "logd.toml"
    path.write_text(text, encoding="utf-8")
    return Sources(file=path)


def faults(sources: Sources) -> list[str]:
    """What is wrong with the sources, a line each."""
    with pytest.raises(ConfigError) as caught:
        load(sources)
    return list(caught.value.problems)
