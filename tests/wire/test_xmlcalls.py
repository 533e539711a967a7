"""Calls are read from XML whatever an enemy wrote into it."""

from __future__ import annotations

import time
import xmlrpc.client

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.wire.xmlcalls import MAX_DEPTH, MAX_ELEMENTS, RequestError, parse_call


@pytest.mark.parametrize(
    "parameters",
    [(), ("text",), (b"\x00\xff",), (1, 2.5, True, None), ([1, "a"], {"key": {"n": 1}})],
)
def test_calls(parameters):
    """What the standard library's client sends is understood."""
    sent = tuple(xmlrpc.client.Binary(p) if isinstance(p, bytes) else p for p in parameters)
    data = xmlrpc.client.dumps(sent, "log", allow_none=True).encode()
    assert parse_call(data) == ("log", parameters)


def call(value: str) -> bytes:
    """A call with one parameter."""
    return (
        "<methodCall><methodName>log</methodName><params><param>"
        f"<value>{value}</value></param></params></methodCall>"
    ).encode()


def bomb(definitions: str, use: str) -> bytes:
    """A call whose text is made of entities."""
    return f"<?xml version='1.0'?><!DOCTYPE x [{definitions}]>".encode() + call(use)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(12))


@pytest.mark.parametrize(
    "data",
    [
        bomb(LAUGHS, "&l11;"),
        bomb(f'<!ENTITY a "{"a" * 100_000}">', "&a;" * 10_000),
        bomb('<!ENTITY a SYSTEM "file:///etc/passwd">', "&a;"),
        bomb('<!ENTITY % a SYSTEM "http://127.0.0.1/x"> %a;', ""),
        b"<!DOCTYPE x><methodCall></methodCall>",
        b"<a>" * (MAX_DEPTH + 1),
        b"<a>" + b"<b/>" * MAX_ELEMENTS,
        b"",
        b"\0",
        b"<methodCall>",
        b"<methodCall></methodCall>",
        b"<methodCall><methodName></methodName></methodCall>",
        b"<methodResponse><params></params></methodResponse>",
        call("<int>x</int>"),
        call(f"<int>{'9' * 100_000}</int>"),
        call("<unknown>x</unknown>"),
        call("<int>1</int>").replace(b"log", b""),
        b"<?xml version='1.0' encoding='utf-7'?><methodCall></methodCall>",
    ],
    ids=lambda data: repr(data[:40]),
)
def test_refused(data):
    """Bombs, outside entities and nonsense are refused at once."""
    start = time.process_time()
    with pytest.raises(RequestError):
        parse_call(data)
    assert time.process_time() - start < 5


def test_limits():
    """Just within the limits a call is read."""
    deep = "<value><array><data>" * 9 + "</data></array></value>" * 9
    data = (
        f"<methodCall><methodName>m</methodName><params><param>{deep}</param></params></methodCall>"
    )
    assert parse_call(data.encode())[0] == "m"
    params = "<param><value>x</value></param>" * ((MAX_ELEMENTS - 3) // 2)
    data = f"<methodCall><methodName>m</methodName><params>{params}</params></methodCall>"
    assert len(parse_call(data.encode())[1]) == (MAX_ELEMENTS - 3) // 2


_TAGS = st.sampled_from(
    (
        *("methodCall", "methodName", "params", "param", "value", "int", "string", "base64"),
        *("array", "data", "struct", "member", "name", "dateTime.iso8601", "double", "nil"),
        *("boolean", "fault", "bigdecimal"),
    )
)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.one_of(_TAGS.map("<{}>".format), _TAGS.map("</{}>".format), st.text(max_size=5)),
            max_size=30,
        ).map(lambda parts: "".join(parts).encode("utf-8", "replace")),
        st.recursive(
            st.text(alphabet="ab1", max_size=3),
            lambda inner: st.tuples(_TAGS, st.lists(inner, max_size=3)).map(
                lambda pair: f"<{pair[0]}>{''.join(pair[1])}</{pair[0]}>"
            ),
            max_leaves=15,
        ).map(str.encode),
    )
)
def test_any_bytes(data):
    """Any bytes are a call or the documented error."""
    try:
        method, parameters = parse_call(data)
    except RequestError:
        return
    assert method
    assert isinstance(parameters, tuple)
