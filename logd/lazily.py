"""Names of a package whose modules are imported only when somebody asks for them (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package.

    Args:
        package: its name.
        modules: name that the package offers -> the module that has it.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807 - it is one
        if name in modules:
            import importlib

            return getattr(importlib.import_module(modules[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
