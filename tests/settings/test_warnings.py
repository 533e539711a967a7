"""Settings that a daemon starts with, and warns of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from logd.settings.checks import exposure_warning, frame_warning, warnings
from logd.settings.loading import load
from logd.settings.sources import Sources
from logd.settings.table import Config


@pytest.mark.parametrize(
    ("values", "is_warned"),
    [
        ({}, False),
        ({"host": ("127.0.0.1", "::1", "localhost")}, False),
        ({"host": ("localhost", "0.0.0.0")}, True),
        ({"host": ("::",)}, True),
        ({"host": ("logs.example.org",)}, True),
        ({"host": ("0.0.0.0",), "token": "x"}, False),
        ({"host": ("0.0.0.0",), "allow": ("10.0.0.0/8",)}, False),
        ({"host": ("0.0.0.0",), "port": (), "tls_port": (1,)}, False),
        ({"host": ("0.0.0.0",), "tls_port": (1,)}, True),
    ],
)
def test_open_doors_are_warned_about(values: dict[str, Any], is_warned: bool) -> None:
    """Plain TCP beyond this machine without token or allow-list gets a warning."""
    assert (exposure_warning(Config(**values)) is not None) == is_warned


def test_warning_names_the_address() -> None:
    """The warning says which address is open, also of inherited sockets."""
    assert "192.0.2.1" in (exposure_warning(Config(), ["192.0.2.1", "127.0.0.1"]) or "")


def test_frames_shorter_than_the_clients_are_warned_of() -> None:
    """Batches that our own client may send should not be refused for a setting unawares."""
    assert frame_warning(Config()) is None
    assert "max_frame_bytes 65536" in (frame_warning(Config(max_frame_bytes=65_536)) or "")


@pytest.mark.parametrize(
    ("host", "token", "words"),
    [
        ("0.0.0.0", "x" * 16, ["in plain text"]),
        ("0.0.0.0", "x" * 15, ["in plain text", "15 characters"]),
        ("localhost", "x" * 15, ["15 characters"]),
        ("localhost", "x" * 16, []),
        ("127.0.0.1", None, []),
    ],
)
def test_tokens_that_protect_little_are_told(
    host: str, token: str | None, words: list[str]
) -> None:
    """A token in plain text on a network, or one that can be guessed, is worth a warning."""
    found = warnings(Config(host=(host,), token=token))
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))


def test_files_that_others_may_write_are_told(tmp_path: Path) -> None:
    """Whoever can change the settings or the token can do what the daemon can."""
    settings, token = tmp_path / "logd.toml", tmp_path / "token"
    token.write_text("x" * 32)
    settings.write_text(f'token_file = "{token}"\n')
    for path in (settings, token):
        path.chmod(0o600)
    assert load(Sources(file=settings)).notes == ()
    for path in (settings, token):
        path.chmod(0o602)
    notes = load(Sources(file=settings)).notes
    assert all(str(path) in note for path, note in zip((settings, token), notes, strict=True))
    assert all("can be changed by everyone" in note for note in notes)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_files_of_others_and_of_groups_are_told(tmp_path: Path) -> None:
    """A file that a group may change, or that is another user's, is as dangerous."""
    settings = tmp_path / "logd.toml"
    settings.write_text("")
    settings.chmod(0o620)
    os.chown(settings, 0, 12345)
    assert load(Sources(file=settings)).notes == (
        f"settings file {settings} can be changed by its group: chmod g-w {settings}",
    )
    settings.chmod(0o600)
    os.chown(settings, 12345, 0)
    assert load(Sources(file=settings)).notes == (
        f"settings file {settings} belongs to user id 12345, who can change it",
    )


@pytest.mark.parametrize(
    ("line_format", "count"), [(None, 0), ("json", 0), ("%(asctime)s %(message)s", 1)]
)
def test_a_format_of_ones_own_is_warned_of(line_format: str | None, count: int) -> None:
    """What search loses by a format of one's own is said at start."""
    found = warnings(Config(file=("app.log",), line_format=line_format))
    assert sum("only texts can be searched" in text for text in found) == count
