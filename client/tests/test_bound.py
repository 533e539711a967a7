"""Items of the context: what `bind` gives, the asyncio task, the trace of OpenTelemetry."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
from collections.abc import Generator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ack_server import AckServer

from logd_client import Log, LogdHandler, LogServerProxy, bind
from logd_client.bound import PROBES

LOOPBACK = "127.0.0.1"


@pytest.fixture
def proxy(server: AckServer) -> Iterator[LogServerProxy]:
    """A proxy of the server."""
    made = LogServerProxy(LOOPBACK, server.port)
    yield made
    made.close()


@pytest.fixture
def logger(proxy: LogServerProxy) -> Iterator[logging.Logger]:
    """A logger with a handler to the server."""
    made = logging.getLogger("bound")
    made.propagate = False
    made.setLevel(1)
    handler = LogdHandler(server=proxy)
    made.addHandler(handler)
    yield made
    made.removeHandler(handler)
    handler.close()


def items(proxy: LogServerProxy, server: AckServer) -> list[dict[str, Any]]:
    """The special items of all records, but the name of the logger."""
    assert proxy.flush(60)
    return [
        {key: value for key, value in record[4].items() if key != "logger"}
        for record in server.records
    ]


def test_records_within_have_what_is_bound(
    logger: logging.Logger, proxy: LogServerProxy, server: AckServer
) -> None:
    """Records of `logging` and of `Log` have bound items; inner ones and own ones go before."""
    log = Log(proxy)
    with bind(request_id="r-1", n=1):
        logger.info("m")
        with bind(n=2, user="ann"):
            logger.info("m", extra={"user": "bob"})
            log("m")
            log("m", special={"n": 3})
            log.submit("m")
        logger.info("m")
    logger.info("m")
    outer = {"request_id": "r-1", "n": 1}
    inner = {"request_id": "r-1", "n": 2, "user": "ann"}
    assert items(proxy, server) == [
        outer,
        {**inner, "user": "bob"},
        inner,
        {**inner, "n": 3},
        inner,
        outer,
        {},
    ]


def test_sticked_items_go_before_bound_ones(proxy: LogServerProxy, server: AckServer) -> None:
    """Of one key, what is given to the call counts first, then sticked items, then bound ones."""
    log = Log(proxy)
    log.set_sticked_items({"a": "sticked", "b": "sticked"})
    with bind(a="bound", b="bound", c="bound"):
        log("m", special={"a": "own"})
    assert items(proxy, server) == [{"a": "own", "b": "sticked", "c": "bound"}]


def test_a_server_in_the_same_process_gets_them() -> None:
    """A `Log` to a server that is no proxy gives it the bound items as well."""
    jobs: list[Any] = []
    log = Log(SimpleNamespace(addClient=lambda: 1, log=jobs.append))
    with bind(a=1):
        log("m", special={"b": 2})
    assert jobs[0][-1] == {"a": 1, "b": 2}


def test_one_binding_may_be_used_again_and_within_itself(
    logger: logging.Logger, proxy: LogServerProxy, server: AckServer
) -> None:
    """The same object may be entered any number of times."""
    job = bind(job=5)
    with job:
        with job:
            logger.info("m")
        logger.info("m")
    with job:
        logger.info("m")
    logger.info("m")
    assert items(proxy, server) == [{"job": 5}] * 3 + [{}]


def test_tasks_inherit_and_threads_begin_anew(
    logger: logging.Logger, proxy: LogServerProxy, server: AckServer
) -> None:
    """Tasks have what was bound where they were made, and their own; a thread has nothing."""

    async def child(n: int) -> None:
        with bind(n=n):
            await asyncio.sleep(0)
            logger.info("child %d", n)

    async def parent() -> None:
        with bind(request="r"):
            await asyncio.gather(child(1), child(2))
            await asyncio.to_thread(logger.info, "by to_thread")
            thread = threading.Thread(target=logger.info, args=("in a thread",))
            thread.start()
            thread.join()
            copied = contextvars.copy_context()
            thread = threading.Thread(target=copied.run, args=(logger.info, "in a copy"))
            thread.start()
            thread.join()

    asyncio.run(parent())
    bound = [{k: v for k, v in one.items() if k != "task"} for one in items(proxy, server)]
    assert bound == [
        {"request": "r", "n": 1},
        {"request": "r", "n": 2},
        {"request": "r"},
        {},
        {"request": "r"},
    ]


def test_a_block_that_ends_in_another_context_harms_nobody(
    logger: logging.Logger, proxy: LogServerProxy, server: AckServer
) -> None:
    """A generator that a framework closes from elsewhere raises nothing and unbinds nothing."""

    def request() -> Generator[None, None, None]:
        with bind(request="r"):
            yield

    def begin() -> Generator[None, None, None]:
        made = request()
        next(made)
        return made

    began = contextvars.copy_context().run(begin)
    with bind(other=1):
        began.close()
        logger.info("m")
    assert items(proxy, server) == [{"other": 1}]


def test_records_of_a_task_have_its_name(
    logger: logging.Logger, proxy: LogServerProxy, server: AckServer
) -> None:
    """The item `task` is the name of the asyncio task; elsewhere there is none."""

    async def work() -> None:
        logger.info("m")
        with bind(n=1):
            logger.info("m", extra={"x": 2})
        Log(proxy)("m")
        asyncio.get_running_loop().call_soon(logger.info, "in a callback")
        await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.create_task(work(), name="worker")

    asyncio.run(main())
    logger.info("m")
    assert items(proxy, server) == [
        {"task": "worker"},
        {"task": "worker", "n": 1, "x": 2},
        {"task": "worker"},
        {},
        {},
    ]


def test_they_can_be_switched_off(server: AckServer) -> None:
    """With `context_items=False` there is no item `task`; what is bound stays."""
    handler = LogdHandler(LOOPBACK, server.port, context_items=False)

    async def main() -> None:
        with bind(n=1):
            handler.handle(logging.makeLogRecord({"name": "root", "msg": "m", "levelno": 20}))

    asyncio.run(main())
    assert handler.flush(60)
    assert server.records[0][4] == {"n": 1}
    handler.close()


class Trace(SimpleNamespace):
    """Stands for the module `opentelemetry.trace`; the real one is tried with the servers."""

    def __init__(self, trace_id: int, span_id: int) -> None:
        context = SimpleNamespace(trace_id=trace_id, span_id=span_id)
        span = SimpleNamespace(get_span_context=lambda: context)
        super().__init__(get_current_span=lambda: span)


def test_records_of_a_span_have_its_ids(
    logger: logging.Logger,
    proxy: LogServerProxy,
    server: AckServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A span of OpenTelemetry gives items in the form that its exporters write; no span, none."""
    monkeypatch.setattr(PROBES, "seen", -1)  # other tests may have taken modules away
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", Trace(0xABC, 0xDEF))
    logger.info("m")
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    logger.info("m")
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", Trace(0, 0))
    logger.info("m")
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    logger.info("m")
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", SimpleNamespace(get_current_span=None))
    logger.info("m")
    ids = {"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}"}
    assert items(proxy, server) == [ids, {}, {}, {}, {}]
