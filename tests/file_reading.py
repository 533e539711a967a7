"""What tests of file writers write, and how they read it."""

from pathlib import Path

from logd import MsgJob


def message_only(job: MsgJob) -> str:
    """A layout of the message alone."""
    return job.msg


def read(folder: Path) -> dict[str, list[str]]:
    """The lines of each file in a folder."""
    return {path.name: path.read_text().splitlines() for path in sorted(folder.iterdir())}
