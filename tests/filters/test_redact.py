"""Secrets do not reach the log."""

from __future__ import annotations

import time

import pytest

from logd.daemon.plugins import load_callables
from logd.filters import Redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"
GITHUB_TOKEN = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2", "password=[redacted]"),
        ("user=ann,password=hunter2,role=admin", "user=ann,password=[redacted],role=admin"),
        ("login ann, Password: hunter2, again", "login ann, Password: [redacted], again"),
        ("DB_PASSWORD=hunter2 DB_USER=ann", "DB_PASSWORD=[redacted] DB_USER=ann"),
        ('{"password": "hun\\"ter 2", "n": 1}', '{"password": "[redacted]", "n": 1}'),
        ("{'api_key': 'x y', 'n': 1}", "{'api_key': '[redacted]', 'n': 1}"),
        ("{'secret': b'x y'}", "{'secret': b'[redacted]'}"),
        ('"{\\"client_secret\\": \\"x y\\", 1}"', '"{\\"client_secret\\": \\"[redacted]\\", 1}"'),
        ("clientSecret => x", "clientSecret => [redacted]"),
        ("GET /a?token=abc&page=2 done", "GET /a?token=[redacted]&page=2 done"),
        ("tool --password hunter2 --verbose", "tool --password [redacted] --verbose"),
        ("tool --db-token=abc", "tool --db-token=[redacted]"),
        ("pass: hunter2", "pass: [redacted]"),
        ("12 tests pass: no, compass: north", "12 tests pass: [redacted], compass: north"),
        ("cvv=123", "cvv=[redacted]"),
        ("postgres://ann:hunter2@db/x", "postgres://ann:[redacted]@db/x"),
        ("redis://:hun@ter2@db", "redis://:[redacted]@db"),
        ("Authorization: Bearer abcdef123", "Authorization: Bearer [redacted]"),
        ("'authorization': 'Basic YTpi'", "'authorization': 'Basic [redacted]'"),
        ("sent bearer abcdef1234567", "sent bearer [redacted]"),
        ("Cookie: sid=1; theme=dark\nnext", "Cookie: [redacted]\nnext"),
        (f"got {JWT}!", "got [redacted]!"),
        (f"key {GITHUB_TOKEN}", "key [redacted]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("paid with 4111 1111 1111 1111", "paid with [card ending 1111]"),
        (
            "key:\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nend",
            "key:\n[redacted]\nend",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "[redacted]"),
        ("the password was changed", "the password was changed"),
        (
            "3 tokens left at http://example.org:80/a@b",
            "3 tokens left at http://example.org:80/a@b",
        ),
    ],
)
def test_messages(text, expected, make_job, run):
    """What follows a telling name or looks like a token or card is taken out, the rest stays."""
    assert run(Redact(), make_job(text)).msg == expected


def test_special_items(make_job, run):
    """Items of telling names are taken out whole, texts and numbers of others are searched."""
    special = {
        "db_password": 1234,
        "url": "x://a:b@c",
        "card": 4111111111111111,
        "order": 4111111111111112,
        "user": "ann",
    }
    assert run(Redact(), make_job(special=special)).special == {
        "db_password": "[redacted]",
        "url": "x://a:[redacted]@c",
        "card": "[card ending 1111]",
        "order": 4111111111111112,
        "user": "ann",
    }


def test_switches(make_job, run):
    """Each kind of secret can be left alone."""
    text = f"password=x {JWT} 4111111111111111"
    only_cards = Redact(passwords=False, tokens=False)
    only_tokens = Redact(passwords=False, cards=False)
    only_passwords = Redact(tokens=False, cards=False)
    assert run(only_cards, make_job(text)).msg == f"password=x {JWT} [card ending 1111]"
    assert run(only_tokens, make_job(text)).msg == "password=x [redacted] 4111111111111111"
    assert run(only_passwords, make_job(text)).msg == f"password=[redacted] {JWT} 4111111111111111"


def test_own_names_and_patterns(make_job, run):
    """Names and patterns of one's own are redacted too; a group named secret limits what is."""
    step = Redact(names=["IBAN"], patterns=[r"\bEMP-\d+\b", r"pin (?P<secret>\d+) ok"])
    job = run(step, make_job("iban: DE02 EMP-77 pin 1234 ok", special={"iban": "DE02"}))
    assert job.msg == "iban: [redacted] [redacted] pin [redacted] ok"
    assert job.special == {"iban": "[redacted]"}


def test_count_and_settings(make_job, run):
    """The filter counts the records it changed, and takes its arguments from settings."""
    (step,) = load_callables(["logd.filters:Redact?cards=no&names=iban,ssn&replacement=***"])
    assert run(step, make_job("ssn=1")).msg == "ssn=***"
    assert run(step, make_job("4111111111111111")).msg == "4111111111111111"
    assert step.redacted == 1


def test_errors():
    """A broken pattern and a plain string for a list are errors."""
    with pytest.raises(ValueError, match="patterns"):
        Redact(patterns=["("])
    with pytest.raises(TypeError, match="names"):
        Redact(names="iban")


@pytest.mark.parametrize(
    "piece",
    [
        "password", "password=", "password='", "token: ", "--a-", "--password ", "eyJ-",
        "eyJabcde.", "Bearer ", "://", "://a:", "://a:b", "-----BEGIN PRIVATE KEY-----",
        "authorization", "ghp_", "a,b", "cookie: ", "sk-", "\\\\\"", "\\", "password=\\\"",
        "x", " ", "\n",
    ],
)  # fmt: skip
def test_cost(piece):
    """Text made of beginnings of secrets takes time that grows with its length, not its square."""
    text = piece * (200_000 // len(piece))
    start = time.process_time()
    Redact().redact_text(text)
    # Less than a second on most machines; the square would be minutes.
    assert time.process_time() - start < 20
