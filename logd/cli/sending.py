"""Sends records from a command: they are delivered in time, or an error says why not."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from logd.cli.target import Target
from logd.errors import LogdError
from logd_client.settingchecks import DEFAULT_HOST
from logd_client.socketclient import LogServerProxy


class Sending(AbstractContextManager["Sending"]):
    """A connection to the daemon for one command. Call `finish` before you leave it.

    Attributes:
        proxy: takes the records.
    """

    def __init__(self, target: Target, timeout_s: float) -> None:
        """Begin to connect; it goes on in the background.

        Raises:
            LogdError: a certificate or key can't be used.
        """
        self._address = target.address()
        self._timeout_s = timeout_s
        self._problem = ""
        tls = target.tls
        self.proxy = LogServerProxy(
            DEFAULT_HOST if target.hosts else target.host,
            target.ports,
            errorHandler=self,
            hosts=target.hosts or None,
            socket=target.unix_path,
            token=target.token,
            tls=tls is not None,
            tls_ca=tls.ca if tls else None,
            tls_cert=tls.cert if tls else None,
            tls_key=tls.key if tls else None,
            tls_verify=tls.verify if tls else True,
            tls_server_name=tls.server_name if tls else None,
            block_timeout_s=timeout_s,
            environ={},  # all that counts is in the target
        )

    def handleException(self, e: BaseException) -> None:  # noqa: N802 - as error handlers have it
        """Remember what the sending thread complains of, for the one line at the end."""
        self._problem = str(e)

    def finish(self) -> None:
        """Return once the daemon has stored all records that were given.

        Raises:
            LogdError: it had not within the time; says how many are missing, and why.
        """
        receipt = self.proxy.flush(self._timeout_s)
        missing = self.proxy.lost + (0 if receipt else self.proxy.unacknowledged)
        if missing:
            reason = self._problem or self.proxy.last_error or "no answer in time"
            records = "record" if missing == 1 else "records"
            raise LogdError(
                f"{missing} {records} not delivered to {self._address} "
                f"within {self._timeout_s:g} s: {reason}"
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.proxy.close(0)
