"""The application side of logd.

    from logd_client import createClientLog
    log = createClientLog("localhost", ports=(9801,))
    log("payment failed", "E", special={"order": 812})

or, for apps that use the standard `logging`, `LogdHandler`. Log calls take microseconds and never
wait for the network; records are delivered exactly once, see `socketclient.LogServerProxy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logd_client.bound import bind
    from logd_client.errorhandlers import (
        ErrorHandler,
        SilentErrorHandler,
        StderrErrorHandler,
        StdoutErrorHandler,
    )
    from logd_client.handler import LogdHandler
    from logd_client.log import Log
    from logd_client.logurusink import LoguruSink
    from logd_client.problems import RecordsLost, SessionProblem
    from logd_client.receipt import NotDelivered, Receipt
    from logd_client.socketclient import LogServerProxy, createClientLog
    from logd_client.structlogprocessor import StructlogProcessor
    from logd_client.xmlrpc import (
        XMLRPCConnectionException,
        XMLRPCLogException,
        XMLRPCServerException,
    )

__version__ = "1.0.0"

__all__ = [
    "ErrorHandler",
    "Log",
    "LogServerProxy",
    "LogdHandler",
    "LoguruSink",
    "NotDelivered",
    "Receipt",
    "RecordsLost",
    "SessionProblem",
    "SilentErrorHandler",
    "StderrErrorHandler",
    "StdoutErrorHandler",
    "StructlogProcessor",
    "XMLRPCConnectionException",
    "XMLRPCLogException",
    "XMLRPCServerException",
    "bind",
    "createClientLog",
]


_MODULES = {
    "ErrorHandler": "logd_client.errorhandlers",
    "Log": "logd_client.log",
    "LogServerProxy": "logd_client.socketclient",
    "LogdHandler": "logd_client.handler",
    "LoguruSink": "logd_client.logurusink",
    "NotDelivered": "logd_client.receipt",
    "Receipt": "logd_client.receipt",
    "RecordsLost": "logd_client.problems",
    "SessionProblem": "logd_client.problems",
    "SilentErrorHandler": "logd_client.errorhandlers",
    "StderrErrorHandler": "logd_client.errorhandlers",
    "StdoutErrorHandler": "logd_client.errorhandlers",
    "StructlogProcessor": "logd_client.structlogprocessor",
    "XMLRPCConnectionException": "logd_client.xmlrpc",
    "XMLRPCLogException": "logd_client.xmlrpc",
    "XMLRPCServerException": "logd_client.xmlrpc",
    "bind": "logd_client.bound",
    "createClientLog": "logd_client.socketclient",
}
"""Few programs want all of them, and the daemon only wants to know the protocol."""


def __getattr__(name: str) -> Any:
    """The names of modules that are imported late."""
    if name in _MODULES:
        import importlib

        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
