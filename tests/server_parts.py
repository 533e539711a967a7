"""Writers, filters and observers for tests of `LogServer`."""

from collections.abc import Callable
from typing import Any

from logd import MsgJob
from logd.records.batch import Batch


class Writer:
    """Keeps what it writes."""

    def __init__(self) -> None:
        self.jobs: list[MsgJob] = []

    def writeNow(self, job: MsgJob) -> None:
        self.jobs.append(job)

    @property
    def messages(self) -> list[str]:
        """The first lines of what was written."""
        return [job.msg.partition("\n")[0] for job in self.jobs]


class BatchWriter(Writer):
    """Keeps batches as they come, too."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []

    def write_batch(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.jobs += batch.jobs()


class Recorder:
    """An observer or filter that notes the messages it sees."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.sizes: list[int] = []
        self.writers: list[Any] = []

    def __call__(self, jobhist: list[MsgJob], writer: Any) -> None:
        self.seen.append(jobhist[-1].msg)
        self.sizes.append(len(jobhist))
        self.writers.append(writer)


def change(text: str) -> Callable[[list[MsgJob], Any], None]:
    """A filter that appends to the message."""

    def append(jobhist: list[MsgJob], writer: Any) -> None:
        jobhist[-1].msg += text

    return append


def fail(jobhist: list[MsgJob], writer: Any) -> None:
    """A filter or observer that never works."""
    raise RuntimeError("on purpose")


def drop_odd(jobhist: list[MsgJob], writer: Any) -> None:
    """A filter that drops records with odd ids."""
    if jobhist[-1].msgid % 2:
        jobhist[-1].drop()
