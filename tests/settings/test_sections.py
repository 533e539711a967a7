"""`[[outputs]]` in a settings file: outputs with a choice and settings of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.daemon.checking import faults
from logd.settings.loading import ConfigError, changes, load, reload
from logd.settings.printing import as_toml
from logd.settings.sections import OutputSection
from logd.settings.sources import Sources
from logd.settings.table import Config

TEXT = """
rotate_count = 5

[[outputs]]
file = "errors.log"
select = "cat:E,C"
rotate_count = 30
keep_age_s = "90 d"
rotate_size = "off"

[[outputs]]
db = "postgresql://logd:geheim@db/logs"
columns = ["user:text"]

[[outputs]]
stdout = true
line_format = "json"
"""


def written(folder: Path, text: str) -> Path:
    """A settings file."""
    path = folder / "logd.toml"
    path.write_text(text, encoding="utf-8")
    return path


def config_of(folder: Path, text: str = TEXT) -> Config:
    """What a settings file says."""
    return load(Sources(file=written(folder, text))).config


def test_sections_are_read(tmp_path: Path) -> None:
    """Each table is an output; what it does not say is as for all outputs."""
    config = config_of(tmp_path)
    assert config.outputs == (
        OutputSection(
            "file",
            str(tmp_path / "errors.log"),
            "cat:E,C",
            (("rotate_count", 30), ("rotate_size", None), ("keep_age_s", 90 * 86400.0)),
        ),
        OutputSection(
            "db", "postgresql://logd:geheim@db/logs", None, (("columns", ("user:text",)),)
        ),
        OutputSection("stdout", "-", None, (("line_format", "json"),)),
    )
    outputs = config.each_output()
    assert [section.spec for section, _ in outputs] == [
        f"file:{tmp_path / 'errors.log'}",
        "db:postgresql://logd:geheim@db/logs",
        "stdout:-",
    ]
    assert [own.rotate_count for _, own in outputs] == [30, 5, 5]
    assert [own.line_format for _, own in outputs] == [None, None, "json"]


def test_short_settings_and_tables_go_together(tmp_path: Path) -> None:
    """The short settings come first; without any there is no file that nobody named."""
    config = config_of(tmp_path, 'file = "app.log"\n' + TEXT)
    (first, _), *_ = config.each_output()
    assert first.spec == f"file:{tmp_path / 'app.log'}"
    assert config_of(tmp_path).file == ()


def test_the_state_folder_is_beside_the_first_file(tmp_path: Path) -> None:
    """Also if only a table names it."""
    config = config_of(tmp_path, '[[outputs]]\nfile = "logs/errors.log"\n')
    assert config.state_folder == tmp_path / "logs" / ".logd-state"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("outputs = 5", r'outputs: expected tables, each headed by "\[\[outputs\]\]"'),
        ('[[outputs]]\nselect = "cat:E"', "outputs, table 1: names one of file, db.*got none"),
        ('[[outputs]]\nfile = "a"\ndb = "sqlite://"', "table 1: names one of.*got file and db"),
        ('[[outputs]]\nfile = ["a", "b"]', "table 1: file: expected text that is not empty; got"),
        ("[[outputs]]\nstdout = false", "table 1: stdout: expected true"),
        (
            '[[outputs]]\nfile = "a"\n[[outputs]]\nfile = "b"\nrotate_cuont = 3',
            'table 2: rotate_cuont: unknown key; did you mean "rotate_count"',
        ),
        ('[[outputs]]\nfile = "a"\nport = 5', "port: is no setting of one output"),
        ('[[outputs]]\nfile = "a"\nrotate_count = 0', "rotate_count: expected .*; got 0"),
        ('[[outputs]]\ndb = "x:geheim"', "db: expected a database URL .*; got another"),
    ],
)
def test_what_is_wrong_is_named(text: str, problem: str, tmp_path: Path) -> None:
    """The file, the number of the table, the key, what is expected and what is there."""
    with pytest.raises(ConfigError, match=problem) as caught:
        config_of(tmp_path, text + "\n")
    assert str(tmp_path / "logd.toml") in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_printed_sections_are_a_file_with_the_same(tmp_path: Path) -> None:
    """`logd config` shows them as a settings file has them, without passwords."""
    in_force = load(Sources(file=written(tmp_path, TEXT.replace("geheim", "x"))))
    text = as_toml(in_force, lambda name, value: str.__str__(value), Path())
    assert load(Sources(file=written(tmp_path, text))).config == in_force.config
    secret = load(Sources(file=written(tmp_path, TEXT)))
    assert "geheim" not in as_toml(secret, lambda name, value: "***", Path()) + repr(secret.config)


def test_a_reload_sees_changes(tmp_path: Path) -> None:
    """A table that changed counts as a change that a reload puts in force."""
    old = config_of(tmp_path)
    written(tmp_path, TEXT.replace("cat:E,C", "cat:E"))
    assert changes(old, reload(old).config).now == ("outputs",)


def test_shared_marks_go_without(tmp_path: Path) -> None:
    """Other daemons would not know what such an output has."""
    text = 'shared_marks = true\ndb = "postgresql://db/logs"\n[[outputs]]\nfile = "e.log"\n'
    with pytest.raises(ConfigError, match="shared_marks: can't be set with outputs"):
        config_of(tmp_path, text)


def test_the_readme_is_right(tmp_path: Path) -> None:
    """Its examples are settings files that a start takes."""
    page = Path(__file__).parents[2] / "logd" / "settings" / "README.md"
    examples = [part.partition("```")[0] for part in page.read_text("utf-8").split("```toml\n")[1:]]
    choice, month = (config_of(tmp_path, text) for text in examples)
    assert [section.select for section in choice.outputs] == [
        "cat:E,C",
        "logger:shop.payments* -cat:D",
    ]
    assert (month.keep_age_s, month.naming) == (30 * 86_400.0, "date")
    assert faults(choice) == faults(month) == []
