"""Settings: read from four places, checked one by one and together."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from logd.settings.checks import problems
from logd.settings.loading import ConfigError, changes, load, reload
from logd.settings.secrets import reveal
from logd.settings.sources import Sources
from logd.settings.table import DEFAULT_FILE, SETTINGS, Config
from tests.settings.files import faults, of_file

# One wrong value of each setting that can have one.
WRONG = {
    "host": "",
    "port": "65536",
    "socket_mode": "0999",
    "db": "app.db",
    "stdout": "maybe",
    "output": ":x",
    "rotate_count": "0",
    "rotate_lines": "-1",
    "rotate_size": "big",
    "rotate_at": "daily 25:00",
    "rotate_utc": "2",
    "naming": "Ring",
    "compress": "lzma",
    "keep_age_s": "0",
    "keep_total_bytes": "0",
    "min_free_bytes": "-1",
    "line_format": "a\nb",
    "file_names": "long",
    "filter": "module.name",
    "observer": "module:",
    "tls_port": "x",
    "tls_client_certs": "yes",
    "tls_min_version": "1.1",
    "allow": "10.0.0.1/8",
    "sync": "always",
    "drain_s": "forever",
    "queue_bytes": "0",
    "connection_queue_bytes": "none",
    "max_frame_bytes": "12",
    "max_connections": "0",
    "max_connections_per_peer": "-5",
    "frame_timeout_s": "-1 s",
    "idle_timeout_s": "x",
    "peer_records_per_s": "1.5",
    "metrics": "9802",
    "loop": "trio",
    "log_level": "chatty",
}
RIGHT: dict[str, tuple[Any, Any]] = {
    "port": ("9801", (9801,)),
    "tls_port": ("0", (0,)),
    "socket_mode": ("660", 0o660),
    "rotate_lines": ("OFF", None),
    "rotate_size": ("64 MiB", 64 * 1024**2),
    "rotate_at": ("weekly sun 23:59", "weekly sun 23:59"),
    "keep_age_s": ("7 d", 604_800.0),
    "timestamp": ("none", None),
    "allow": ("2001:db8::/32", ("2001:db8::/32",)),
    "metrics": ("[::1]:9802", "[::1]:9802"),
    "filter": ("package.module:Class", ("package.module:Class",)),
    "observer": ("a.b:Make?n=5&x=a+b", ("a.b:Make?n=5&x=a+b",)),
    "drain_s": ("0", 0.0),
    "socket": ("", None),
}


@pytest.mark.parametrize(("name", "text"), WRONG.items())
def test_wrong_text_names_option_expected_and_got(name: str, text: str) -> None:
    """A wrong value on the command line is named with its option, what is expected, what came."""
    setting = SETTINGS[name]
    given = (text or " \x00",) if setting.kind.has_many else text
    (fault,) = faults(Sources(command_line={name: given}))
    assert fault.startswith(f"option {setting.option}: expected {setting.kind.expected}; got ")


@pytest.mark.parametrize(("name", "text"), WRONG.items())
def test_wrong_text_of_the_environment_names_the_variable(name: str, text: str) -> None:
    """The same in the environment is named with its variable."""
    setting = SETTINGS[name]
    (fault,) = faults(Sources(environment={setting.variable: text or "'"}))
    assert fault.startswith(f"variable {setting.variable}: expected {setting.kind.expected}; got")


@pytest.mark.parametrize("name", SETTINGS)
def test_wrong_type_in_a_file_is_named(name: str, tmp_path: Path) -> None:
    """A value of the wrong type in a file is named with file, key, expected and got."""
    sources = of_file(tmp_path, f"{name} = {{ table = 1 }}\n")
    got = "another, not shown as it may hold a secret" if SETTINGS[name].hides else "{'table': 1}"
    assert faults(sources) == [
        f"{sources.file}: {name}: expected {SETTINGS[name].kind.expected}; got {got}"
    ]


@pytest.mark.parametrize(("name", "text", "value"), [(k, *v) for k, v in RIGHT.items()])
def test_right_text_is_read_alike_from_everywhere(
    name: str, text: str, value: Any, tmp_path: Path
) -> None:
    """A text means the same as an option, in the environment and in the file."""
    # TLS ports need a certificate to be named; nothing else here minds.
    tls = {"tls_cert": "cert", "tls_key": "key"}
    option = {name: (text,) if SETTINGS[name].kind.has_many else text}
    lines = "".join(f'{key} = "{item}"\n' for key, item in {**tls, name: text}.items())
    for sources in (
        Sources({**tls, **option}),
        Sources(tls, {SETTINGS[name].variable: text}),
        of_file(tmp_path, lines),
    ):
        assert getattr(load(sources).config, name) == value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("rotate_lines = 5", 5),
        ("rotate_size = 100", 100),
        ("drain_s = 2.5", 2.5),
        ("drain_s = 3", 3.0),
        ("port = 1234", (1234,)),
        ("port = [1, 2]", (1, 2)),
        ("stdout = true", True),
    ],
)
def test_plain_values_are_read_from_a_file(line: str, value: Any, tmp_path: Path) -> None:
    """Numbers, truth values and lists of TOML need no quotes; one value needs no list."""
    config = load(of_file(tmp_path, line)).config
    assert getattr(config, line.split()[0]) == value


@pytest.mark.parametrize(
    "line",
    [
        "rotate_lines = true",
        "rotate_lines = 1.0",
        "stdout = 1",
        "drain_s = nan",
        "drain_s = -inf",
        "drain_s = true",
        "socket_mode = 0o660",
        "socket_mode = 660",
        "rotate_count = 99999999999999999999",
        "host = [1]",
        "timestamp = 5",
    ],
)
def test_lookalikes_are_refused(line: str, tmp_path: Path) -> None:
    """Values that only look right (true for 1, 660 for the octal 0660) are refused."""
    (fault,) = faults(of_file(tmp_path, line))
    assert f": {line.split()[0]}: expected " in fault


def test_command_line_goes_before_environment_before_file(tmp_path: Path) -> None:
    """Of several sources the nearest to the user wins, and is named as the origin."""
    path = of_file(tmp_path, "rotate_count = 3\nrotate_lines = 3\nsync = 'none'\n").file
    environment = {"LOGD_ROTATE_COUNT": "2", "LOGD_ROTATE_LINES": "2", "PATH": "/bin"}
    config, origins, _ = load(Sources({"rotate_count": "1"}, environment, path))
    assert (config.rotate_count, config.rotate_lines, config.sync) == (1, 2, "none")
    assert origins["rotate_count"] == "option --rotate-count"
    assert origins["rotate_lines"] == "variable LOGD_ROTATE_LINES"
    assert origins["sync"] == str(path)
    assert origins["port"] == "default"


def test_a_list_is_overridden_as_a_whole(tmp_path: Path) -> None:
    """A list of one source replaces that of another, and an empty option empties it."""
    path = of_file(tmp_path, 'port = [1, 2]\nallow = ["10.0.0.0/8"]\n').file
    config = load(Sources({"port": ("3", "4,5"), "allow": ("",)}, {}, path)).config
    assert (config.port, config.allow) == ((3, 4, 5), ())


def test_variables_hold_lists_between_spaces() -> None:
    """Several values in a variable stand between spaces, quoted where they hold one."""
    environment = {"LOGD_FILE": "'a b_%d.log' c_%d.log", "LOGD_PORT": "1, 2 3"}
    config = load(Sources(environment=environment)).config
    assert (config.file, config.port) == (("a b_%d.log", "c_%d.log"), (1, 2, 3))


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """Whoever mends a file sees all of its faults in one go."""
    sources = of_file(tmp_path, 'rotate_line = 5\nsync = "never"\nport = "x"\n')
    assert faults(sources) == [
        f'{sources.file}: unknown key "rotate_line"; did you mean "rotate_lines"?',
        f"{sources.file}: sync: expected {SETTINGS['sync'].kind.expected}; got 'never'",
        f"{sources.file}: port: expected {SETTINGS['port'].kind.expected}; got 'x'",
    ]


def test_a_token_in_the_settings_file_is_refused(tmp_path: Path) -> None:
    """The token itself is no setting; the error shows where it belongs and not what it is."""
    (fault,) = faults(of_file(tmp_path, 'token = "geheim"\n'))
    assert "token_file" in fault
    assert "geheim" not in fault


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"a = ,\n", "not valid TOML: .*line 1"), (b"\xff", "not UTF-8 text: .*byte 0")],
)
def test_unreadable_files_are_named(tmp_path: Path, data: bytes, reason: str) -> None:
    """A file that is no TOML is named with the place of the fault."""
    path = tmp_path / "logd.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=f"{path}: {reason}"):
        load(Sources(file=path))
    with pytest.raises(ConfigError, match="nowhere: can't read the settings: No such file"):
        load(Sources(file=tmp_path / "nowhere"))


def test_misspelt_variables_are_noticed() -> None:
    """A variable that is nearly a setting's is noted; others of the prefix are left alone."""
    in_force = load(Sources(environment={"LOGD_ROTATE_COUTN": "3", "LOGD_OTHER": "x"}))
    assert in_force.notes == (
        "variable LOGD_ROTATE_COUTN is no setting; did you mean LOGD_ROTATE_COUNT?",
    )


def test_kubernetes_service_variable_is_explained() -> None:
    """The address that Kubernetes puts into LOGD_PORT is named as such."""
    (fault,) = faults(Sources(environment={"LOGD_PORT": "tcp://10.0.0.1:9801"}))
    assert "enableServiceLinks" in fault


def test_passwords_do_not_appear_in_errors() -> None:
    """A wrong address is shown without its password."""
    (fault,) = faults(Sources({"output": ("://ann:geheim@host",)}, {}))
    assert "geheim" not in fault


def test_long_values_are_shown_shortened() -> None:
    """An error stays one line of readable length."""
    (fault,) = faults(Sources({"sync": "x" * 5000}))
    assert len(fault) < 250


def test_defaults_are_complete_and_right() -> None:
    """Without any source the defaults are in force, with a file to write to."""
    config, origins, notes = load(Sources())
    assert config == Config()
    assert config.file == (DEFAULT_FILE,)
    assert set(origins.values()) == {"default"}
    assert notes == ()


@pytest.mark.parametrize("name", ["db", "stdout", "output"])
def test_default_file_goes_when_another_output_is_named(name: str) -> None:
    """Who names an output gets that one only."""
    value = {"db": ("sqlite:///x",), "stdout": "true", "output": ("a:b",)}[name]
    assert load(Sources({name: value})).config.file == ()


def test_state_folder_is_beside_the_first_file() -> None:
    """State stands beside the log unless it has a place of its own."""
    assert Config(file=("/var/log/a_%d.log",)).state_folder == Path("/var/log/.logd-state")
    assert Config(stdout=True).state_folder == Path(".logd-state")
    assert Config(state_dir="/var/lib/logd").state_folder == Path("/var/lib/logd")


def test_every_field_is_a_setting_but_three() -> None:
    """The table and the object have the same names, and each one is explained."""
    names = [item.name for item in fields(Config)]
    assert names == [*SETTINGS, "outputs", "token", "sources"]
    assert all(setting.help.endswith(".") for setting in SETTINGS.values())


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"port": ()}, "port"),
        ({"host": ()}, "host"),
        ({"port": (1,), "tls_port": (1,), "tls_cert": "c", "tls_key": "k"}, "tls_port"),
        ({"tls_port": (1,)}, "tls_port"),
        ({"tls_cert": "c"}, "tls_cert"),
        ({"tls_key": "k"}, "tls_key"),
        ({"tls_client_certs": "required"}, "tls_client_certs"),
        ({"tls_client_ca": "ca"}, "tls_client_ca"),
        ({"socket_owner": "me"}, "socket_owner"),
        ({"socket_group": "us"}, "socket_group"),
        ({"socket": "/run/x", "control": "/run/x"}, "control"),
        ({"file": ("a_%d", "a_%d")}, "file"),
        ({"filter": ("m:f", "m:f")}, "filter"),
        ({"db": ("postgresql://a:***@h/x",)}, "db"),
        ({"max_frame_bytes": 5 * 1024**2}, "max_frame_bytes"),
        ({"connection_queue_bytes": 2**40}, "connection_queue_bytes"),
        ({"max_connections": 5, "max_connections_per_peer": 6}, "max_connections_per_peer"),
    ],
)
def test_settings_that_do_not_fit_together_are_named(values: dict[str, Any], name: str) -> None:
    """Settings that exclude or need each other are found, naming the one to change."""
    assert [problem.name for problem in problems(Config(**values))] == [name]


@pytest.mark.parametrize(
    "values",
    [
        {"port": (), "socket": "/run/x", "socket_owner": "me", "socket_group": "us"},
        {"port": (), "tls_port": (1,), "tls_cert": "c", "tls_key": "k"},
        {"port": (0,), "tls_port": (0,), "tls_cert": "c", "tls_key": "k"},
        {"tls_cert": "c", "tls_key": "k", "tls_client_ca": "a", "tls_client_certs": "optional"},
    ],
)
def test_settings_that_fit_have_no_problems(values: dict[str, Any]) -> None:
    """What fits together passes."""
    assert problems(Config(**values)) == []


def test_problems_name_where_the_setting_came_from(tmp_path: Path) -> None:
    """A setting that does not fit is named with its file too."""
    sources = of_file(tmp_path, 'tls_cert = "cert.pem"\n')
    assert faults(sources) == [f"{sources.file}: tls_cert: needs tls_key, which is not set"]


def test_reload_reads_the_same_places_again(tmp_path: Path) -> None:
    """A reload sees the changed file, and the options of the start still go before it."""
    sources = Sources({"port": ("1",)}, {}, of_file(tmp_path, "port = 2\nrotate_count = 2").file)
    old = load(sources).config
    of_file(tmp_path, 'port = 3\nrotate_count = 5\nhost = "::1"\n')
    new = reload(old).config
    assert (new.port, new.rotate_count) == ((1,), 5)
    assert changes(old, new) == (("rotate_count",), ("host",))


def test_a_reload_of_an_emptied_file(tmp_path: Path) -> None:
    """A file that is being written, and is empty just now, does not bring the defaults back."""
    sources = of_file(tmp_path, "rotate_count = 100\n")
    old = load(sources).config
    of_file(tmp_path, "\n")
    with pytest.raises(ConfigError, match="is empty, and had rotate_count before"):
        reload(old)
    # At a start it is right, and so is a reload of what was always empty.
    assert reload(load(sources).config).config.rotate_count == 10


def test_paths_of_a_settings_file_start_there(tmp_path: Path) -> None:
    """Wherever the daemon is started; those of options and variables start where that is."""
    path = tmp_path / "logd.toml"
    path.write_text(
        'file = ["logs/a.log", "/var/log/b_%d.log"]\nstate_dir = "state"\nsocket = ""\n'
        'web_base_path = "/logs"\n'
        'db = ["sqlite:///log.db", "sqlite+pysqlite:////srv/l.db?x=1", "sqlite://", "mysql://h/log"]'
    )
    config = load(Sources(file=path, environment={"LOGD_FEED": "feed.sock"})).config
    assert config.file == (str(tmp_path / "logs/a.log"), "/var/log/b_%d.log")
    assert config.state_dir == str(tmp_path / "state")
    assert [reveal(url) for url in config.db] == [
        f"sqlite:///{tmp_path}/log.db",
        "sqlite+pysqlite:////srv/l.db?x=1",
        "sqlite://",
        "mysql://h/log",
    ]
    assert (config.socket, config.feed, config.web_base_path) == (None, "feed.sock", "/logs")
    assert load(Sources({"file": ("a.log",)}, file=path)).config.file == ("a.log",)


def test_a_file_has_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by a path that goes up, a file is the one that it is: so are outputs that it names."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "logd.toml").write_text('file = "app.log"\n')
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("LOGD_CONFIG", raising=False)
    sources = Sources.of_process({}, "../logd.toml")
    assert sources.file == tmp_path.resolve() / "logd.toml"
    assert load(sources).config.file == (str(tmp_path.resolve() / "app.log"),)
