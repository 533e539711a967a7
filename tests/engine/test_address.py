"""The URL of an engine: what it says, what it leaves to defaults, what it may not be."""

from __future__ import annotations

import pytest

from logd.engine.address import WrongAddress, parse


def test_defaults() -> None:
    """One server is enough; all else has a value."""
    found = parse("nats://n1", reads=False)
    assert found.servers == ["n1:4222"]
    assert found.monitors == ["http://n1:8222"]
    assert (found.stream, found.replicas, found.max_bytes) == ("LOGD", 3, 8 << 30)
    assert list(found.partitions) == list(range(16))
    assert (found.stream_of(3), found.subject_of(3)) == ("LOGD_3", "LOGD.3")
    assert (found.user, found.password, found.tls) == (None, None, False)


def test_all_that_it_may_say() -> None:
    """Servers, login and options; what is shown has no password."""
    found = parse(
        "tls://ann:s%40cret@n1:4223,[::1],n3?stream=SHOP&partitions=0-3,8&replicas=1"
        "&max_bytes=64MiB&group=late&monitor=9000&creds=/k.creds&tls_ca=/ca.pem",
        reads=True,
    )
    assert found.servers == ["n1:4223", "[::1]:4222", "n3:4222"]
    assert found.monitors == ["http://n1:9000", "http://[::1]:9000", "http://n3:9000"]
    assert (found.user, found.password) == ("ann", "s@cret")
    assert found.partitions == [0, 1, 2, 3, 8]
    assert (found.stream, found.replicas, found.max_bytes) == ("SHOP", 1, 64 << 20)
    assert (found.group, found.creds, found.tls, found.tls_ca) == (
        *("late", "/k.creds", True, "/ca.pem"),
    )
    assert found.shown == "SHOP on n1:4223,[::1]:4222,n3:4222"


def test_monitoring_may_be_elsewhere() -> None:
    """URLs name it, one for each server or not."""
    found = parse("nats://n1,n2?monitor=http://m1:1/,https://m2:2", reads=False)
    assert found.monitors == ["http://m1:1", "https://m2:2"]


@pytest.mark.parametrize(
    ("url", "reads", "expected"),
    [
        ("n1", False, "expected a URL"),
        ("http://n1", False, "expected a URL"),
        ("nats://", False, "is no server"),
        ("nats://n1:99999", False, "is no server"),
        ("nats://n1, n2", False, "is no server"),
        ("nats://n1?partitions=0", False, "from 1 to 256"),
        ("nats://n1?partitions=257", False, "from 1 to 256"),
        ("nats://n1?partitions=0-7", False, "from 1 to 256"),
        ("nats://n1?partitions=7-0", True, "numbers such as"),
        ("nats://n1?partitions=0-256", True, "numbers such as"),
        ("nats://n1?replicas=6", False, "from 1 to 5"),
        ("nats://n1?stream=a.b", False, "letters, digits"),
        ("nats://n1?max_bytes=1KiB", False, "at least 1MiB"),
        ("nats://n1?max_bytes=much", False, "max_bytes: "),
        ("nats://n1?steam=A", False, "did you mean stream?"),
        ("nats://n1?stream=A&stream=B", False, "there twice"),
        ("nats://n1?stream=", False, "or empty"),
        ("nats://n1?monitor=n1", False, "expected a port, or URLs"),
        ("nats://n1?tls_cert=/c.pem", False, "go together"),
    ],
)
def test_what_it_may_not_be(url: str, reads: bool, expected: str) -> None:
    """Each is refused by a text that says what is expected."""
    with pytest.raises(WrongAddress, match=None) as caught:
        parse(url, reads=reads)
    assert expected in str(caught.value)
