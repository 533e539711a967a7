"""Outputs are found by the names that packages registered."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, cast

import pytest

from logd.outputs.base import OutputSettings, OutputUnusable
from logd.outputs.registry import GROUP, create, file_output, resolve

SETTINGS = cast("OutputSettings", object())


def point(name: str, value: str) -> EntryPoint:
    """An entry point of the outputs' group."""
    return EntryPoint(name, value, GROUP)


def echo_factory(address: str, settings: Any) -> Any:
    """Stands in for a package's factory: shows what it was called with."""
    return address, settings


def test_output_gets_address_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address goes to the factory whole, with all its colons."""
    monkeypatch.setitem(sys.modules, "some_package", sys.modules[__name__])
    made = create("echo:tcp://h:1", SETTINGS, [point("echo", "some_package:echo_factory")])
    assert cast("Any", made) == ("tcp://h:1", SETTINGS)


@pytest.mark.parametrize("spec", ["echo", ":x", ""])
def test_spec_without_name_or_colon_is_refused(spec: str) -> None:
    """A text that is not NAME:ADDRESS is refused with what is expected."""
    with pytest.raises(OutputUnusable, match='expected "name:address"'):
        create(spec, SETTINGS, [])


def test_unknown_name_lists_what_there_is() -> None:
    """An unknown name is answered with the nearest and with all known ones."""
    known = [point("kafka", "a:b"), point("loki", "c:d")]
    with pytest.raises(OutputUnusable) as caught:
        resolve("kafak", known)
    assert str(caught.value) == (
        "output 'kafak' is not installed (did you mean 'kafka'?); there are: "
        "db, file, kafka, loki, stdout"
    )


def test_own_names_are_not_for_other_packages() -> None:
    """A package that registers a name of logd's own does not get its records."""
    assert resolve("file", [point("file", "os:getcwd")]) is file_output


def test_two_packages_with_one_name_are_a_conflict() -> None:
    """A name that two packages registered is refused, naming both."""
    with pytest.raises(OutputUnusable, match=r"a:b.* and .*c:d.*uninstall all but one"):
        resolve("kafka", [point("kafka", "a:b"), point("kafka", "c:d")])


def test_same_entry_point_twice_is_no_conflict() -> None:
    """A package that is installed and on the path as sources too is one package."""
    twice = [point("os", "os:getcwd"), point("os", "os:getcwd")]
    assert callable(resolve("os", twice))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module_here:f", "No module named"),
        ("os:no_such_name", "no attribute"),
        ("os:sep", "can.t be called, it is of type str"),
    ],
)
def test_broken_package_is_named(value: str, reason: str) -> None:
    """A package that can't be loaded is named with the reason."""
    with pytest.raises(OutputUnusable, match=reason) as caught:
        resolve("x", [point("x", value)])
    assert value in str(caught.value)


PACKAGE = """
from pathlib import Path
from logd.outputs.base import Output, OutputStatus

class LengthOutput(Output):
    def __init__(self, address):
        self.name = f"length {address}"
    def open(self):
        return {}
    def write(self, batches):
        pass
    def forget(self, clients):
        pass
    def status(self):
        return OutputStatus(self.name)
    def close(self):
        pass

def make(address, settings):
    return LengthOutput(address)
"""


def test_installed_package_is_found(tmp_path: Path) -> None:
    """An output of another package is found through that package's metadata."""
    (tmp_path / "logd_length.py").write_text(PACKAGE)
    metadata = tmp_path / "logd_length-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: logd-length\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nlength = logd_length:make\n")
    program = (
        "from logd.outputs.registry import create; print(create('length:far', None).name, end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("length far", "")
