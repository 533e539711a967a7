"""logd: a log daemon for Python teams.

The names below are those of the reference's `rrlog.server`. Writers, their create... functions
and ways to start a server are in modules of their own: `logd.filewriter`, `logd.dbwriter_sa`,
`logd.printwriter`, `logd.socketserver`, `logd.xmlrpc`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.lazily import lazy_names

if TYPE_CHECKING:
    from logd.records.job import MsgJob
    from logd.rotation.writers import RotateLogWriter, RotateWriterFactory
    from logd.server import ColumnConfigurationMismatch, LogServer, ObserverAlreadyAdded

__version__ = "1.0.0"

__all__ = [
    "ColumnConfigurationMismatch",
    "LogServer",
    "MsgJob",
    "ObserverAlreadyAdded",
    "RotateLogWriter",
    "RotateWriterFactory",
    "__version__",
]

_MODULES = {
    "ColumnConfigurationMismatch": "logd.server",
    "LogServer": "logd.server",
    "MsgJob": "logd.records.job",
    "ObserverAlreadyAdded": "logd.server",
    "RotateLogWriter": "logd.rotation.writers",
    "RotateWriterFactory": "logd.rotation.writers",
}
"""The commands need few of these, and people wait for commands to start."""

__getattr__ = lazy_names(__name__, _MODULES)
