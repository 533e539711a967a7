"""Both distributions build, install into an empty environment and work from there."""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import logd
import logd_client
from logd.cli.commands import COMMANDS
from logd.settings.loading import load
from logd.settings.sources import Sources
from logd.settings.table import SETTINGS

ROOT = Path(__file__).parents[1]
PATIENCE_S = 300
# Variables of the caller would change what the fresh environments use.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("LOGD_", "VIRTUAL_ENV", "PYTHON", "MAKE", "MFLAGS"))
    and name not in ("ARGS", "WORKERS", "PORT", "LOGS")  # `make test ARGS=...` hands them on
}
UNWANTED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")  # of a clone
# Compiling all that is installed takes longer than installing it, and the tests use little of it.
ENVIRONMENT["PIP_NO_COMPILE"] = "1"


def run(*command: str | Path, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; shows its output where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def project(path: str) -> dict[str, Any]:
    """The [project] table of a pyproject.toml."""
    data: dict[str, Any] = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))
    return dict(data["project"])


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package index in reach, for fresh environments; a folder with what builds both projects."""
    folder = tmp_path_factory.mktemp("index")
    command = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", ".")
    done = subprocess.run(
        [*command, "setuptools>=77"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no package index in reach: {done.stderr.strip().splitlines()[-1]}")
    return folder


def build(kind: str, source: Path, folder: Path, index: Path) -> None:
    """Build one distribution with the builder that was fetched once, not once for each build."""
    command = (sys.executable, "-m", "build", "-q", "--no-isolation", "--skip-dependency-check")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENVIRONMENT, "PYTHONPATH", str(index))
        run(*command, f"--{kind}", "--outdir", folder, source, cwd=folder.parent)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, as a clone has them: nothing built, no environment."""
    folder = tmp_path_factory.mktemp("checkout") / "logd"
    folder.mkdir()
    for name in ("logd", "client", "systemd", "packages", ".ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=UNWANTED)
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "Makefile",
        "CHANGELOG.md",
        "MANIFEST.in",
    ):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheels(index: Path, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the wheels of both distributions."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in (checkout / "client", checkout):
        build("wheel", source, folder, index)
    return folder


@contextmanager
def daemon(*command: str | Path, cwd: Path) -> Iterator[str]:
    """A running daemon; gives the first address it is ready on. Stops it well at the end."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            match = re.search(r"ready on ([^ ,]+:\d+)", line)
            if match:
                break
        else:
            raise AssertionError("never ready: " + "".join(said))
        yield match[1]
    finally:
        # The whole group: make and the daemon it started, as Ctrl-C in a terminal does.
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)


def send_and_find(logd_command: Path, address: str, log: Path) -> None:
    """Send a record with `logd send` and find it in the log."""
    port = address.rpartition(":")[2]
    run(logd_command, "send", "from afar", "--port", port, cwd=log.parent)
    assert "from afar" in log.read_text(encoding="utf-8")


def test_versions_agree() -> None:
    """Both distributions, both packages and the changelog name the same version."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d\S*)", changelog, re.MULTILINE)
    assert newest is not None
    assert {
        project("pyproject.toml")["version"],
        project("client/pyproject.toml")["version"],
        logd.__version__,
        logd_client.__version__,
    } == {newest[1]}


def test_client_depends_on_nothing() -> None:
    """The client needs the standard library only, from Python 3.9 on."""
    client = project("client/pyproject.toml")
    assert client["dependencies"] == []
    assert client["requires-python"] == ">=3.9"


def test_commands_exist() -> None:
    """Every command of the project names an object that is there."""
    entries = project("pyproject.toml")
    for value in entries["scripts"].values():
        module, _, name = value.partition(":")
        done = run(sys.executable, "-c", f"from {module} import {name}", cwd=ROOT)
        assert done.stderr == ""


def test_wheels_are_complete(wheels: Path) -> None:
    """The wheels have all modules, the marker of typed packages, the licence, no tests."""
    for package, folder in (("logd", ROOT), ("logd_client", ROOT / "client")):
        (path,) = wheels.glob(f"{package}-1*.whl")
        with zipfile.ZipFile(path) as wheel:
            names = set(wheel.namelist())
            (metadata,) = [name for name in names if name.endswith("/METADATA")]
            fields = email.message_from_bytes(wheel.read(metadata))
        modules = {str(path.relative_to(folder)) for path in (folder / package).rglob("*.py")}
        assert modules <= names
        assert f"{package}/py.typed" in names
        assert {name.split("/")[0] for name in names} == {package, metadata.split("/")[0]}
        assert fields["License-Expression"] == "MIT"
        needs = fields.get_all("Requires-Dist") or []
        assert any(need.startswith("logd-client") for need in needs) == (package == "logd")


def test_client_wheel_works_alone(wheels: Path, tmp_path: Path) -> None:
    """The client's wheel is usable where nothing else is installed."""
    (wheel,) = wheels.glob("logd_client-*.whl")
    program = "import sys; sys.path.insert(0, sys.argv[1]); import logd_client.socketclient"
    run(sys.executable, "-I", "-S", "-c", program, wheel, cwd=tmp_path)


def test_wheels_work_in_an_empty_environment(wheels: Path, tmp_path: Path) -> None:
    """Installed from their wheels into an empty environment, daemon and client work together."""
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env/bin/python"
    run(python, "-m", "pip", "install", "-q", *wheels.glob("*.whl"), cwd=tmp_path)
    command = tmp_path / "env/bin/logd"
    assert run(command, "--version", cwd=tmp_path).stdout.startswith(f"logd {logd.__version__} ")
    with daemon(command, "serve", "--port", "0", cwd=tmp_path) as address:
        send_and_find(command, address, tmp_path / "logs/logd_0.log")


@pytest.fixture(scope="module")
def stage(index: Path, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make install` puts under DESTDIR for a package, by the system's Python if it fits."""
    stage = tmp_path_factory.mktemp("stage")
    settings = stage / "etc/logd/logd.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("rotate_count = 3\n", encoding="utf-8")
    # Left by a build of another version, in this checkout.
    stale = checkout / "build/lib/logd/stale.py"
    stale.parent.mkdir(parents=True, exist_ok=True)  # the wheels may have been built here before
    stale.write_text("raise SystemExit('stale')\n", encoding="utf-8")
    run("make", "install", *places(stage), cwd=checkout)
    return stage


def places(stage: Path) -> list[str]:
    """Arguments of make for a package made of `stage`."""
    fits = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    done = subprocess.run(["/usr/bin/python3", "-c", fits], capture_output=True, check=False)
    python = "/usr/bin/python3" if done.returncode == 0 else sys.executable
    return [f"DESTDIR={stage}", "PREFIX=/usr", f"PYTHON={python}", "SOURCE_DATE_EPOCH=1700000000"]


def test_make_install_stages_a_working_service(stage: Path, tmp_path: Path) -> None:
    """What `make install` stages works from any place; settings that are there are left alone."""
    assert (stage / "etc/logd/logd.toml").read_text(encoding="utf-8") == "rotate_count = 3\n"
    home = stage / "usr/lib/logd"
    units = stage / "usr/lib/systemd/system"
    unit = (units / "logd.service").read_text(encoding="utf-8")
    assert "ExecStart=/usr/bin/logd serve --config /etc/logd/logd.toml\n" in unit
    unit = (units / "logd@.service").read_text(encoding="utf-8")
    assert "ExecStart=/usr/bin/logd serve --config /etc/logd/%i.toml\n" in unit
    for name in ("systemd/system/logd.socket", "systemd/system/logd-web.service"):
        assert (stage / "usr/lib" / name).is_file()
    for name in ("sysusers.d/logd.conf", "tmpfiles.d/logd.conf"):
        assert (stage / "usr/lib" / name).is_file()
    assert (stage / "etc/lnav/formats/logd/logd.json").is_file()
    assert not list(stage.rglob("stale.py"))
    assert (home / "bin/logd").read_text(encoding="utf-8").startswith("#!/usr/lib/logd/bin/python")
    assert (stage / "usr/bin/logd").readlink() == Path("../lib/logd/bin/logd")

    command = tmp_path / "logd"
    command.write_text(f'#!/bin/sh\nexec {home}/bin/python -B -m logd "$@"\n')
    command.chmod(0o755)
    with daemon(command, "serve", "--port", "0", cwd=tmp_path) as address:
        send_and_find(command, address, tmp_path / "logs/logd_0.log")


def test_nothing_tells_where_it_was_built(stage: Path) -> None:
    """No installed file has the folder of the build; all of the environment is as old as asked."""
    for path in (stage / "usr").rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert str(stage).encode() not in path.read_bytes(), path
            if path.suffix == ".py":
                assert path.stat().st_mtime == 1700000000


def test_service_environment_is_small(stage: Path) -> None:
    """It has bytecode, but no installer and no commands of others, and takes at most 60 MiB."""
    home = stage / "usr/lib/logd"
    (packages,) = home.glob("lib/python3*/site-packages")
    assert not {"pip", "setuptools"} & {path.name for path in packages.iterdir()}
    assert {path.name.rstrip("0123456789.") for path in (home / "bin").iterdir()} == {
        "logd",
        "python",
    }
    assert list((packages / "logd/cli/__pycache__").glob("serve.*.pyc"))
    files = [path for path in home.rglob("*") if not path.is_symlink()]
    assert sum(path.stat().st_blocks * 512 for path in files) <= 60 << 20


def test_manual_has_every_command_and_setting(stage: Path) -> None:
    """Each command has a page, logd.toml(5) each setting, and groff has nothing to say of them."""
    manual = stage / "usr/share/man"
    assert {path.name for path in (manual / "man1").iterdir()} == {
        "logd.1",
        *(f"logd-{name}.1" for name in COMMANDS),
    }
    settings = (manual / "man5/logd.toml.5").read_text(encoding="utf-8")
    for name in SETTINGS:
        assert f"\\fB{name}\\fR = " in settings
    if shutil.which("groff"):
        pages = sorted(manual.rglob("*.[15]"))
        done = run("groff", "-man", "-ww", "-z", "-Tutf8", "-Kutf8", *pages, cwd=manual)
        assert done.stderr == ""


def test_completions_name_commands(stage: Path, tmp_path: Path) -> None:
    """bash completes commands by the installed file; zsh and fish have theirs."""
    share = stage / "usr/share"
    assert (share / "zsh/site-functions/_logd").read_text().startswith("#compdef logd")
    assert "complete" in (share / "fish/vendor_completions.d/logd.fish").read_text()
    (tmp_path / "logd").symlink_to(Path(sys.executable).with_name("logd"))
    script = (
        f'PATH={tmp_path}:$PATH; source "{share}/bash-completion/completions/logd"; '
        "COMP_WORDS=(logd stat); COMP_CWORD=1; _logd_completion logd; echo ${COMPREPLY[@]}"
    )
    assert run("bash", "-c", script, cwd=tmp_path).stdout == "status\n"


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="packages can be installed by root only")
def test_debian_package(stage: Path, checkout: Path, tmp_path: Path) -> None:
    """It installs user, folders and readable settings; purged, it leaves nothing of its own."""
    package, root = tmp_path / "package", tmp_path / "root"
    shutil.copytree(stage, package, symlinks=True)
    run("packages/deb/make-deb", package, tmp_path, "0", cwd=checkout)
    (deb,) = tmp_path.glob("logd_*.deb")
    for folder in ("etc", "usr/lib", "var/log", "var/lib/dpkg/updates", "var/lib/dpkg/info"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    dpkg = ("dpkg", f"--root={root}", "--force-script-chrootless", "--force-depends")
    run(*dpkg, "--install", deb, cwd=tmp_path)
    settings = root / "etc/logd/logd.toml"
    group = re.search(r"^logd:x:(\d+):", (root / "etc/group").read_text(), re.MULTILINE)
    assert group is not None
    assert (settings.stat().st_mode & 0o777, settings.stat().st_gid) == (0o640, int(group[1]))
    assert (root / "var/log/logd").stat().st_mode & 0o777 == 0o750
    # The system's Python, which the package depends on; the environment's is a link to it.
    python = root / "usr/lib/logd/bin/python3"
    (root / "usr/bin/python3").symlink_to("/usr/bin/python3")
    version = run(python, "-B", "-m", "logd", "--version", cwd=tmp_path).stdout
    assert version.startswith(f"logd {logd.__version__} ")

    said = (root / "usr/share/doc/logd/copyright").read_text("utf-8")
    (packages,) = root.glob("usr/lib/logd/lib/*/site-packages")
    for info in packages.glob("*.dist-info"):
        assert info.name.startswith(("logd-", "logd_client-")) or f"/{info.name}/*" in said
    texts = re.findall(r"[^ ,]+", " ".join(re.findall(r"^ Its text: (.*)", said, re.MULTILINE)))
    assert len(texts) >= 10
    for text in texts:
        assert (root / text).is_file()

    (root / "var/log/logd/logd_0.log").write_text("kept\n")
    run(*dpkg, "--remove", "logd", cwd=tmp_path)
    assert settings.is_file()
    assert (root / "var/log/logd/logd_0.log").is_file()
    assert not (root / "usr/lib/logd").exists()
    run(*dpkg, "--purge", "logd", cwd=tmp_path)
    for folder in ("etc/logd", "var/log/logd", "var/lib/logd"):
        assert not (root / folder).exists()


def test_make_uninstall_leaves_settings(stage: Path, checkout: Path, tmp_path: Path) -> None:
    """`make uninstall` removes all that was installed but the settings."""
    copy = tmp_path / "copy"
    shutil.copytree(stage, copy, symlinks=True)
    run("make", "uninstall", *places(copy), cwd=checkout)
    left = [path for path in copy.rglob("*") if not path.is_dir()]
    assert left == [copy / "etc/logd/logd.toml"]


def test_unknown_extra_is_named(checkout: Path, tmp_path: Path) -> None:
    """`make install EXTRAS=oracle` names the extras that there are before it does anything."""
    with pytest.raises(AssertionError, match=r"no extra oracle; there are: mysql nats postgresql"):
        run("make", "install", "EXTRAS=oracle", *places(tmp_path / "stage"), cwd=checkout)
    assert not (tmp_path / "stage").exists()


def test_containerfile_fits_the_project(tmp_path: Path) -> None:
    """Its settings, commands and targets are there, it is not root, and no pip is in the image.

    No engine is needed: what it would run is checked piece by piece.
    """
    text = (ROOT / "packages/Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    build, final = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert "make install DESTDIR=/stage PREFIX=/usr" in build
    assert "pip" not in re.sub("#.*", "", final)
    assert "venv" not in final
    (uid,) = re.findall(r"^USER (\d+)$", final, re.MULTILINE)
    assert f"logd:x:{uid}:{uid}:" in final
    assert f"install -d -o {uid} -g {uid} " in final
    (variables,) = re.findall(r"^ENV (.*)", final, re.MULTILINE)
    environment = dict(pair.split("=", 1) for pair in variables.split())
    config = load(Sources(environment=environment)).config
    (volumes,) = re.findall(r"^VOLUME (.*)", final, re.MULTILINE)
    assert [str(Path(config.file[0]).parent), config.state_dir] == json.loads(volumes)
    ports = {str(config.port[0]), str(config.metrics).rpartition(":")[2]}
    assert ports == set(re.findall(r"^EXPOSE (.*)", final, re.MULTILINE)[0].split())
    probe = json.loads(re.findall(r"HEALTHCHECK .* CMD (.*)", final)[0])
    command = [
        json.loads(re.findall(rf"^{name} (.*)", final, re.MULTILINE)[0])
        for name in ("ENTRYPOINT", "CMD")
    ]
    assert probe[1] in COMMANDS
    assert command[1][0] in COMMANDS
    assert command[0] == probe[:1] == ["logd"]


def test_source_distributions_build_themselves(index: Path, checkout: Path, tmp_path: Path) -> None:
    """Unpacked, both hold what packagers need, and build the same archive once more."""
    shutil.copytree(ROOT / "tests", checkout / "tests", ignore=UNWANTED, dirs_exist_ok=True)
    needed = {
        "logd": {
            "Makefile",
            "CHANGELOG.md",
            "LICENSE",
            "systemd/logd@.service",
            "packages/deb/postinst",
            "packages/Containerfile",
            "tests/conftest.py",
            "client/pyproject.toml",
            "systemd/locked/logd.txt",
            "logd/web/README.md",
        },
        "logd_client": {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"},
    }
    for name, source in (("logd", checkout), ("logd_client", checkout / "client")):
        lists = []
        for turn in ("first", "second"):
            folder = tmp_path / name / turn
            folder.parent.mkdir(exist_ok=True)
            build("sdist", source, folder, index)
            (archive,) = folder.glob("*.tar.gz")
            shutil.unpack_archive(archive, folder, filter="data")
            (source,) = (path for path in folder.iterdir() if path.is_dir())
            files = (path for path in source.rglob("*") if path.is_file())
            lists.append({str(path.relative_to(source)) for path in files})
        assert needed[name] <= lists[0]
        assert not [path for path in lists[0] if path.endswith((".pyc", ".so"))]
        assert lists[0] == lists[1]


def test_lock_files_hold_what_the_project_needs() -> None:
    """Each dependency is locked, at a version that it allows, with hashes for its files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = {"logd": [item for item in project["dependencies"] if "logd-client" not in item]}
    needed |= {name: extras[name] for name in ("postgresql", "mysql")}
    for name, items in needed.items():
        text = (ROOT / f"systemd/locked/{name}.txt").read_text("utf-8")
        locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
        assert len(re.findall("--hash=sha256:[0-9a-f]{64}", text)) >= len(locked)
        for item in items:
            package, low = re.match(r"([\w.-]+)[^>]*>=([\w.]+)", item).groups()
            numbers = [int(part) for part in locked[package.lower().replace(".", "-")].split(".")]
            assert numbers >= [int(part) for part in low.split(".")], package


def test_make_serve_runs_a_daemon_from_nothing(index: Path, checkout: Path, tmp_path: Path) -> None:
    """`make serve` in a fresh clone makes the environment and runs a daemon that takes records."""
    logs = tmp_path / "logs"
    make = ("make", "serve", "PORT=0", f"LOGS={logs}", f"PYTHON={sys.executable}")
    with daemon(*make, cwd=checkout) as address:
        send_and_find(checkout / ".venv/bin/logd", address, logs / "logd_0.log")


def test_make_names_its_targets() -> None:
    """`make` alone lists every target that is meant for people."""
    listed = run("make", cwd=ROOT).stdout
    for target in ("serve", "test", "lint", "types", "bench", "bench-quick", "fuzz", "chaos"):
        assert re.search(rf"^  {target} +\S", listed, re.MULTILINE), target


def test_too_old_python_gets_one_line(tmp_path: Path) -> None:
    """A Python that is too old is named in one clear line."""
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n')
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "serve", f"PYTHON={old}", f"VENV={tmp_path}/env"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    first, make_itself = done.stderr.strip().splitlines()
    assert first.startswith("logd needs Python 3.11 or later, found Python 3.9.2.")
    assert make_itself.startswith("make: ***")
