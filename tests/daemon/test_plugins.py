"""Names in the settings become filters and observers, or one clear line about why not."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from logd.daemon.plugins import close_callables, load_callables
from logd.errors import StartupError


class Everything:
    """Takes an argument of each type that can be given in settings."""

    def __init__(  # type: ignore[no-untyped-def]
        self,
        text: str,
        count: int = 0,
        *,
        rate: float = 1.0,
        on: bool = False,
        cats: Sequence[str] | None = None,
        numbers: tuple[int, ...] = (),
        mode: Literal["fast", "safe"] = "safe",
        number_or_text: int | str = 0,
        text_or_list: str | Sequence[str] = "",
        file: Path | None = None,
        untyped=None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.values = {key: value for key, value in locals().items() if key != "self"}

    def __call__(self, jobhist: Sequence[Any], writer: object) -> None:
        """Do nothing."""


class WithoutArguments:
    """A filter that is instantiated as it is."""

    def __call__(self, jobhist: Sequence[Any], writer: object) -> None:
        """Do nothing."""


class OldObserver:
    """An observer of the reference's older kind."""

    def observe(self, jobhist: Sequence[Any], writer: object) -> None:
        """Do nothing."""


class Refusing:
    """Refuses to be made."""

    def __init__(self, level: int = 1) -> None:
        raise ValueError("level is out of range")


class NotCallable:
    """Nothing that could be a filter."""


def plain(jobhist: Sequence[Any], writer: object) -> None:
    """Be a filter that is a function."""


def factory(word: str = "none") -> Callable[..., str]:
    """Make a filter."""
    return lambda jobhist, writer: word


made = WithoutArguments()
number = 42


@pytest.fixture(autouse=True)
def _importable() -> Iterator[None]:
    """Let these objects be found under a short module name."""
    module = types.ModuleType("shop")
    for name, value in globals().items():
        if not name.startswith("_"):
            setattr(module, name, value)
    module.__all__ = ["made", "plain"]  # type: ignore[attr-defined]
    sys.modules["shop"] = module
    yield
    del sys.modules["shop"]


def load(spec: str) -> Any:
    """The one object that `spec` names."""
    return load_callables([spec])[0]


def test_objects_in_order() -> None:
    """Functions and objects are taken as they are and classes instantiated, in the given order."""
    first, second, third = load_callables(["shop:plain", "shop:WithoutArguments", "shop:made"])
    assert first is plain
    assert isinstance(second, WithoutArguments)
    assert third is made


def test_arguments_get_their_annotated_types() -> None:
    """Each value is turned into the type that its parameter is annotated with."""
    values = load(
        "shop:Everything?text=a%26b+%25&count=3&rate=0.5&on=yes&cats=E,W&numbers=1,2"
        "&mode=fast&number_or_text=x&text_or_list=a,b&file=/etc/hosts&untyped=7"
    ).values
    assert values == {
        "text": "a&b+%",
        "count": 3,
        "rate": 0.5,
        "on": True,
        "cats": ("E", "W"),
        "numbers": (1, 2),
        "mode": "fast",
        "number_or_text": "x",
        "text_or_list": "a,b",
        "file": Path("/etc/hosts"),
        "untyped": "7",
        "clock": None,
    }


def test_details_of_values() -> None:
    """A value may contain an equals sign, a union prefers numbers, a list may be repeated."""
    values = load("shop:Everything?text=a=b&number_or_text=5&cats=E&cats=W").values
    assert values["text"] == "a=b"
    assert values["number_or_text"] == 5
    assert values["cats"] == ("E", "W")


def test_dashes_in_names_of_arguments() -> None:
    """Arguments may be written with dashes, as options are."""
    assert load("shop:Everything?text=x&number-or-text=1").values["number_or_text"] == 1


def test_factory() -> None:
    """A function that is given arguments makes the filter."""
    assert load("shop:factory?word=hello")([], None) == "hello"


def test_observe_method() -> None:
    """An object with an observe() method is an observer, though it can't be called."""
    assert isinstance(load("shop:OldObserver"), OldObserver)


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("shop", ["module:object"]),
        (":plain", ["module:object"]),
        ("shop:", ["module:object"]),
        ("shop:Everything?text", ["key=value"]),
        ("nowhere_at_all:plain", ['no module "nowhere_at_all"', "PYTHONPATH"]),
        ("logd.nowhere:plain", ['no module "logd.nowhere"']),
        ("shop:plane", ['no "plane" in shop', "it offers made, plain"]),
        ("shop:number", ["an int", "(jobhist, writer)"]),
        ("shop:NotCallable", ["a NotCallable", "(jobhist, writer)"]),
        ("shop:made?x=1", ["takes no arguments", "a WithoutArguments"]),
        ("shop:Everything", ["needs text", "shop:Everything?text=..."]),
        ("shop:Everything?text=x&speed=1", ['no parameter "speed"', "count, rate"]),
        ("shop:Everything?text=x&count=many", ["count", "whole number", '"many"']),
        ("shop:Everything?text=x&rate=fast", ["rate", "a number", '"fast"']),
        ("shop:Everything?text=x&rate=nan", ["rate", "finite"]),
        ("shop:Everything?text=x&on=maybe", ["on", "true or false", '"maybe"']),
        ("shop:Everything?text=x&mode=slow", ["mode", "fast, safe", '"slow"']),
        ("shop:Everything?text=x&clock=time", ["clock", "only in a program"]),
        ("shop:Everything?text=x&text=y", ["text", "more than once"]),
        ("shop:Refusing?level=9", ["level is out of range"]),
    ],
)
def test_errors_name_what_and_where(spec: str, parts: list[str]) -> None:
    """A wrong name is one line that says which one, what was found and what is expected."""
    with pytest.raises(StartupError) as caught:
        load_callables([spec], kind="observer")
    text = str(caught.value)
    assert text.startswith(f'observer "{spec.partition("?")[0]}"')
    assert "\n" not in text
    assert [part for part in parts if part not in text] == []


def test_secrets_stay_out_of_errors() -> None:
    """Text given as an argument does not appear in an error about another argument."""
    with pytest.raises(StartupError) as caught:
        load("shop:Everything?text=s3cret&count=x")
    assert "s3cret" not in str(caught.value)


def test_same_object_twice() -> None:
    """One object named twice is an error; two objects of one class are not."""
    assert len(load_callables(["shop:WithoutArguments", "shop:WithoutArguments"])) == 2
    with pytest.raises(StartupError, match="named twice"):
        load_callables(["shop:plain", "shop:plain"])


def test_module_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module raises while it is imported is told, without a traceback."""
    (tmp_path / "shop_broken.py").write_text("1 / 0\n")
    (tmp_path / "shop_needy.py").write_text("import shop_not_installed\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(StartupError, match="can't be imported: ZeroDivisionError"):
        load("shop_broken:x")
    with pytest.raises(StartupError, match="shop_not_installed"):
        load("shop_needy:x")


class Closing:
    """Notes how long it may take to close."""

    def __init__(self, *, finishes: bool) -> None:
        self.finishes = finishes
        self.timeouts: list[float] = []

    def close(self, timeout_s: float) -> bool:
        self.timeouts.append(timeout_s)
        return self.finishes


def test_closing() -> None:
    """Those that can be closed are closed within the given time, and it is told who was late."""
    good, late = Closing(finishes=True), Closing(finishes=False)
    assert close_callables([plain, good], 5.0) is True
    assert close_callables([late, good], 5.0) is False
    assert all(0 < timeout <= 5 for timeout in good.timeouts + late.timeouts)
