"""A digest knows when it is due, what fits into it and what it had to leave out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.observers.digest import Digest

NOON = 1_795_000_000.0


@pytest.fixture
def make_digest():
    """Makes digests with wide limits."""

    def make(**changes):
        limits = {"max_bytes": 1_000, "max_mails_per_hour": 100, "interval_s": 10.0}
        return Digest(**{**limits, **changes})

    return make


def test_empty(make_digest):
    """Without messages no mail is ever due."""
    digest = make_digest()
    assert digest.due_at() == math.inf
    assert len(digest) == 0


def test_most_urgent_message_decides(make_digest):
    """The mail is due when its most urgent message is, and holds all messages in order."""
    digest = make_digest()
    digest.add("a", "W", NOON, wanted_at=3_600.0)
    assert digest.due_at() == 3_600.0
    digest.add("b\n  | c", "E", NOON, wanted_at=5.0)
    assert digest.due_at() == 5.0
    digest.add("d", "W", NOON, wanted_at=3_700.0)
    assert digest.due_at() == 5.0
    assert len(digest) == 3
    assert digest.take(5.0) == "a\nb\n  | c\nd\n"
    assert digest.due_at() == math.inf


def test_interval(make_digest):
    """After a mail the next one waits for the interval, however urgent."""
    digest = make_digest()
    digest.add("a", "E", NOON, wanted_at=0.0)
    digest.take(100.0)
    digest.add("b", "E", NOON, wanted_at=101.0)
    assert digest.due_at() == 110.0
    digest.add("c", "E", NOON, wanted_at=90.0)
    assert digest.due_at() == 110.0


def test_mails_per_hour(make_digest):
    """When the mails of an hour are used up the next leaves an hour after the first of them."""
    digest = make_digest(max_mails_per_hour=3)
    for now in (0.0, 100.0, 200.0):
        digest.add("a", "E", NOON, wanted_at=now)
        assert digest.due_at() == now
        digest.take(now)
    digest.add("a", "E", NOON, wanted_at=300.0)
    assert digest.due_at() == 3_600.0
    digest.take(3_600.0)
    digest.add("a", "E", NOON, wanted_at=3_650.0)
    assert digest.due_at() == 3_700.0


def test_size(make_digest):
    """What does not fit is counted by category, with the time from the first to the last."""
    digest = make_digest(max_bytes=20)
    for number in range(1_500):
        digest.add(f"message {number % 10}", "E" if number % 3 else "", NOON + number, 0.0)
    assert len(digest) == 1_500
    text = digest.take(0.0)
    kept, _, rest = text.partition("\n\n")
    assert kept == "message 0\nmessage 1"
    assert rest.startswith("1,498 more messages were left out (E 999, no category 499), logged")
    assert "20 bytes" in rest
    assert rest.count("2026-11-18T") == 2
    digest.add("message", "E", NOON, 0.0)
    assert digest.take(0.0) == "message\n"


def test_nothing_slips_in_between(make_digest):
    """After the first message left out nothing else is kept: the mail ends where it says."""
    digest = make_digest(max_bytes=10)
    for line in ("12345", "1234567890", "1"):
        digest.add(line, "E", NOON, 0.0)
    assert digest.take(0.0).startswith("12345\n\n2 more messages")


def test_one_message_longer_than_a_mail(make_digest):
    """Of a message longer than a mail the beginning is kept, cut between characters."""
    digest = make_digest(max_bytes=5)
    digest.add("ää" + "x" * 1_000, "E", NOON, 0.0)
    digest.add("y", "W", NOON, 0.0)
    text = digest.take(0.0)
    assert text.startswith(
        "ääx... (999 characters left out)\n\n1 more messages were left out (W 1)"
    )


def test_many_categories(make_digest):
    """Categories without end, or unprintable ones, do not make the summary long."""
    digest = make_digest(max_bytes=1)
    for number in range(1_000):
        digest.add("long", f"\n{number}" * 100, NOON, 0.0)
    text = digest.take(0.0)
    assert len(text) < 2_000
    assert "others 979" in text
    assert text.count("\n") == 3


def test_notes(make_digest):
    """Remarks stand at the end of the next mail; the last ten are kept."""
    digest = make_digest()
    for number in range(12):
        digest.add_note(f"remark {number}")
    assert digest.due_at() == math.inf
    digest.add("a", "E", NOON, 0.0)
    text = digest.take(0.0)
    assert text == "a\n\n" + "".join(f"remark {number}\n" for number in range(2, 12))
    digest.add("b", "E", NOON, 0.0)
    assert digest.take(0.0) == "b\n"


@given(st.lists(st.tuples(st.text(max_size=30), st.sampled_from(["E", "W", ""]))))
def test_bounded_and_complete(messages):
    """Whatever comes, each message is in the mail or counted, and the text is bounded."""
    digest = Digest(max_bytes=100, max_mails_per_hour=1, interval_s=0.0)
    for line, cat in messages:
        digest.add(line, cat, NOON, 0.0)
    assert len(digest) == len(messages)
    kept, left_out = len(digest._lines), digest._left_out.total()
    assert kept + left_out == len(messages)
    assert len(digest.take(0.0).encode("utf-8", "replace")) < 100 + 400


def test_limits_are_checked():
    """Limits of nothing are refused by the names that users know."""
    with pytest.raises(ValueError, match="max_mail_bytes"):
        Digest(max_bytes=0, max_mails_per_hour=1, interval_s=0)
    with pytest.raises(ValueError, match="max_mails_per_hour"):
        Digest(max_bytes=1, max_mails_per_hour=0, interval_s=0)
