"""Which code in tracebacks is a team's own."""

from __future__ import annotations

import pytest

from logd.web.answers.owncode import OwnCode

LIB = "/usr/lib/python3/dist-packages"


@pytest.mark.parametrize(
    ("path", "file", "is_own"),
    [
        ("dist-packages/shop", f"{LIB}/shop/views.py", True),
        ("/dist-packages/shop/", f"{LIB}/shop/views.py", True),
        ("dist-packages/shop", f"{LIB}/shopping/views.py", False),
        ("dist-packages/shop", f"{LIB}/django/base.py", False),
        ("dist-packages/shop.py", f"{LIB}/shop.py", True),
        (r"site-packages\shop", r"C:\Lib\site-packages\shop\views.py", True),
        ("dist-packages/shop", "/srv/shop/views.py", True),
    ],
)
def test_installed_code_may_be_own(path: str, file: str, is_own: bool) -> None:
    """Whole names of a path count, wherever they stand in it; what lies elsewhere is own anyway."""
    assert OwnCode([path]).has(file) is is_own
