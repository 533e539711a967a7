"""logd: a log daemon for Python teams.

The names below are those of the reference's `rrlog.server`. Writers, their create... functions
and ways to start a server are in modules of their own: `logd.filewriter`, `logd.dbwriter_sa`,
`logd.printwriter`, `logd.socketserver`, `logd.xmlrpc`.
"""

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
