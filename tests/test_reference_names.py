"""The documented API of the reference, written out by hand, beside what the modules really have.

Each row is a module, a name in it and the documented parameters. What is there may have more
parameters behind the documented ones, but only such as need not be given.
"""

import importlib
import inspect
import time
from collections.abc import Mapping
from typing import Any

import pytest

_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

ANY: Any = object()
"""Stands for a default that the document shows only in part."""

SIGNATURES = [
    # -- server-api.txt, "server Package"
    (
        "logd",
        "LogServer",
        "writer, filters=None, observers=None, cfnMode=1, tsFormat=None, jobhistSize=100",
    ),
    ("logd", "LogServer._timeStr", "self, dt"),
    ("logd", "LogServer.addClient", "self"),
    ("logd", "LogServer.addObserver", "self, observer"),
    ("logd", "LogServer.format_fname", "self, name"),
    ("logd", "LogServer.log", "self, jobdata"),
    ("logd", "LogServer.logJob", "self, job"),
    ("logd", "LogServer.pathAsStr", "self, path, imin=0"),
    (
        "logd",
        "MsgJob",
        "msgid, pid, tid, threadname, ts, msg, cat, path, tblen, cfunc, special, formatter",
    ),
    ("logd", "MsgJob.cfn", "self"),
    ("logd", "MsgJob.cln", "self"),
    ("logd", "MsgJob.copy_update", "self, kwargs"),
    ("logd", "MsgJob.getFormattedDict", "self"),
    ("logd", "MsgJob.pathStr", "self, imin=0"),
    ("logd", "RotateLogWriter", "getNextWriter, rotateLineMin"),
    ("logd", "RotateLogWriter._rotate", "self"),
    ("logd", "RotateLogWriter.writeNow", "self, logrecord"),
    ("logd", "RotateWriterFactory", "configs, writerFactory"),
    ("logd", "RotateWriterFactory.nextWriter", "self, history"),
    # -- "dbwriter_sa Module"
    ("logd.dbwriter_sa", "DBConfig", "engineStr, tablename, drop=True, cols=None"),
    ("logd.dbwriter_sa", "DBLogWriter", "config, format_dict=None"),
    ("logd.dbwriter_sa", "DBLogWriter._format_dict", "self, job"),
    ("logd.dbwriter_sa", "DBLogWriter.close", "self"),
    ("logd.dbwriter_sa", "DBLogWriter.createColumns", "colsConfig"),
    ("logd.dbwriter_sa", "DBLogWriter.estimateLineCount", "self"),
    ("logd.dbwriter_sa", "DBLogWriter.getTable", "self"),
    ("logd.dbwriter_sa", "DBLogWriter.writeNow", "self, job"),
    (
        "logd.dbwriter_sa",
        "createLocalLog",
        (
            "engineStr, rotateCount, rotateLineMin, traceOffset=0, tableNamePattern='log_%s', "
            "filters=None, observers=None, tsFormat='std1', stackMax=5, drop=True, "
            "catsEnable=None, catsDisable=None, seFilesExclude=None, name=None, cols=None, "
            "extractStack=True"
        ),
    ),
    (
        "logd.dbwriter_sa",
        "createRotatingServer",
        (
            "engineStr, rotateCount, rotateLineMin, tableNamePattern='log_%s', tsFormat=None, "
            "filters=None, observers=None, logwriterFactory=None, drop=True, cols=None, "
            "format_dict=None"
        ),
    ),
    ("logd.dbwriter_sa", "default_format_dict", "job"),
    # -- "filewriter Module"
    ("logd.filewriter", "FileClosedEvent", "filePath, lineCount"),
    ("logd.filewriter", "FileConfig", "filepath, drop=True, lazy=True"),
    ("logd.filewriter", "FileLogWriter", "config, format_line=None, fileClosed=None"),
    ("logd.filewriter", "FileLogWriter._createFile", "self"),
    ("logd.filewriter", "FileLogWriter.close", "self"),
    ("logd.filewriter", "FileLogWriter.writeNow", "self, job"),
    (
        "logd.filewriter",
        "createLocalLog",
        (
            "filePathPattern, rotateCount, rotateLineMin, filters=None, observers=None, "
            "traceOffset=0, tsFormat='std1', stackMax=5, drop=True, catsEnable=None, "
            "catsDisable=None, seFilesExclude=None, format_line=None, name=None, "
            "extractStack=True, fileClosed=None"
        ),
    ),
    (
        "logd.filewriter",
        "createRotatingServer",
        (
            "filePathPattern, rotateCount, rotateLineMin, tsFormat='std1', filters=None, "
            "observers=None, logwriterFactory=None, drop=True, format_line=None, fileClosed=None"
        ),
    ),
    # -- "printwriter Module"
    ("logd.printwriter", "PrintLogWriter", "writeMsgid=False, format_line=None"),
    ("logd.printwriter", "PrintLogWriter._format_line", "self, job"),
    ("logd.printwriter", "PrintLogWriter.close", "self"),
    ("logd.printwriter", "PrintLogWriter.writeNow", "self, job"),
    (
        "logd.printwriter",
        "createLocalLog",
        (
            "writer=None, filters=None, observers=None, traceOffset=0, tsFormat=None, "
            "writeMsgid=False, stackMax=1, catsEnable=None, catsDisable=None, seFilesExclude=None, "
            "format_line=None, name=None, extractStack=True"
        ),
    ),
    (
        "logd.printwriter",
        "createServer",
        (
            "writer=None, tsFormat=None, filters=None, observers=None, writeMsgid=False, "
            "format_line=None"
        ),
    ),
    # -- "socketserver Module"
    ("logd.socketserver", "LogRecordSocketReceiver", "host, ports, handler=ANY"),
    ("logd.socketserver", "LogRecordSocketReceiver.serve_until_stopped", "self"),
    ("logd.socketserver", "LogRecordStreamHandler", "request, client_address, server"),
    ("logd.socketserver", "LogRecordStreamHandler.handle", "self"),
    ("logd.socketserver", "_i_am_orphan", ""),
    ("logd.socketserver", "processq", ""),
    ("logd.socketserver", "startServer", "logServer, host='localhost', ports=(9801,)"),
    # -- "textwriter Module"
    ("logd.textwriter", "Formatter", "fmt=None, datefmt=None"),
    ("logd.textwriter", "Formatter.__call__", "self, job, lineCount"),
    ("logd.textwriter", "TextlineLogWriter", "format_line=None"),
    ("logd.textwriter", "TextlineLogWriter.cfn_cln", "self, job"),
    ("logd.textwriter", "TextlineLogWriter.estimateLineCount", "self"),
    ("logd.textwriter", "tm_structconverter", "secs, to_structtime=time.localtime"),
    # -- "xmlrpc Module"
    ("logd.xmlrpc", "LogAdapter", "logServer"),
    ("logd.xmlrpc", "LogAdapter.addClient", "self"),
    ("logd.xmlrpc", "LogAdapter.log", "self, logdata_ps"),
    ("logd.xmlrpc", "createSimpleXMLRPCServer", "host, ports"),
    (
        "logd.xmlrpc",
        "startServer",
        "logServer, host='localhost', ports=(9804,), readyMsg=True",
    ),
    # -- client-api.md, "Log"
    (
        "logd_client",
        "Log",
        (
            "server, traceOffset=0, msgCountLimit=1000000, stackMax=1, errorHandler=None, "
            "catsEnable=None, catsDisable=None, seFilesExclude=None, name=None, extractStack=True"
        ),
    ),
    (
        "logd_client",
        "Log.__call__",
        "self, message, cat='', special=None, traceDepth=1, **kwargs",
    ),
    ("logd_client", "Log.set_sticked_items", "self, d"),
    ("logd_client", "Log.on", "self"),
    ("logd_client", "Log.off", "self"),
    ("logd_client", "Log.logging23_handler", "self"),
    # -- "Clients"
    (
        "logd_client.socketclient",
        "createClientLog",
        (
            "host='localhost', ports=(9801,), errorHandler=None, traceOffset=0, stackMax=5, "
            "extractStack=True, seFilesExclude=None"
        ),
    ),
    (
        "logd_client.xmlrpc",
        "createClientLog",
        (
            "host='localhost', ports=(9804,), errorHandler=None, traceOffset=0, stackMax=5, "
            "extractStack=True, seFilesExclude=None"
        ),
    ),
    # -- "contrib"
    ("logd.contrib.stackindent", "StackIndentFilter", "token=' ', msgPrefix=None"),
    ("logd.contrib.stackindent", "createPrintIndentLog", "token='  '"),
    (
        "logd.observers.mailnotifier",
        "mailnotifier",
        "mailer, rules, format_line=None, spooler_autostop=True, spooler_sleepsecs=10",
    ),
    ("logd.observers.mailnotifier", "CatRule", "cats, max_delay_secs=0"),
    (
        "logd.observers.mailnotifier",
        "SMTPMailer",
        (
            "server, serverpw, to_address, from_address, subject='Log Digest', loginuser=None, "
            "charset=ANY"
        ),
    ),
    ("logd.observers.mailnotifier", "stop_all", ""),
    ("logd.contrib.richlog", "RichLog1", "log"),
    ("logd.contrib.richlog", "RichLog1.trace", "self, message, use_ex=False"),
    ("logd.contrib.richlog", "RichLog1.dict", "self, d, message"),
]

VALUES = [
    ("logd", "LogServer.CAT_INTERNALERROR", "I"),
    ("logd", "LogServer.CFN_FULL", 2),
    ("logd", "LogServer.CFN_SHORT", 1),
    ("logd.socketserver", "LogRecordSocketReceiver.allow_reuse_address", 1),
    (
        "logd_client.logging23",
        "LEVELMAP",
        {50: "C", 40: "E", 30: "W", 20: "I", 10: "D", 0: ""},
    ),
]

SUBCLASSES = [
    ("logd", "ColumnConfigurationMismatch", "builtins", "Exception"),
    ("logd", "ObserverAlreadyAdded", "builtins", "Exception"),
    ("logd.dbwriter_sa", "DBConfig", "logd.dbwriter_sa", "_Coltypes"),
    ("logd.dbwriter_sa", "DBConfig.Integer", "sqlalchemy", "Integer"),
    ("logd.dbwriter_sa", "DBConfig.String", "sqlalchemy", "String"),
    ("logd.dbwriter_sa", "LOGWRITER_CLASS", "logd.dbwriter_sa", "DBLogWriter"),
    ("logd.filewriter", "FileLogWriter", "logd.textwriter", "TextlineLogWriter"),
    ("logd.filewriter", "LOGWRITER_CLASS", "logd.filewriter", "FileLogWriter"),
    ("logd.printwriter", "PrintLogWriter", "logd.textwriter", "TextlineLogWriter"),
    ("logd.printwriter", "LOGWRITER_CLASS", "logd.printwriter", "PrintLogWriter"),
    ("logd_client.xmlrpc", "XMLRPCLogException", "builtins", "Exception"),
    (
        "logd_client.xmlrpc",
        "XMLRPCConnectionException",
        "logd_client.xmlrpc",
        "XMLRPCLogException",
    ),
    ("logd_client.xmlrpc", "XMLRPCServerException", "logd_client.xmlrpc", "XMLRPCLogException"),
]

PRESENT = [
    ("logd.dbwriter_sa", "DBConfig.COLS_DEFAULT"),
    ("logd.printwriter", "print_"),
    ("logd.socketserver", "jobdataq"),
    ("logd.socketserver", "processq_stop"),
    ("logd_client.logging23", "seFilesExclude"),
]

# Names beside the documented ones that programs rely on.
BESIDE = [
    ("logd.contrib.mail", "CatBuffer"),
    ("logd.contrib.mail", "now"),
    ("logd.contrib.mail", "timedelta"),
    ("logd.filewriter", "open_"),
]


def find(module: str, name: str) -> Any:
    """What a dotted name in a module stands for."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = (
            inspect.getattr_static(found, part) if inspect.isclass(found) else getattr(found, part)
        )
        if isinstance(found, staticmethod):
            found = found.__func__
    return found


def documented(parameters: str) -> Mapping[str, inspect.Parameter]:
    """The parameters as Python understands them."""
    function = eval(f"lambda {parameters}: None", {"ANY": ANY, "time": time})
    return inspect.signature(function).parameters


def is_positional(one: inspect.Parameter) -> bool:
    """Whether a parameter is an ordinary one, neither keyword-only nor collecting others."""
    return one.kind is one.POSITIONAL_OR_KEYWORD


@pytest.mark.parametrize(
    ("module", "name", "parameters"), SIGNATURES, ids=lambda value: str(value)[:60]
)
def test_parameters(module: str, name: str, parameters: str) -> None:
    """Each documented callable has the documented parameters, in order, with their defaults."""
    wanted = documented(parameters)
    real = dict(inspect.signature(find(module, name)).parameters)
    for place, one in enumerate(filter(is_positional, wanted.values())):
        got = list(real.values())[place]
        assert (got.name, got.kind) == (one.name, one.kind)
        if one.default is ANY:
            assert got.default is not got.empty
        else:
            assert got.default == one.default, one.name
    for got in real.values():
        if got.name not in wanted:
            may_be_left_out = got.default is not got.empty or got.kind in _COLLECTING
            assert may_be_left_out, f"{got} has to be given"
    kinds = {got.kind for got in real.values()}
    assert all(one.kind in kinds for one in wanted.values())


@pytest.mark.parametrize(("module", "name", "value"), VALUES)
def test_values(module: str, name: str, value: object) -> None:
    """Each documented constant has its value."""
    assert find(module, name) == value


@pytest.mark.parametrize(("module", "name", "base_module", "base"), SUBCLASSES)
def test_bases(module: str, name: str, base_module: str, base: str) -> None:
    """Each class and alias is what the document says it is."""
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert inspect.isclass(found)
    assert issubclass(found, getattr(importlib.import_module(base_module), base))


@pytest.mark.parametrize(("module", "name"), [*PRESENT, *BESIDE])
def test_presence(module: str, name: str) -> None:
    """What the document names without more detail, and what stands beside it, is there."""
    find(module, name)


def test_database_columns() -> None:
    """DBConfig.COLS_DEFAULT has the documented columns, types and lengths."""
    columns = find("logd.dbwriter_sa", "DBConfig.COLS_DEFAULT")
    shown = [
        (name, f"String({kind.length})" if hasattr(kind, "length") else kind.__name__)
        for name, kind, *_ in columns
    ]
    assert shown == [
        ("pid", "Integer"),
        ("threadname", "String(32)"),
        ("msgid", "Integer"),
        ("ts", "String(32)"),
        ("cat", "String(1)"),
        ("msg", "String(512)"),
        ("cfunc", "String(32)"),
        ("cfn", "String(32)"),
        ("cln", "Integer"),
        ("path", "String(512)"),
    ]


def test_create_columns_is_static() -> None:
    """DBLogWriter.createColumns is a static method."""
    writer = find("logd.dbwriter_sa", "DBLogWriter")
    assert isinstance(inspect.getattr_static(writer, "createColumns"), staticmethod)


def test_everything_is_counted() -> None:
    """The table has as many names and parameters as the documents."""
    names = {(module, name) for module, name, *_ in [*SIGNATURES, *VALUES, *SUBCLASSES, *PRESENT]}
    parameters = sum(
        len([one for one in documented(row[2]) if one != "self"]) for row in SIGNATURES
    )
    assert (len(names), parameters) == (99, 205)
