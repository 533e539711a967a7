"""The outputs that come with logd, made as packages of others would make theirs; see `registry.py`.

Each is imported only when it is asked for: databases take their time.
"""

from __future__ import annotations

from logd.outputs.base import Output, OutputSettings, OutputUnusable


def file_output(address: str, settings: OutputSettings) -> Output:
    """Rotating text files; the address is their pattern, "logs/app_%d.log"."""
    from logd.outputs.files import FileOutput

    return FileOutput(address, settings)


def db_output(address: str, settings: OutputSettings) -> Output:
    """Rotating tables of a database; the address is an SQLAlchemy URL."""
    from logd.outputs.tables import TableOutput

    return TableOutput(address, settings)


def stdout_output(address: str, settings: OutputSettings) -> Output:
    """Standard output; the address is "-".

    Raises:
        OutputUnusable: another address.
    """
    from logd.outputs.stdout import StdoutOutput

    if address != "-":
        raise OutputUnusable(f'stdout: expected the address "-", got {address!r}')
    return StdoutOutput(settings)


BUILT_IN = {"db": db_output, "file": file_output, "stdout": stdout_output}
"""What makes them, by the names they have in `--output NAME:ADDRESS`."""
