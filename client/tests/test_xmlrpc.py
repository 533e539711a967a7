"""The XML-RPC client against a server as the reference describes it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from xmlrpc.client import Binary
from xmlrpc.server import SimpleXMLRPCServer

import pytest

from logd_client import (
    XMLRPCConnectionException,
    XMLRPCLogException,
    XMLRPCServerException,
)
from logd_client.xmlrpc import LogServerProxy, createClientLog

LOOPBACK = "127.0.0.1"


class Adapter:
    """What a server offers: `addClient()` gives a number, `log(data)` "" or an error text."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.clients = 0
        self.answer: str = ""

    def addClient(self) -> int:
        self.clients += 1
        return self.clients

    def log(self, data: Binary) -> str:
        if self.answer == "raise":
            raise RuntimeError("broken inside")
        self.jobs.append(json.loads(data.data))
        return self.answer


@pytest.fixture
def adapter() -> Iterator[Adapter]:
    """A served adapter; `adapter.port` tells where."""
    made: Any = Adapter()
    with SimpleXMLRPCServer((LOOPBACK, 0), logRequests=False) as server:
        server.register_instance(made)
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def make(port: int, **kwargs: Any) -> Any:
    """A log to a server that is found at the second port."""
    return createClientLog(LOOPBACK, (1, port), timeout_s=60, **kwargs)


def close(log: Any) -> None:
    """Close the connection that the proxy keeps."""
    log.server._server("close")()


def test_a_call_returns_when_the_record_is_logged(adapter: Any) -> None:
    """The first port with a server is used; the record is the 11-tuple as JSON."""
    log = make(adapter.port, stackMax=1)
    assert log("h\u00e4\udc80\0", "E", special={"n": 1}) == 1
    assert adapter.clients == 1
    job = adapter.jobs[0]
    assert len(job) == 11
    assert (job[0], job[5], job[6], job[10]) == (1, "h\u00e4\udc80\0", "E", {"n": 1})
    assert job[7][0][0] == __file__
    assert log.flush()
    assert log.close()
    close(log)


@pytest.mark.parametrize("answer", ["disk full", "raise"])
def test_a_failing_server_is_named_with_the_message(adapter: Any, answer: str) -> None:
    """What the server answers or raises becomes an exception that names the message id."""
    log = make(adapter.port)
    log("first")
    adapter.answer = answer
    with pytest.raises(XMLRPCServerException, match=r"message 2: .*(disk full|broken inside)") as e:
        log("second")
    assert e.value.msgid == 2
    close(log)


def test_a_missing_server_is_named_with_the_message(
    adapter: Any, free_port: Callable[[], int]
) -> None:
    """Without a server each call fails; once there is one, calls work again."""
    proxy = LogServerProxy(LOOPBACK, (free_port(),))
    assert proxy.addClient() == 0
    with pytest.raises(XMLRPCConnectionException, match=r"message 5: no connection .*refused"):
        proxy.log((5,))
    assert issubclass(XMLRPCConnectionException, XMLRPCLogException)
    proxy._ports = (adapter.port,)
    proxy.log([6])
    assert adapter.jobs == [[6]]
    assert proxy._server is not None
    proxy._server("close")()


def test_the_error_handler_takes_the_errors(
    capsys: pytest.CaptureFixture[str], free_port: Callable[[], int]
) -> None:
    """With an error handler the call returns None and says why."""
    log = createClientLog(LOOPBACK, (free_port(),), errorHandler="stderr")
    assert log("m") is None
    assert "XMLRPCConnectionException: message 1: no connection" in capsys.readouterr().err


def test_a_server_that_hangs_does_not_hang_the_app() -> None:
    """A call ends after its time, also where the server takes the connection and says nothing."""
    with socket.create_server((LOOPBACK, 0)) as hanging:
        port = hanging.getsockname()[1]
        log = createClientLog(LOOPBACK, (port,), timeout_s=0.1)
        with pytest.raises(XMLRPCConnectionException, match="timed out"):
            log("m")
