"""The files for containers and Prometheus name what there is: settings, ports, paths, metrics."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from logd.cli.commands import COMMANDS
from logd.settings.loading import load
from logd.settings.sources import Sources
from tests.daemon_process import running

FOLDER = Path(__file__).parents[2] / "packages"
CONTAINERFILE = (FOLDER / "Containerfile").read_text("utf-8")


def document(name: str) -> Any:
    """What a file says."""
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


def check_settings(variables: dict[str, str]) -> None:
    """Variables of a container of logd are settings that a start takes."""
    in_force = load(Sources(environment=variables))
    assert not in_force.notes
    assert set(in_force.origins.values()) >= {f"variable {name}" for name in variables}


def volumes() -> set[str]:
    """The folders that the image keeps what it writes in."""
    (line,) = re.findall(r"^VOLUME (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    return set(yaml.safe_load(line))


def test_containerfile_fits_the_project() -> None:
    """Its settings, commands and targets are there, it is not root, and no pip is in the image.

    No engine is needed: what it would run is checked piece by piece.
    """
    text = CONTAINERFILE.replace("\\\n", " ")
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


def test_compose() -> None:
    """Both services share a network, logd has its volumes, health check and time to stop."""
    found = document("compose.yaml")
    service = found["services"]["logd"]
    check_settings(service["environment"])
    places = dict(volume.split(":") for volume in service["volumes"])
    assert set(places.values()) == volumes()
    assert set(places) == set(found["volumes"])
    assert (FOLDER.parent / service["build"]["dockerfile"]).is_file()
    assert "HEALTHCHECK" in CONTAINERFILE
    assert found["services"]["app"]["environment"]["LOGD_HOST"] == "logd"


def test_kubernetes() -> None:
    """A sidecar: probes of paths that there are, the image's user and volumes."""
    spec = document("kubernetes.yaml")["spec"]["template"]["spec"]
    (sidecar,) = spec["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    check_settings({one["name"]: one["value"] for one in sidecar["env"]})
    assert {mount["mountPath"] for mount in sidecar["volumeMounts"]} == volumes()
    assert f"USER {spec['securityContext']['fsGroup']}\n" in CONTAINERFILE
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert sidecar[probe]["httpGet"]["path"] in ("/healthz", "/readyz")
    assert f"EXPOSE 9801 {sidecar['ports'][0]['containerPort']}\n" in CONTAINERFILE


def test_alerts_and_probes(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Each metric of a rule is one that a daemon serves, and the probes find it well."""
    port = free_port()
    texts = {}
    with running("--metrics", f"127.0.0.1:{port}", folder=tmp_path):
        for path in ("/healthz", "/readyz", "/metrics"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                texts[path] = answer.read().decode()
    served = set(re.findall(r"^(logd_\w+)", texts["/metrics"], re.MULTILINE))
    rules = document("alerts.yaml")["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        named = set(re.findall(r"logd_\w+", rule["expr"]))
        assert named <= served, rule["alert"]
