"""Reads the XML of XML-RPC calls as bytes that an enemy may have written. No I/O.

The standard library's reader leaves it to the installed version of expat what a few lines of
entity definitions may expand to. Calls need neither document types nor entities, so both are
refused here before they do anything, and so are deep and crowded documents.
"""

from __future__ import annotations

import xmlrpc.client
from typing import Any
from xml.parsers import expat

from logd.errors import LogdError

__all__ = ["RequestError", "parse_call"]

MAX_DEPTH = 32
"""Elements within elements; a call of `log` has 6."""

MAX_ELEMENTS = 1_000
"""Elements in all; a call of `log` has 7."""


class RequestError(LogdError):
    """These bytes are no XML-RPC call, or one that is not taken."""


def parse_call(data: bytes) -> tuple[str, tuple[Any, ...]]:
    """The method and the parameters of a call; binary parameters are `bytes`.

    Raises:
        RequestError: whatever is wrong with `data`.
    """
    call = xmlrpc.client.Unmarshaller(use_builtin_types=True)
    reader = _Reader(call)
    try:
        reader.read(data)
        parameters = call.close()
    except RequestError:
        raise
    except Exception as exc:
        # The library's code for values raises this and that for what it does not expect.
        raise RequestError(f"not an XML-RPC call: {type(exc).__name__}: {exc}") from exc
    method = call.getmethodname()
    if not method:
        raise RequestError("not an XML-RPC call: no method name")
    return method, tuple(parameters)


class _Reader:
    """Gives the elements of a document to an unmarshaller, within the limits."""

    def __init__(self, call: xmlrpc.client.Unmarshaller) -> None:
        self._call = call
        call.xml(None, None)  # type: ignore[arg-type]  # expat gives str: nothing is to be decoded
        self._depth = 0
        self._elements = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = call.data
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def read(self, data: bytes) -> None:
        self._parser.Parse(data, True)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH:
            raise RequestError(f"elements nested deeper than {MAX_DEPTH}")
        if self._elements > MAX_ELEMENTS:
            raise RequestError(f"more than {MAX_ELEMENTS:,} elements")
        self._call.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._call.end(tag)

    def _refuse(self, *_: object) -> None:
        raise RequestError("document types and entities are not taken")
