"""Posts records to a web address as JSON."""

from __future__ import annotations

import base64
import http.client
import math
import ssl
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from logd.observers.delivery import DeliveryFailed, DeliveryQueue, DeliveryRefused
from logd.observers.records import JobSelection, record_as_dict, to_json
from logd.settings.secretfiles import secret_in

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = ["Webhook"]

# A receiver may ask for a pause; more than this and the queue would fill for its sake.
_MAX_RETRY_AFTER_S = 300.0
# Besides all 5xx: the receiver was too slow, or is asked too often.
_RETRY_STATUS = frozenset({408, 425, 429})
_MAX_ANSWER_BYTES = 65_536


class Webhook:
    r"""Sends records to `url` by HTTP POST, several in one if they come fast.

    The body is `{"records": [{...}, ...], "lost": 0}`: the records with the fields of
    `record_as_dict`, and how many were lost so far because the receiver was away too long. With
    `text_key` it is `{text_key: "line\nline"}` instead, which chat services take ("text" for
    Slack and Mattermost, "content" for Discord). Any 2xx status says the receiver has them; 5xx,
    408, 425, 429 and a failed connection are tried again (Retry-After is honoured up to five
    minutes), anything else is not: redirects are not followed. The header `Idempotency-Key` is the
    same in each try of one body, so that a receiver can tell a repeat.

    Args:
        url: http:// or https:// address; a name and password in it are sent as basic
            authentication. "" with a url_file.
        cats: only records of these categories; None: any.
        pattern: only records in whose message this regular expression is found; None: any.
        text_key: see above.
        url_file: file whose first line is the address, which is a secret itself at many chat
            services; read at the start.
        token_file: file whose first line is sent as `Authorization: Bearer …`; read at the start.
        headers: further headers.
        ca_file: certificates in PEM format that sign the receiver's; None: those of the system.
        batch_records, interval_s, max_records, max_bytes, tries, backoff_s, timeout_s: see
            `DeliveryQueue`.
        clock: seconds that only go forward.

    Raises:
        ValueError: not such an address, or a limit that makes no sense.
        OSError: token_file or ca_file can't be read.
    """

    def __init__(
        self,
        url: str = "",
        cats: Sequence[str] | None = None,
        pattern: str | None = None,
        *,
        text_key: str | None = None,
        url_file: str | None = None,
        token_file: str | None = None,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        batch_records: int = 100,
        interval_s: float = 1.0,
        max_records: int = 10_000,
        max_bytes: int = 8 * 1024 * 1024,
        tries: int = 8,
        backoff_s: float = 1.0,
        timeout_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if (url_file is None) == (url == ""):
            raise ValueError("expected either url or url_file, got both or neither of them")
        given_as = "url" if url_file is None else f"url_file {url_file}"
        parts = urllib.parse.urlsplit(url if url_file is None else _secret_in(url_file, "address"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            # The address is not shown: it may be a secret.
            raise ValueError(f"{given_as}: expected an address http://HOST/... or https://HOST/...")
        self._host = parts.hostname
        self._port = parts.port
        self._target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        self._tls = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=ca_file)
        elif ca_file is not None:
            raise ValueError("ca_file: only of use with an https:// address")
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": "logd",
            **_authorization(parts, token_file),
            **(headers or {}),
        }
        self._selection = JobSelection(cats, pattern)
        self._text_key = text_key
        self._batch: Sequence[bytes] = ()  # the one that `_body` and `_batch_id` belong to
        self._body = b""
        self._batch_id = ""
        self.queue: DeliveryQueue[bytes] = DeliveryQueue(
            f"webhook {parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            self._post,
            max_records=max_records,
            max_bytes=max_bytes,
            batch_records=batch_records,
            interval_s=interval_s,
            tries=tries,
            backoff_s=backoff_s,
            timeout_s=timeout_s,
            clock=clock,
        )

    def __call__(self, jobhist: Sequence[MsgJob], writer: object) -> None:
        """Have the current record posted if it is one of those wanted. Never waits.

        Raises:
            DeliveryLost: earlier records could not be posted.
        """
        job = jobhist[-1]
        if job in self._selection:
            # Made into bytes here, as later observers may change the job.
            item = to_json(_text(job) if self._text_key is not None else record_as_dict(job))
            self.queue.put(item, len(item))

    def close(self, timeout_s: float = 5.0) -> bool:
        """Post what waits, within `timeout_s`; returns whether all was posted."""
        return self.queue.close(timeout_s)

    def _make_body(self, batch: Sequence[bytes]) -> bytes:
        if self._text_key is None:
            return b'{"records":[%b],"lost":%d}' % (b",".join(batch), self.queue.lost)
        # Each item is a JSON string: cut off the quotes to join them into one.
        return b'{%b:"%b"}' % (to_json(self._text_key), b"\\n".join(item[1:-1] for item in batch))

    def _post(self, batch: Sequence[bytes], timeout_s: float) -> None:
        if batch is not self._batch:
            self._batch, self._batch_id = batch, str(uuid.uuid4())
            self._body = self._make_body(batch)
        connection = self._connection(timeout_s)
        try:
            connection.request(
                "POST",
                self._target,
                self._body,
                {**self._headers, "Idempotency-Key": self._batch_id},
            )
            answer = connection.getresponse()
            status, retry_after = answer.status, answer.getheader("Retry-After")
            # Read, not just closed: closing with unread bytes resets the connection.
            answer.read(_MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as exc:
            raise DeliveryFailed(f"{type(exc).__name__}: {exc}") from exc
        finally:
            connection.close()
        if status in _RETRY_STATUS or status >= 500:
            raise DeliveryFailed(
                f"status {status} {answer.reason}", retry_after_s=_seconds(retry_after)
            )
        if not 200 <= status < 300:
            raise DeliveryRefused(f"status {status} {answer.reason}")

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=timeout_s, context=self._tls
        )


def _text(job: MsgJob) -> str:
    return f"{job.cat or '-'} {job.msg}"


def _authorization(parts: urllib.parse.SplitResult, token_file: str | None) -> dict[str, str]:
    if token_file is not None:
        return {"Authorization": f"Bearer {_secret_in(token_file, 'token')}"}
    if parts.username is None:
        return {}
    pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode("ascii")}


def _secret_in(file: str, what: str) -> str:
    try:
        return secret_in(Path(file), what)
    except ValueError as exc:
        raise ValueError(f"{file}: {exc}") from exc


def _seconds(retry_after: str | None) -> float | None:
    """The pause that a Retry-After header asks for; None without one or for a date."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S) if math.isfinite(seconds) else None
