"""The settings of a connection: where they may stand, which goes first, what is wrong."""

from __future__ import annotations

import logging
import logging.config
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer

from logd_client import Log, LogdHandler, LogServerProxy, createClientLog
from logd_client.places import Moving
from logd_client.settingchecks import DEFAULT_HOST, DEFAULT_PORTS
from logd_client.settings import Settings, settle
from logd_client.tls import TlsSettings

LOOPBACK = "127.0.0.1"

MAKERS: list[Callable[..., Any]] = [LogdHandler, LogServerProxy, createClientLog]


def settled(*place: Any, **given: Any) -> Settings:
    """What `LogServerProxy` makes of its arguments, without the environment of this process."""
    host, ports = (*place, *(DEFAULT_HOST, DEFAULT_PORTS)[len(place) :])
    return settle(host, ports, {"environ": {}, **given})


def test_defaults() -> None:
    """Without anything given, the server is on this machine."""
    assert settled() == Settings(
        host="localhost",
        ports=(9801,),
        hosts=(),
        moving=Moving(failover=None, failback_s=300.0, silence_s=None),
        socket=None,
        token=None,
        tls=None,
        buffer_bytes=64 << 20,
        block_timeout_s=5.0,
        exit_timeout_s=5.0,
        spool=None,
        spool_bytes=256 << 20,
        fallback=None,
        on_loss=None,
        static=(),
        context_items=True,
    )


@pytest.mark.parametrize("make", MAKERS)
def test_a_place_is_spelled_as_of_a_sockethandler(
    make: Callable[..., Any], server: AckServer
) -> None:
    """One port does in place of several, by position or by the name `port`."""
    for made in (
        make(LOOPBACK, server.port),
        make(host=LOOPBACK, port=server.port),
        make(LOOPBACK, ports=[server.port]),
        make(f"logd://{LOOPBACK}:{server.port}"),
    ):
        if isinstance(made, LogdHandler):
            made.handle(logging.makeLogRecord({"msg": "m"}))
        elif isinstance(made, Log):
            made("m")
        else:
            Log(made)("m")
        assert made.flush(60)
        made.close()
    assert len(server.records) == 4


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("logd://loghost", {"host": "loghost"}),
        ("logd://loghost/", {"host": "loghost"}),
        ("logd://[::1]:1234", {"host": "::1", "ports": (1234,)}),
        ("logd://:s%23cret@h", {"host": "h", "token": "s#cret"}),
        ("logds://h", {"host": "h", "tls": TlsSettings()}),
        ("logd:///run/my%20logd.sock", {"socket": "/run/my logd.sock"}),
        ("logd://a:1,b:2", {"hosts": ("a:1", "b:2")}),
        ("logd://:T@a:1,[::1]:2", {"hosts": ("a:1", "[::1]:2"), "token": "T"}),
        ("logd://?hosts=a,b&failover=no", {"hosts": ("a", "b"), "moving": Moving(failover=False)}),
        ("logd://h?ports=1,2", {"host": "h", "ports": (1, 2)}),
        (
            "logd://h?spool=/var/spool/shop&spool_bytes=2048&block_timeout_s=0.5",
            {
                "host": "h",
                "spool": Path("/var/spool/shop"),
                "spool_bytes": 2048,
                "block_timeout_s": 0.5,
            },
        ),
        ("logd://h?static.a=1&static.b=x%26y", {"host": "h", "static": ("a", "1", "b", "x&y")}),
        ("logd://h?tls=yes&tls_verify=off", {"host": "h", "tls": TlsSettings(verify=False)}),
        ("logd://h?when_full=drop", {"host": "h", "block_timeout_s": 0.0}),
    ],
)
def test_a_url_holds_settings(url: str, expected: dict[str, Any]) -> None:
    """A URL may stand in place of the host, and in the variable `LOGD_URL`."""
    assert settled(url) == settled()._replace(**expected)
    assert settled(environ={"LOGD_URL": url}) == settled()._replace(**expected)


def test_the_environment_holds_settings() -> None:
    """A variable `LOGD_NAME` is the setting of that name; an empty one is none."""
    environ = {
        "LOGD_HOST": "loghost",
        "LOGD_PORT": "9802,9803",
        "LOGD_TOKEN": "secret",
        "LOGD_SPOOL": "",
        "LOGD_CONTEXT_ITEMS": "no",
        "LOGD_STATIC": "service=shop, version=1.2",
        "LOGD_SERVICE_HOST": "10.0.0.1",
    }
    assert settled(environ=environ) == settled()._replace(
        host="loghost",
        ports=(9802, 9803),
        token="secret",
        context_items=False,
        static=("service", "shop", "version", "1.2"),
    )


def test_the_port_of_kubernetes_is_none() -> None:
    """What Kubernetes puts into `LOGD_PORT` for a service of the name logd is passed over."""
    assert settled(environ={"LOGD_PORT": "tcp://10.0.0.1:9801"}) == settled()


def test_what_is_nearer_goes_first() -> None:
    """An argument goes before the URL, that before a variable, that before LOGD_URL."""
    environ = {"LOGD_URL": "logd://env:1?token=a&spool=/a", "LOGD_TOKEN": "b", "LOGD_SOCKET": "/s"}
    assert settled(environ=environ) == settled()._replace(
        host="env", ports=(1,), token="b", spool=Path("/a"), socket="/s"
    )
    made = settled("logd://url?token=c&spool_bytes=2048", port=5, token="d", environ=environ)
    assert made == settled()._replace(
        host="url", ports=(5,), token="d", spool=Path("/a"), spool_bytes=2048
    )
    assert settled("localhost", environ={"LOGD_HOST": "env"}).host == "localhost"


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"port": "9801"}, TypeError, "port '9801': expected a number"),
        ({"port": 0}, ValueError, "port 0: expected at least one, from 1 to 65535"),
        ({"port": True}, TypeError, "port True: expected a number"),
        ({"hosts": "a:1"}, TypeError, "hosts 'a:1': expected a sequence of texts"),
        ({"hosts": ["a:x"]}, ValueError, "hosts: 'a:x': expected a port"),
        ({"hosts": []}, ValueError, "at least one"),
        ({"silence_s": 0}, ValueError, "silence_s 0: expected more than 0"),
        ({"port": 1, "ports": (1,)}, TypeError, r"port 1 and ports \(1,\): expected one"),
        ({"host": 5}, TypeError, "host 5: expected text"),
        ({"host": ""}, ValueError, "host '': expected a name, an address or a URL"),
        ({"environ": "x"}, TypeError, "environ of type str: expected a dict"),
        ({"spol": "/x"}, TypeError, "argument 'spol': there is no such setting, did you mean 'sp"),
        ({"spool": 5}, TypeError, "spool 5: expected a path"),
        ({"spool": ""}, ValueError, "spool '': expected a path"),
        ({"token": b"t"}, TypeError, "token of type bytes: expected text"),
        ({"tls": "yes"}, TypeError, "tls 'yes': expected True or False"),
        ({"exit_timeout_s": "5"}, TypeError, "exit_timeout_s '5': expected a number of seconds"),
        ({"block_timeout_s": -1}, ValueError, "block_timeout_s -1: expected .* 0 or more"),
        ({"block_timeout_s": float("inf")}, ValueError, "block_timeout_s inf"),
        ({"buffer_bytes": 1e6}, TypeError, "buffer_bytes 1000000.0: expected a number of bytes"),
        ({"on_loss": "print"}, TypeError, "on_loss 'print': expected something to call"),
        ({"host": "logd://h?on_loss=print"}, TypeError, "'on_loss': expected as an argument only"),
        ({"static": ["a"]}, TypeError, "static .'a'.: expected a dict"),
        ({"static": {1: "a"}}, TypeError, "static {1: 'a'}: expected a dict"),
        ({"host": "http://h"}, ValueError, "host: URL with scheme 'http', expected logd"),
        ({"host": "logd://h/x"}, ValueError, "host: URL with path '/x'.*logd:///run/logd.sock"),
        ({"host": "logd://h#x"}, ValueError, "fragment 'x'"),
        ({"host": "logd://h:99999"}, ValueError, "host: URL with .*0-65535"),
        ({"host": "logd://h?spol=/x"}, TypeError, "host: in the URL 'spol': .* mean 'spool'"),
        ({"host": "logd://h?tls=maybe"}, ValueError, "host: tls 'maybe': expected one of 1, true"),
        ({"environ": {"LOGD_PORT": "x"}}, ValueError, "LOGD_PORT 'x': expected a port"),
        ({"environ": {"LOGD_BUFFER_BYTES": "1"}}, ValueError, "LOGD_BUFFER_BYTES 1: expected at"),
        ({"environ": {"LOGD_STATIC": "a"}}, ValueError, "LOGD_STATIC 'a': expected items"),
        ({"environ": {"LOGD_URL": "logd://h?x=1"}}, TypeError, "LOGD_URL: in the URL 'x'"),
    ],
)
def test_a_wrong_setting_fails_in_the_constructor(
    make: Callable[..., Any], given: dict[str, Any], error: type[Exception], text: str
) -> None:
    """The error names the setting, and the place where it stands if that is no argument."""
    with pytest.raises(error, match=text):
        make(**given)


def test_no_error_shows_a_token() -> None:
    """A URL with a token is in no text about what is wrong with it."""
    for url in ("http://:hidden@h", "logd://:hidden@h/x", "logd://:hidden@h?tls=hidden2"):
        with pytest.raises(ValueError) as caught:
            settled(url)
        assert "hidden@" not in str(caught.value)


def test_one_line_of_dictconfig_serves_all_deployments(
    server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler without any setting in `dictConfig` takes all from the environment."""
    monkeypatch.setenv("LOGD_URL", f"logd://{LOOPBACK}:{server.port}?static.service=shop")
    logger = logging.getLogger("deployed")
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"logd": {"class": "logd_client.LogdHandler"}},
            "loggers": {"deployed": {"handlers": ["logd"], "level": "INFO"}},
        }
    )
    (handler,) = (one for one in logger.handlers if isinstance(one, LogdHandler))
    logger.info("m", extra={"order": 5})
    assert handler.flush(60)
    assert server.records[0][4] == {"logger": "deployed", "service": "shop", "order": 5}
    logger.removeHandler(handler)
    handler.close()


def test_static_items_are_in_every_record(server: AckServer) -> None:
    """Records of `Log` and of `logging` have the static items; the record's own go before."""
    proxy = LogServerProxy(LOOPBACK, server.port, static={"service": "shop", "version": 3})
    log, handler = Log(proxy), LogdHandler(server=proxy)
    log("m")
    log("m", special={"version": 4})
    log.submit("m")
    handler.handle(logging.makeLogRecord({"name": "root", "msg": "m", "levelno": 20}))
    handler.handle(logging.makeLogRecord({"name": "a", "msg": "m", "levelno": 20, "version": 4}))
    assert proxy.flush(60)
    static = {"service": "shop", "version": 3}
    assert [record[4] for record in server.records] == [
        static,
        {**static, "version": 4},
        static,
        static,
        {**static, "logger": "a", "version": 4},
    ]
    handler.close()
    proxy.close()


TYPED = """
from logd_client import LogdHandler, LogServerProxy, createClientLog

LogdHandler("h", 9801, spool="x", when_full="drop")
LogdHandler(host="h", port=9801, static={"service": "shop"})
createClientLog("logd://h", stackMax=3, token=None)
LogServerProxy("h", (9801, 9802), exit_timeout_s=1)
LogdHandler("h", spol="x")  # wrong
LogdHandler("h", spool=5)  # wrong
createClientLog("h", when_full="wait")  # wrong
LogServerProxy("h", buffer_bytes="5")  # wrong
LogdHandler("h", "9801")  # wrong
LogdHandler("h", on_loss=lambda loss: print(loss.count))
LogdHandler("h", on_loss=lambda loss: print(loss.number))  # wrong
"""
WRONG_LINES = [n for n, line in enumerate(TYPED.splitlines(), 1) if line.endswith("# wrong")]


def test_type_checkers_find_wrong_settings(tmp_path: Path) -> None:
    """mypy names each call with a misspelt or mistyped setting, and no other."""
    program = tmp_path / "typed.py"
    program.write_text(TYPED)
    root = Path(__file__).parents[2]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", root / ".mypy_cache", program],
        cwd=root / "client",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    wrong = [line for line in checked.stdout.splitlines() if "typed.py:" in line]
    assert [int(line.split(":")[1]) for line in wrong if "error:" in line] == WRONG_LINES, (
        checked.stdout + checked.stderr
    )


def test_nothing_but_the_standard_library_is_imported() -> None:
    """What only type checkers need is not looked for when the package is imported."""
    program = "import sys, logd_client; sys.exit('typing_extensions' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
