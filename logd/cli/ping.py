"""`logd ping`: whether a daemon answers, not only a port that is open."""

from __future__ import annotations

import os
import time

import click

from logd.cli.target import Target, target_options, timeout_option
from logd.errors import LogdError
from logd_client.connection import ConnectionFailed, Place, ServerAddress, open_connection
from logd_client.session import (
    REFUSAL_BASE,
    AnswerDecoder,
    ProtocolError,
    SessionEnded,
    SessionRefused,
    encode_opening,
)


@click.command()
@target_options
@timeout_option(5.0, "answer takes longer")
def ping(target: Target, timeout: float) -> None:
    """Ask whether a daemon answers.

    The command opens a session as a sender does, with token and certificate, and sends no record.
    If the daemon answers, it prints the time that took, and the exit status is 0. If not, it
    prints the reason, and the exit status is 1.
    """
    address = target.address()
    failures = []
    for place in address.places():
        started = time.perf_counter()
        try:
            _open_session(address, place, target.token, timeout)
        except ConnectionFailed as exc:
            failures.append(str(exc))
        except SessionEnded as exc:
            raise LogdError(f"{place}: {exc}") from exc
        else:
            elapsed_ms = (time.perf_counter() - started) * 1000
            click.echo(f"{place}: logd answered in {elapsed_ms:.2f} ms")
            return
    raise LogdError(f"no daemon answers: {'; '.join(failures)}")


def _open_session(
    address: ServerAddress, place: Place, token: str | None, timeout_s: float
) -> None:
    """Connect, open a session of a new client, take its answer and hang up.

    Raises:
        ConnectionFailed: no connection, or no answer in time.
        SessionEnded: the answer is a refusal, or no daemon's.
    """
    opening = encode_opening(os.urandom(16), 1, token)
    sock, answer = open_connection(address, place, opening, timeout_s)
    sock.close()
    numbers = AnswerDecoder().receive_data(answer)
    if not numbers:
        raise ProtocolError("an answer without a number: this is no logd server")
    if numbers[0] >= REFUSAL_BASE:
        raise SessionRefused(numbers[0] - REFUSAL_BASE)
