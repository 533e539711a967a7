"""`make install`, `make deb` and `make uninstall`: what they put where, and what works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import logd
from logd.cli.commands import COMMANDS
from logd.settings.table import SETTINGS
from tests.packages.building import daemon, run, send_and_find


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
    return [f"DESTDIR={stage}", "PREFIX=/usr", f"PYTHON={python}"]


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
    fish = (share / "fish/vendor_completions.d/logd.fish").read_text()
    assert "complete" in fish
    # Explanations have commas.
    assert 'string split --max 1 ","' in fish
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
