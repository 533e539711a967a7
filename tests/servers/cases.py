"""What is done to each server, one function a row of the table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.trial import Trial

REDIS = os.environ.get("TEST_REDIS", "redis://127.0.0.1:6379/11")


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        recipe: title in the README.
        package: whose version is shown.
        name: the server as it is run.
        done: what is done to it, in words.
        run: does it.
        needs: what must answer here: "redis" or nothing.
        arguments: further arguments of the command.
        environment: further variables; {folder} stands for the trial's.
        changes: texts of the recipe to replace.
        further: what else each request logs, see `Trial`.
    """

    recipe: str
    package: str
    name: str
    done: str
    run: Callable[[Trial], None]
    needs: str = ""
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    further: tuple[str, ...] = ()


def _join(trial: Trial, requests: int = 200) -> None:
    for thread in trial.load(requests):
        thread.join()


def load_and_stop(trial: Trial) -> None:
    """Load, then a graceful stop."""
    trial.wait_listening()
    _join(trial)
    trial.stop()


def lifespan(workers: int, then: Callable[[Trial], None]) -> Callable[[Trial], None]:
    """The same for a server whose workers log their start and stop."""

    def run(trial: Trial) -> None:
        trial.expected["startup complete"] = trial.expected["shutdown complete"] = workers
        then(trial)

    return run


def restart_daemon(trial: Trial) -> None:
    """The daemon is restarted under load, which goes on until it gets records again."""
    trial.wait_listening()
    loading = trial.load(400)
    trial.restart_daemon()
    for thread in loading:
        thread.join()
    before = len(trial.daemon.log_text())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        _join(trial, 40)
        if len(trial.daemon.log_text()) > before:
            break
    trial.stop()


def restart_daemon_before_stop(trial: Trial) -> None:
    """The daemon comes back when the server is being stopped already."""
    trial.wait_listening()
    _join(trial)
    trial.daemon.stop()
    _join(trial)
    trial.restart_daemon(0.0)
    trial.stop()


def reload(trial: Trial) -> None:
    """SIGHUP under load, which replaces the workers."""
    trial.wait_listening()
    loading = trial.load(400)
    trial.process.send_signal(signal.SIGHUP)
    for thread in loading:
        thread.join()
    _join(trial, 100)
    trial.stop()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_workers(trial: Trial) -> None:
    """Both workers are killed with -9 right after the load."""
    trial.wait_listening()
    workers = _children(trial.process.pid)
    _join(trial, 400)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    trial.wait_listening()
    _join(trial, 40)
    trial.stop()


def _python(trial: Trial, code: str) -> None:
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=trial.folder,
        env={**trial.environment, "LOGD_HOST": "127.0.0.1", "LOGD_PORT": "1"},
        check=True,
        timeout=120,
    )


def celery_tasks(trial: Trial) -> None:
    """100 tasks in children that end after 20, then a warm stop."""
    trial.expected.update(map(str, range(100)))
    _python(trial, "import tasks\nfor n in range(100): tasks.buy.delay(n)")
    deadline = time.monotonic() + 60
    while trial.missing() and time.monotonic() < deadline:
        time.sleep(0.1)
    trial.stop()


def rq_jobs(trial: Trial) -> None:
    """60 jobs, each in a child that ends by os._exit."""
    trial.expected.update(map(str, range(60)))
    trial.wait(240)


def pytest_run(trial: Trial) -> None:
    """50 tests, each of which logs."""
    trial.expected.update(map(str, range(50)))
    trial.wait(120)


def container_stop(trial: Trial) -> None:
    """A second of work, then SIGTERM."""
    deadline = time.monotonic() + 60
    while "bought 500\t" not in trial.daemon.log_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    trial.stop()
    trial.output.flush()
    count = int((trial.folder / "output").read_text().split()[-1])
    trial.expected.update(map(str, range(count)))


_UVICORN = "uvicorn, FastAPI"
_SPOOL = {"LOGD_SPOOL": "{folder}/spool"}
_NO_THREADS = {" --enable-threads": ""}

CASES = [
    Case(
        _UVICORN,
        "uvicorn",
        "uvicorn",
        "load, stop",
        lifespan(1, load_and_stop),
        further=("access log", "request_id"),
    ),
    Case(
        _UVICORN,
        "uvicorn",
        "uvicorn --workers 2",
        "load, stop",
        lifespan(2, load_and_stop),
        arguments=("--workers", "2"),
    ),
    Case(_UVICORN, "uvicorn", "uvicorn", "daemon restarted under load", restart_daemon),
    Case(
        _UVICORN,
        "uvicorn",
        "uvicorn",
        "daemon back just before the stop",
        lifespan(1, restart_daemon_before_stop),
    ),
    Case(
        "gunicorn",
        "gunicorn",
        "gunicorn sync",
        "load, stop",
        load_and_stop,
        further=("access log",),
    ),
    Case("gunicorn", "gunicorn", "gunicorn sync", "reload under load", reload),
    Case(
        "gunicorn",
        "gunicorn",
        "gunicorn gthread",
        "daemon restarted under load",
        restart_daemon,
        arguments=("--threads", "4"),
    ),
    Case(
        "gunicorn",
        "gunicorn",
        "gunicorn --preload, spool",
        "workers killed -9 after load",
        kill_workers,
        arguments=("--preload",),
        environment=_SPOOL,
    ),
    Case("uWSGI", "uwsgi", "uWSGI", "load, stop", load_and_stop),
    Case("uWSGI", "uwsgi", "uWSGI", "daemon restarted under load", restart_daemon),
    Case(
        "uWSGI",
        "uwsgi",
        "uWSGI without threads",
        "load, stop",
        load_and_stop,
        changes=_NO_THREADS,
    ),
    Case("Django", "django", "Django in gunicorn", "load, stop", load_and_stop),
    Case(
        "Flask",
        "flask",
        "Flask in gunicorn",
        "load, stop",
        load_and_stop,
        further=("request_id",),
    ),
    Case("Flask", "flask", "Flask in gunicorn", "reload under load", reload),
    Case(
        "Celery",
        "celery",
        "Celery prefork",
        "100 tasks, stop",
        celery_tasks,
        needs="redis",
    ),
    Case(
        "Celery",
        "celery",
        "Celery prefork, spool",
        "100 tasks, stop",
        celery_tasks,
        needs="redis",
        environment=_SPOOL,
    ),
    Case("RQ", "rq", "RQ", "60 jobs", rq_jobs, needs="redis"),
    Case("pytest", "pytest", "pytest", "50 tests", pytest_run),
    Case("A container's stop", "", "python", "SIGTERM", container_stop),
]
