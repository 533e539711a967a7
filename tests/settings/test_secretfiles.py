"""Files with a secret in their first line."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.settings.secretfiles import secret_in


@pytest.mark.parametrize("data", [b"s3cret", b" s3cret \r\n", b"s3cret\nwhat it is for\n"])
def test_the_first_line_counts(tmp_path: Path, data: bytes) -> None:
    """Blanks around it and further lines are not part of the secret."""
    (tmp_path / "file").write_bytes(data)
    assert secret_in(tmp_path / "file", "token") == "s3cret"


@pytest.mark.parametrize(("data", "reason"), [(b"\ns3cret", "hold the token"), (b"\xff", "utf-8")])
def test_what_holds_no_secret_is_an_error(tmp_path: Path, data: bytes, reason: str) -> None:
    """An empty first line is no secret, and neither are bytes that are no text."""
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ValueError, match=reason):
        secret_in(tmp_path / "file", "token")
