"""What tests say about the clients that the fixture `connect` makes for them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from logd_client.log import Log

Connect = Callable[..., Log]
"""Makes a log to a port of this machine; keyword arguments are those of `createClientLog`."""


@contextmanager
def logging_on(log: Log, text: str) -> Iterator[list[int]]:
    """Log `text` and a number as fast as it goes, in a thread, until the end of the context.

    Yields:
        The numbers that were logged so far, from 0 on.
    """
    sent: list[int] = []
    must_stop = threading.Event()

    def send() -> None:
        for number in itertools.takewhile(lambda _: not must_stop.is_set(), itertools.count()):
            log(f"{text} {number}")
            sent.append(number)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield sent
    finally:
        must_stop.set()
        sender.join()
