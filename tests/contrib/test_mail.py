"""Messages of chosen categories arrive as digests, and floods are bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta

import pytest

import logd.contrib.mail
from logd.daemon.plugins import load_callables
from logd.observers import MailDigest
from logd.observers.mailnotifier import (
    CatRule,
    MailFailed,
    MailLost,
    MailRefused,
    SMTPMailer,
    mailnotifier,
    stop_all,
)
from logd.server import LogServer
from tests.contrib.mailing import TIMEOUT_S, Clock, Outbox, text_of

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.fixture(autouse=True)
def _stopped():
    """End all threads."""
    yield
    stop_all()


def test_urgent_message_leaves_at_once(make_job):
    """A message whose rule has no delay is mailed at once, alone if nothing else waits."""
    outbox = Outbox()
    notifier = mailnotifier(outbox, [CatRule(["E"])])
    notifier([make_job("disk full")], None)
    (text,) = outbox.wait_for(1)
    assert text == (
        "11:10.00 E 4711@192.0.2.7#17 disk full\t000000 1\tMainThread\tcharge\t"
        "views.py(42)<-urls.py(10)\tuser=ann\n"
    )
    assert notifier.close()
    assert (notifier.sent, notifier.lost) == (1, 0)


def test_delayed_messages_gather(make_job):
    """Delayed messages wait for one another, and leave with an urgent one."""
    outbox = Outbox()
    rules = [CatRule(["E"]), CatRule(["W"], max_delay_secs=3_600)]
    notifier = mailnotifier(outbox, rules, text_of)
    for number in range(3):
        notifier([make_job(f"careful {number}", cat="W")], None)
    notifier([make_job("nothing", cat="D")], None)
    assert outbox.tries == 0
    notifier([make_job("now", cat="E")], None)
    assert outbox.wait_for(1) == ["W careful 0\nW careful 1\nW careful 2\nE now\n"]


def test_delay_by_the_clock(make_job):
    """A delayed message is mailed once its time has come."""
    outbox, clock = Outbox(), Clock()
    notifier = mailnotifier(outbox, [CatRule(None, 60)], text_of, clock=clock)
    notifier([make_job("a")], None)
    clock.now += 59
    notifier([make_job("b")], None)
    assert notifier._step() == 1.0
    clock.now += 1
    notifier([make_job("c")], None)
    (text,) = outbox.wait_for(1)
    assert text.startswith("E a\nE b\n")


def test_first_rule_counts(make_job):
    """Of several rules for a message the first one counts; a message without one is not mailed."""
    outbox = Outbox()
    rules = [CatRule(["E"], 3_600), CatRule(None, 1_800)]
    notifier = mailnotifier(outbox, rules, text_of, clock=Clock())
    notifier([make_job("a", cat="E")], None)
    assert notifier._digest.due_at() == 1_000 + 3_600
    notifier([make_job("b", cat="")], None)
    assert notifier._digest.due_at() == 1_000 + 1_800
    only_errors = mailnotifier(outbox, [CatRule(["E"])], text_of)
    only_errors([make_job("c", cat="W")], None)
    assert only_errors.close()
    assert outbox.texts == []


def test_flood(make_job):
    """A flood becomes one mail now and the rest, bounded, with a count, after the interval."""
    outbox, clock = Outbox(), Clock()
    notifier = mailnotifier(
        outbox, [CatRule(None)], text_of, spooler_sleepsecs=30, max_mail_bytes=200, clock=clock
    )
    notifier([make_job("first")], None)
    outbox.wait_for(1)
    for number in range(5_000):
        notifier([make_job(f"message {number}")], None)
    assert outbox.tries == 1
    clock.now += 30
    notifier([make_job("last")], None)
    _, text = outbox.wait_for(2)
    kept, _, summary = text.partition("\n\n")
    assert kept.startswith("E message 0\nE message 1\n")
    assert len(kept) <= 200
    left_out, _, rest = summary.partition(" ")
    assert rest.startswith("more messages were left out (E")
    # The mail may leave as soon as the clock is moved, and the last message come for the next.
    assert int(left_out.replace(",", "")) + len(kept.splitlines()) in (5_000, 5_001)


def test_mails_per_hour(make_job):
    """When the mails of an hour are used up, messages wait for the next hour."""
    outbox, clock = Outbox(), Clock()
    notifier = mailnotifier(
        outbox, [CatRule(None)], text_of, spooler_sleepsecs=0, max_mails_per_hour=2, clock=clock
    )
    for number in range(2):
        notifier([make_job(f"a{number}")], None)
        outbox.wait_for(number + 1)
    clock.now += 3_599
    notifier([make_job("b")], None)
    notifier([make_job("c")], None)
    assert notifier._step() == 1.0
    assert outbox.tries == 2
    clock.now += 1
    notifier([make_job("d")], None)
    assert outbox.wait_for(3)[2].startswith("E b\nE c\n")


def test_close_mails_the_rest(make_job):
    """At the end all that was collected is mailed, whatever rules and limits say."""
    outbox = Outbox()
    notifier = mailnotifier(outbox, [CatRule(None, 3_600)], text_of, max_mails_per_hour=1)
    notifier([make_job("a")], None)
    notifier([make_job("b")], None)
    assert notifier.close()
    assert outbox.texts == ["E a\nE b\n"]
    assert notifier.close()


def test_stop_all(make_job):
    """stop_all() ends every notifier and says whether all was mailed."""
    good, bad = Outbox(), Outbox(*[MailFailed("away")] * 100)
    for outbox in (good, bad):
        mailnotifier(outbox, [CatRule(None, 3_600)], text_of)([make_job("a")], None)
    before = threading.active_count()
    assert not stop_all(TIMEOUT_S)
    assert threading.active_count() == before - 2
    assert good.texts == ["E a\n"]


def test_tries_again(make_job):
    """A mail that failed is tried again as it was; what comes meanwhile is in the next one."""
    outbox = Outbox(MailFailed("away"), OSError("away"))
    outbox.open.clear()
    notifier = mailnotifier(outbox, [CatRule(None)], text_of, spooler_sleepsecs=0, backoff_s=0.001)
    notifier([make_job("a")], None)
    while notifier._mail is None:
        threading.Event().wait(0.001)
    notifier([make_job("b")], None)
    outbox.open.set()
    assert outbox.wait_for(2) == ["E a\n", "E b\n"]
    assert notifier.lost == 0


@pytest.mark.parametrize(
    ("failures", "tries"),
    [
        ([MailFailed("server is away")] * 3, 3),
        ([MailRefused("server is away")], 1),
        ([ValueError("server is away")] * 3, 3),
    ],
)
def test_gives_up(make_job, failures, tries, caplog):
    """A mail given up is counted, told in both logs, and by the next mail."""
    outbox = Outbox(*failures)
    notifier = mailnotifier(
        outbox, [CatRule(None)], text_of, spooler_sleepsecs=0, tries=3, backoff_s=0.001
    )
    notifier([make_job("a")], None)
    while not notifier._trouble:
        threading.Event().wait(0.001)
    assert (outbox.tries, notifier.lost) == (tries, 1)
    with pytest.raises(MailLost, match=r"A mail with 1 messages could not be sent: .*is away"):
        notifier([make_job("b")], None)
    (text,) = outbox.wait_for(1)
    assert text.startswith("E b\n\nA mail with 1 messages could not be sent")
    assert "could not be sent" in caplog.text
    notifier([make_job("c")], None)


def test_close_is_bounded(make_job, caplog):
    """A mailer that hangs costs the closing time; what was not mailed is counted and told."""
    outbox = Outbox()
    outbox.open.clear()
    notifier = mailnotifier(outbox, [CatRule(None)], text_of)
    notifier([make_job("a")], None)
    while notifier._mail is None:
        threading.Event().wait(0.001)
    notifier([make_job("b")], None)
    assert not notifier.close(0.05)
    assert notifier.lost == 2
    assert "2 messages were not mailed before the end" in caplog.text
    outbox.open.set()


def test_pipeline_never_waits_and_tells(make_job):
    """In a LogServer a hanging mailer holds nothing up, and a lost mail becomes a record."""
    written = []

    class Writer:
        def writeNow(self, job):
            written.append(job)

    outbox = Outbox(MailRefused("no such user"))
    notifier = mailnotifier(outbox, [CatRule(["E"])], text_of, spooler_sleepsecs=0)
    server = LogServer(Writer(), observers=[notifier])
    server.logJob(make_job("a"))
    while not notifier._trouble:
        threading.Event().wait(0.001)
    server.logJob(make_job("b", cat="D"))
    server.logJob(make_job("c", cat="D"))
    internal = [job.msg for job in written if job.cat == LogServer.CAT_INTERNALERROR]
    assert len(internal) == 1
    assert "MailRefused: no such user" in internal[0]
    assert [job.msg for job in written if job.cat != "I"] == ["a", "b", "c"]


def test_format_line_may_take_a_line_count(make_job):
    """The same functions and Formatters lay out mails as files; a failing one loses no message."""
    outbox = Outbox()
    notifier = mailnotifier(outbox, [CatRule(None, 60)], lambda job, count: f"{count} {job.msg}")
    notifier([make_job("a")], None)
    broken = mailnotifier(outbox, [CatRule(None, 60)], lambda job: job.nonsense)
    broken([make_job("still here")], None)
    assert notifier.close()
    assert broken.close()
    assert outbox.texts[0] == "0 a\n"
    assert "still here" in outbox.texts[1]


def test_real_server(make_mail_server, make_job):
    """Over a real server with STARTTLS and login, messages arrive as one mail."""
    server = make_mail_server("starttls", login=True)
    mailer = SMTPMailer(
        server.address, "s3cret", "ops@example.org", "app@example.org", loginuser="ann",
        security="starttls", ca_file=server.ca_file,
    )  # fmt: skip
    notifier = mailnotifier(mailer, [CatRule(["E"], 3_600)], text_of)
    for number in range(100):
        notifier([make_job(f"message {number}\x1b[31m")], None)
    assert notifier.close()
    (mail,) = server.mailbox.mails
    lines = mail.get_content().splitlines()
    assert lines == [f"E message {number}\\x1b[31m" for number in range(100)]


def test_digest_in_settings(make_mail_server, make_job, tmp_path):
    """A digest is made from settings, its password from a file."""
    server = make_mail_server("ssl", login=True)
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    spec = (
        f"logd.observers:MailDigest?server={server.address}&to_address=ops@example.org"
        f"&from_address=app@example.org&cats=E&max_delay_s=60&password_file={password}"
        f"&login_user=ann&security=ssl&ca_file={server.ca_file}"
    )
    (digest,) = load_callables([spec])
    digest([make_job("wanted")], None)
    digest([make_job("other", cat="D")], None)
    assert digest.close(TIMEOUT_S)
    (mail,) = server.mailbox.mails
    assert "wanted" in mail.get_content()
    assert "other" not in mail.get_content()
    password.write_text("\n")
    with pytest.raises(ValueError, match="password_file"):
        MailDigest("mail", ["a@x.org"], "b@x.org", password_file=str(password))


PROGRAM = """
import sys
from logd.observers.mailnotifier import CatRule, SMTPMailer, mailnotifier
from logd.records.job import MsgJob
mailer = SMTPMailer(sys.argv[1], None, "ops@example.org", "app@example.org")
notifier = mailnotifier(mailer, [CatRule(None, 3600)], lambda job: job.msg,
                        spooler_autostop=sys.argv[2] == "True")
notifier([MsgJob(1, 2, 3, "t", "", "last words", "E", (), 0, "", {}, None)], None)
"""


@pytest.mark.parametrize("autostop", [True, False])
def test_end_of_the_process(make_mail_server, autostop):
    """At the end of a process the rest is mailed, or with spooler_autostop=False is not."""
    server = make_mail_server()
    subprocess.run(
        [sys.executable, "-c", PROGRAM, server.address, str(autostop)], timeout=60, check=True
    )
    texts = [mail.get_content().replace("\r\n", "\n") for mail in server.mailbox.mails]
    assert texts == (["last words\n"] if autostop else [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork(make_job):
    """A child process mails its own messages and leaves its parent's alone."""
    outbox = Outbox()
    notifier = mailnotifier(outbox, [CatRule(None, 3_600)], text_of)
    notifier([make_job("parent's")], None)
    pid = os.fork()
    if pid == 0:
        outbox.changed = threading.Condition()
        notifier([make_job("child's")], None)
        os._exit(0 if notifier.close() and outbox.texts == ["E child's\n"] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert notifier.close()
    assert outbox.texts == ["E parent's\n"]


def test_errors():
    """Arguments that make no sense are refused."""
    with pytest.raises(TypeError, match="'EW'"):
        CatRule("EW")
    with pytest.raises(ValueError, match="max_delay_secs"):
        CatRule(None, -1)
    with pytest.raises(ValueError, match="tries"):
        mailnotifier(Outbox(), [], tries=0)


def test_clocks_of_the_module(make_job, monkeypatch):
    """now and timedelta, replaced in logd.contrib.mail, are what the notifiers go by."""
    moment = datetime(2026, 1, 1, 12)
    outbox = Outbox()
    monkeypatch.setattr(logd.contrib.mail, "now", lambda: moment)
    monkeypatch.setattr(logd.contrib.mail, "timedelta", lambda seconds: timedelta(minutes=seconds))
    notifier = logd.contrib.mail.mailnotifier(outbox, [CatRule(None, 60)], text_of)
    notifier([make_job("a")], None)
    moment += timedelta(minutes=59)
    notifier([make_job("b")], None)
    assert outbox.texts == []
    moment += timedelta(minutes=1)
    assert outbox.wait_for(1) == ["E a\nE b\n"]


def test_buffer_of_the_module(make_job, monkeypatch):
    """CatBuffer, replaced in logd.contrib.mail, collects the messages."""
    outbox = Outbox()

    class Shouting(logd.contrib.mail.CatBuffer):
        def add(self, line, *rest):
            super().add(line.upper(), *rest)

    monkeypatch.setattr(logd.contrib.mail, "CatBuffer", Shouting)
    logd.contrib.mail.mailnotifier(outbox, [CatRule(None)], text_of)([make_job("a")], None)
    assert outbox.wait_for(1) == ["E A\n"]


def test_endless_delay(make_job):
    """A rule may wait for ever: its messages go with those of others."""
    outbox = Outbox()
    rules = [CatRule(["E"]), CatRule(None, float("inf"))]
    notifier = mailnotifier(outbox, rules, text_of)
    notifier([make_job("a", cat="W")], None)
    notifier([make_job("b", cat="E")], None)
    assert outbox.wait_for(1) == ["W a\nE b\n"]
