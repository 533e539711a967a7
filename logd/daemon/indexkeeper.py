"""Has the indexes of files made, by a process beside the daemon.

Making one takes seconds of a processor. A thread would take them from the interpreter that serves
the senders; a process of the lowest priority takes what is left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

from logd.daemon.repeating import Repeating
from logd.daemon.rest import Rest
from logd.settings.table import Config
from logd.text.reading import LineReader

logger = logging.getLogger(__name__)

RESTING_S = 600.0
"""How often while the daemon rests: only somebody else can have closed a file."""

LOOK_EVERY_S = 10.0
"""How often is looked whether a file was closed, or has grown."""

Files = frozenset[tuple[str, int]]


class IndexKeeper(Repeating):
    """Looks after the indexes of all logs of text files; a companion of the daemon.

    Args:
        config: the settings as they are now.
        look_every_s: see `LOOK_EVERY_S`.
        rest: while it lasts nothing is written.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        look_every_s: float = LOOK_EVERY_S,
        rest: Rest | None = None,
    ) -> None:
        super().__init__()
        self._config = config
        self._rest = rest
        self._look_every_s = look_every_s
        self._process: asyncio.subprocess.Process | None = None
        # Of each pattern what was there when its indexes were looked after last.
        self._known: dict[str, Files] = {}
        self._warned: set[str] = set()

    async def stop(self) -> None:
        """End; the process that makes an index is killed."""
        await super().stop()
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _run(self) -> None:
        while True:
            config = self._config()
            for pattern in _indexed(config) if config.index else ():
                try:
                    await self._look_after(pattern)
                except OSError as exc:
                    logger.warning(
                        "file %s: its indexes can't be made now, trying later: %s", pattern, exc
                    )
                except Exception:
                    # A convenience for readers must not end the daemon.
                    logger.exception(
                        "file %s: its indexes can't be made now, trying later", pattern
                    )
            await asyncio.sleep(self._look_every_s)
            if self._rest is not None and self._rest.is_on:
                await self._rest.over(RESTING_S)

    async def _look_after(self, pattern: str) -> None:
        found = await asyncio.to_thread(_indexable, pattern)
        if found is None or found == self._known.get(pattern, Files()):
            return
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the folder that the daemon works in is no place for modules
            "-m",
            "logd.query.files.indexkeeping",
            pattern,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        made, problem = await process.communicate()
        for path in made.decode(errors="replace").splitlines():
            logger.debug("made the index of %s", path)
        if process.returncode and pattern not in self._warned:
            self._warned.add(pattern)
            text = problem.decode(errors="replace").strip().rpartition("\n")[2]
            logger.warning("file %s: no index is made: %s", pattern, text)
        # Not what is there by now: that is seen at the next look.
        self._known[pattern] = found


def _indexed(config: Config) -> Iterator[str]:
    """The patterns of the files that can have an index."""
    for section, own in config.each_output():
        reader = LineReader(own.timestamp, is_own_format=own.line_format is None)
        if section.place == "file" and reader.is_own_format and reader.times.is_default:
            yield section.address


def _indexable(pattern: str) -> Files | None:
    """The closed files, and how large the current one is; None if they can't be told now."""
    # Late, in a thread: a start waits for its daemon to be ready, and nobody waits for indexes.
    from logd.query.files.indexing import is_worth_it
    from logd.query.files.indexkeeping import closed_files, portion_of
    from logd.query.files.listing import RingFiles
    from logd.query.positions import CannotRead

    with contextlib.suppress(CannotRead):
        files = RingFiles(pattern)
        found = [(ref.plain_path, ref.mtime_ns) for ref in closed_files(files)]
        current = filter(is_worth_it, files.listing()[-1:])
        grown = [(ref.plain_path, ref.size // portion_of(ref.size)) for ref in current]
        return Files([*found, *grown])
    return None
