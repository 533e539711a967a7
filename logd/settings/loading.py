"""Reads the settings: command line over environment over TOML file over default.

Reads all of them, says where each value came from, and names the place in every error. Used by
the commands at start and by the daemon at a reload; nothing else reads files or the environment
for settings.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from logd.errors import StartupError, nearest
from logd.settings.checks import problems
from logd.settings.kinds import Many
from logd.settings.secretfiles import secret_in
from logd.settings.secrets import Secret
from logd.settings.sections import KEY as OUTPUTS_KEY
from logd.settings.sections import read_sections
from logd.settings.sources import FILE_VARIABLE, Sources
from logd.settings.table import SETTINGS, Config, Setting

TOKEN_VARIABLE = "LOGD_TOKEN"  # noqa: S105 - the name of the variable, not a token
_OTHER_VARIABLES = (FILE_VARIABLE, TOKEN_VARIABLE)
_MAX_SHOWN_CHARS = 80


class ConfigError(StartupError):
    """Settings that can't be used.

    Attributes:
        problems: one line for each thing that is wrong: where, which key, expected and got.
        exit_status: of a command that ends for it: that of a usage error.
    """

    exit_status = 2

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.problems = tuple(lines)


class InForce(NamedTuple):
    """Settings and where they came from.

    Attributes:
        config: the settings.
        origins: setting's name -> "default", "option --port", "variable LOGD_PORT" or the file.
        notes: what looks like a mistake and is none for sure, a line each.
    """

    config: Config
    origins: Mapping[str, str]
    notes: tuple[str, ...]


class Changes(NamedTuple):
    """Names of settings that differ: those a reload can change, and those that need a restart."""

    now: tuple[str, ...]
    at_restart: tuple[str, ...]


def load(sources: Sources) -> InForce:
    """Read, merge and check all settings.

    Raises:
        ConfigError: with all that is wrong, not only the first.
    """
    reader = _Reader()
    # Each source overrides the ones before it, a list as a whole.
    if sources.file is not None:
        reader.read_file(sources.file)
    reader.read_environment(sources.environment)
    reader.read_command_line(sources.command_line)
    token = reader.read_token(sources.environment)
    if reader.problems:
        raise ConfigError(reader.problems)
    config = Config(**reader.values, token=token, sources=sources)  # type: ignore[arg-type]
    wrong = [f"{reader.place(name)}{name}: {text}" for name, text in problems(config)]
    if wrong:
        raise ConfigError(wrong)
    origins = {name: reader.origins.get(name, "default") for name in SETTINGS}
    return InForce(config, origins, tuple(reader.notes))


def reload(config: Config) -> InForce:
    """Read the settings anew from where those of `config` came from.

    Raises:
        ConfigError: the new ones can't be used; the old ones stay in force.
    """
    sources = config.sources if config.sources is not None else Sources()
    force = load(sources)
    if sources.file is not None and _is_blank(sources.file):
        # An editor or a shell's ">" empties a file before writing to it. Defaults taken up in
        # that moment may be a smaller ring, and its oldest files would be gone.
        lost = _different(config, force.config)
        if lost:
            raise ConfigError([f"{sources.file}: is empty, and had {', '.join(lost)} before"])
    return force


def _is_blank(path: Path) -> bool:
    """Whether a file holds nothing at all."""
    return not path.read_text(encoding="utf-8").strip()


def changes(old: Config, new: Config) -> Changes:
    """Which settings differ between the two; a new token counts as a change of `token_file`."""
    names = _different(old, new)
    if old.token != new.token and "token_file" not in names:
        names.append("token_file")
    return Changes(
        tuple(name for name in names if name == OUTPUTS_KEY or SETTINGS[name].reloads),
        tuple(name for name in names if name != OUTPUTS_KEY and not SETTINGS[name].reloads),
    )


def _different(old: Config, new: Config) -> list[str]:
    """Names of the settings that differ."""
    return [name for name in (*SETTINGS, OUTPUTS_KEY) if getattr(old, name) != getattr(new, name)]


class _Reader:
    """Collects values, where they came from, and what is wrong with them."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.origins: dict[str, str] = {}
        self.problems: list[str] = []
        self.notes: list[str] = []

    def place(self, name: str) -> str:
        """Where the setting came from, as the beginning of an error; nothing for defaults."""
        origin = self.origins.get(name)
        return f"{origin}: " if origin is not None else ""

    def read_file(self, path: Path) -> None:
        try:
            items = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as exc:
            self.problems.append(f"{path}: not valid TOML: {exc}")
        except UnicodeDecodeError as exc:
            self.problems.append(f"{path}: not UTF-8 text: {exc.reason} at byte {exc.start}")
        except OSError as exc:
            self.problems.append(f"{path}: can't read the settings: {exc.strerror}")
        else:
            self._note_writers("settings file", path)
            for name, value in items.items():
                self._take_toml(str(path), name, value)

    def _note_writers(self, what: str, path: Path) -> None:
        """Note that others than this user and root may change a file that decides what is run."""
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            return
        if stat.S_IMODE(state.st_mode) & stat.S_IWOTH:
            self.notes.append(f"{what} {path} can be changed by everyone here: chmod o-w {path}")
        elif state.st_mode & stat.S_IWGRP and state.st_gid not in (0, os.getegid()):
            self.notes.append(f"{what} {path} can be changed by its group: chmod g-w {path}")
        if state.st_uid not in (0, os.geteuid()):
            self.notes.append(f"{what} {path} belongs to user id {state.st_uid}, who can change it")

    def _take_toml(self, path: str, name: str, value: object) -> None:
        folder = Path(path).absolute().parent
        if name == OUTPUTS_KEY:
            sections, problems = read_sections(value, SETTINGS, folder)
            self.problems += (f"{path}: {text}" for text in problems)
            self._set(name, sections, path)
            return
        setting = SETTINGS.get(name)
        if setting is None:
            why = "tokens stand in a file of their own, see token_file" if name == "token" else ""
            self.problems.append(f'{path}: unknown key "{name}"{why and f": {why}"}{_hint(name)}')
            return
        try:
            found = setting.kind.from_toml(value)
            self._set(name, setting.kind.based(found, folder), path)
        except ValueError:
            self.problems.append(f"{path}: {name}: {_expected(setting, value)}")

    def read_environment(self, environment: Mapping[str, str]) -> None:
        settings = {setting.variable: setting for setting in SETTINGS.values()}
        for variable, text in environment.items():
            setting = settings.get(variable)
            if setting is not None:
                try:
                    self._set(setting.name, setting.kind.from_text(text), f"variable {variable}")
                except ValueError:
                    self.problems.append(
                        f"variable {variable}: {_expected(setting, text)}{_of_kubernetes(text)}"
                    )
            elif variable.startswith("LOGD_") and variable not in _OTHER_VARIABLES:
                meant = nearest(variable, settings, alike=0.85)
                if meant is not None:
                    self.notes.append(f"variable {variable} is no setting; did you mean {meant}?")

    def read_command_line(self, options: Mapping[str, str | tuple[str, ...]]) -> None:
        for name, given in options.items():
            setting = SETTINGS[name]
            try:
                if isinstance(setting.kind, Many) and isinstance(given, tuple):
                    value: object = setting.kind.from_texts(given)
                else:
                    value = setting.kind.from_text(str(given))
            except ValueError:
                shown = " ".join(given) if isinstance(given, tuple) else given
                self.problems.append(f"option {setting.option}: {_expected(setting, shown)}")
            else:
                self._set(name, value, f"option {setting.option}")

    def read_token(self, environment: Mapping[str, str]) -> str | None:
        """The token; the variable with it counts as environment, the file as where it was named."""
        direct = environment.get(TOKEN_VARIABLE)
        origin = self.origins.get("token_file", "")
        if direct and origin.startswith("variable"):
            self.problems.append(
                f"variable {TOKEN_VARIABLE}: LOGD_TOKEN_FILE is set too; only one may be"
            )
            return None
        if direct and not origin.startswith("option"):
            self.values["token_file"] = None
            self.origins["token_file"] = f"variable {TOKEN_VARIABLE}"
            return Secret(direct)
        path = self.values.get("token_file")
        if not isinstance(path, str):
            return None
        try:
            return self._token_of(Path(path))
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            self.problems.append(f"{self.place('token_file')}token_file: {path}: {reason}")
            return None

    def _token_of(self, path: Path) -> str:
        """The first line of the file, which others should not be able to read."""
        token = secret_in(path, "token")
        if stat.S_IMODE(path.stat().st_mode) & stat.S_IROTH:
            self.notes.append(f"token_file {path} can be read by everyone here: chmod o-r {path}")
        self._note_writers("token_file", path)
        return Secret(token)

    def _set(self, name: str, value: object, origin: str) -> None:
        self.values[name] = value
        self.origins[name] = origin


def _expected(setting: Setting, value: object) -> str:
    if setting.hides and not isinstance(value, bool | int | float):
        return f"expected {setting.kind.expected}; got another, not shown as it may hold a secret"
    got = repr(value)
    if len(got) > _MAX_SHOWN_CHARS:
        got = got[:_MAX_SHOWN_CHARS] + "..."
    return f"expected {setting.kind.expected}; got {got}"


def _hint(name: str) -> str:
    meant = nearest(name.replace("-", "_").lower(), SETTINGS)
    return f'; did you mean "{meant}"?' if meant is not None else ""


def _of_kubernetes(text: str) -> str:
    """Kubernetes gives every container LOGD_PORT=tcp://... if a service is called logd."""
    if not text.startswith("tcp://"):
        return ""
    return " (from Kubernetes, for a service named logd: set enableServiceLinks: false)"
