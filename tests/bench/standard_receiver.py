"""The receiver of the standard library's logging cookbook: a thread per connection.

Run as `python -m tests.bench.standard_receiver PORT FOLDER [buffered]`: takes the frames of
`SocketHandler`, gives each record to the logger it came from, and `RotatingFileHandler` writes the
same line as logd. The cookbook reads lengths and payloads straight from the socket, so that is what
its users run; `buffered` reads through a file object, which spares two system calls a record.
"""

from __future__ import annotations

import logging
import pickle
import struct
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

LINE = (
    "%(asctime)s.%(msecs)03d+0000 %(levelname).1s %(process)d#0 %(message)s"
    "\t200 %(thread)d\t%(threadName)s\t%(funcName)s\t%(filename)s(%(lineno)d)\tlogger=%(name)s"
)


class RecordHandler(StreamRequestHandler):
    """Serves one connection until its end, as the cookbook does."""

    def handle(self) -> None:
        """Read frame after frame and log each record."""
        while len(head := self.read(4)) == 4:
            payload = self.read(struct.unpack(">L", head)[0])
            record = logging.makeLogRecord(pickle.loads(payload))
            logging.getLogger(record.name).handle(record)

    def read(self, length: int) -> bytes:
        """So many bytes, fewer only at the end."""
        data = b""
        while len(data) < length and (more := self.connection.recv(length - len(data))):
            data += more
        return data


class BufferedRecordHandler(RecordHandler):
    """The same with its reads through a buffer."""

    def read(self, length: int) -> bytes:
        return self.rfile.read(length)


class Receiver(ThreadingTCPServer):
    """Accepts connections for ever."""

    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    """Serve until killed."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    handler = RotatingFileHandler(folder / "out.log", maxBytes=175_000_000, backupCount=10)
    handler.setFormatter(logging.Formatter(LINE, "%Y-%m-%dT%H:%M:%S"))
    logging.getLogger().addHandler(handler)
    reader = BufferedRecordHandler if "buffered" in sys.argv else RecordHandler
    with Receiver(("127.0.0.1", port), reader) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
