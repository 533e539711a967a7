"""The file of users."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.web.users import Users, UsersError, read_users, write_user


def test_users_come_and_go(tmp_path: Path) -> None:
    """A user who was added may come in at once, one who was removed may not."""
    path = tmp_path / "users.toml"
    write_user(path, "ann", "correct horse", "editor", ("logger:shop.*",))
    users = Users(path)
    ann = users.check("ann", "correct horse")
    assert ann is not None
    assert (ann.name, ann.role, ann.only) == ("ann", "editor", ("logger:shop.*",))
    assert users.check("ann", "correct hors") is None
    assert users.check("bo", "battery staple") is None
    write_user(path, "bo", "battery staple", "viewer", ())
    assert users.check("bo", "battery staple") is not None
    write_user(path, "ann", None, "viewer", ())
    assert users.check("ann", "correct horse") is None
    assert path.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[ann", "users.toml"),
        ("ann = 1", "ann"),
        ('[ann]\npassword = "plain"', "logd web user add ann"),
        ('[ann]\npassword = "scrypt:x"\nrole = "root"', "viewer or editor"),
        ('[ann]\npassword = "scrypt:x"\nonly = ["/(/"]', "only"),
        ('[ann]\npassword = "scrypt:x"\nadmin = true', 'unknown key "admin"'),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, problem: str) -> None:
    """What is wrong is said with the file's name and the user's."""
    path = tmp_path / "users.toml"
    path.write_text(text)
    with pytest.raises(UsersError, match=problem):
        read_users(path)
