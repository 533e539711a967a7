"""Which code in tracebacks is a team's own."""

from __future__ import annotations

import pytest

from logd.query.tracebacks import exceptions
from logd.web.answers.owncode import OwnCode

LIB = "/usr/lib/python3/dist-packages"
TRACEBACK = f"""checkout failed
Traceback (most recent call last):
  File "{LIB}/django/base.py", line 1, in get_response
  File "{LIB}/shop/views.py", line 2, in checkout
  File "{LIB}/sqlalchemy/pool.py", line 3, in get
TimeoutError: QueuePool limit"""


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


def test_the_innermost_call() -> None:
    """The place of a group is in own code if there is any, else the last call of all."""
    raised = exceptions(TRACEBACK)[-1]
    for paths, function in (((), "get"), (("dist-packages/shop",), "checkout")):
        call = OwnCode(paths).innermost(raised)
        assert call is not None
        assert call.function == function
