"""Where in the program a log call stands: the call path and all else that repeats there.

Reading a stack as text costs many microseconds, and a program logs from few places. So each
place is read once and kept as a `Context`; later calls only look at which code objects stand on
the stack and where in them (`f_lasti`), and find the context by that. The depth of the whole
stack, part of every record, is not counted again either: a guess from the last time is checked
with one call that walks the stack in C.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from logd_client.records import Context
from logd_client.values import as_text

__all__ = ["CallSites", "is_hidden"]

_getframe = sys._getframe
_get_ident = threading.get_ident

_MAX_SITES = 4096
"""Places kept per thread and log; beyond that all are forgotten and read anew."""


class _Site:
    """A place on the stack of one thread, as it was read once.

    Attributes:
        context: what records of this place have in common.
        depth: frames from the log call outwards, the depth of the stack that was read.
        code: of the log call's own frame; kept alive, so that no other gets its id. None where
            no stack is read.
        callers: code and place in it of the frames around that, as many as are in a call path.
    """

    __slots__ = ("callers", "code", "context", "depth")

    def __init__(
        self,
        context: Context,
        depth: int,
        code: CodeType | None,
        callers: tuple[tuple[CodeType, int], ...],
    ) -> None:
        self.context = context
        self.depth = depth
        self.code = code
        self.callers = callers


class _ThreadSites:
    """The places of one thread under one name."""

    __slots__ = ("name", "sites", "thread")

    def __init__(self, thread: threading.Thread, name: str) -> None:
        self.thread = thread
        self.name = name
        self.sites: dict[Any, _Site] = {}


def is_hidden(filename: str, exclude: Callable[[str], object] | None) -> bool:
    """Whether the file is left out of call paths by the user's `seFilesExclude`."""
    return exclude is not None and bool(exclude(filename))


class CallSites:
    """Finds the context of a log call. Used by any number of threads at once.

    Args:
        stack_max: most items of a call path; 0 for none.
        exclude: callable of a file name; if it is true, the item is `(None, None)`.
        extract_stack: False to read no stack at all.
    """

    def __init__(
        self,
        stack_max: int,
        exclude: Callable[[str], object] | None = None,
        extract_stack: bool = True,
    ) -> None:
        self._levels = range(stack_max - 1)
        self._stack_max = stack_max
        self._exclude = exclude
        self._local = threading.local()
        self._pid = os.getpid()
        self.find: Callable[[int, str], Context] = (
            self._find_site if extract_stack else self._find_thread
        )
        """Called as `find(skip, cat)`: the context of a call `skip` frames outside of the caller
        of `find` (1: the caller's caller); beyond the stack the outermost frame counts."""

    def after_fork(self) -> None:
        """Forget what names the parent process."""
        self._pid = os.getpid()
        self._local = threading.local()

    def _thread(self) -> _ThreadSites:
        """The places of this thread; new ones if it is new or got another name."""
        thread = threading.current_thread()
        name = str(thread.name)
        found = self._local.here = _ThreadSites(thread, name)
        return found

    def _find_thread(self, skip: int, cat: str) -> Context:
        try:
            here: _ThreadSites = self._local.here
        except AttributeError:
            here = self._thread()
        if here.thread.name != here.name:
            here = self._thread()
        site = here.sites.get(cat)
        if site is None:
            fields = (
                self._pid,
                _get_ident(),
                here.name,
                _category(cat),
                (),
                0,
                "",
            )
            site = self._keep(here, cat, _Site(Context(fields), 0, None, ()))
        return site.context

    def _find_site(self, skip: int, cat: str) -> Context:
        try:
            here: _ThreadSites = self._local.here
        except AttributeError:
            here = self._thread()
        if here.thread.name != here.name:
            here = self._thread()
        try:
            first = _getframe(skip + 1)
        except ValueError:
            first = self._outermost(_getframe(1))
        # Mostly the callers are those of the last time, which is quick to see. This loop is the
        # cost of a call path: no line numbers, no names. Keys have the ids of code objects, whose
        # own hash reads all that they contain.
        start = (cat, id(first.f_code), first.f_lasti)
        site = here.sites.get(start)
        if site is not None:
            frame: FrameType | None = first
            for code, at in site.callers:
                frame = frame.f_back  # type: ignore[union-attr]
                if frame is None or frame.f_code is not code or frame.f_lasti != at:
                    break
            else:
                try:
                    # The outermost frame stands exactly where it stood: the depth is the same.
                    if _getframe(site.depth + 1).f_back is None:
                        return site.context
                except ValueError:
                    pass
        return self._find_other(here, start, first, _getframe(1)).context

    def _find_other(
        self, here: _ThreadSites, start: Any, first: FrameType, inside: FrameType
    ) -> _Site:
        """The site of a call whose callers are others than those of the last from the same place.

        `inside` is the frame of the log itself, which does not count to the depth.
        """
        levels: list[Any] = [*start]
        frame: FrameType | None = first
        for _ in self._levels:
            frame = frame.f_back  # type: ignore[union-attr]
            if frame is None:
                break
            levels += (id(frame.f_code), frame.f_lasti)
        key = tuple(levels)
        site = here.sites.get(key)
        if site is not None:
            try:
                if _getframe(site.depth + 2).f_back is None:
                    here.sites[start] = site
                    return site
            except ValueError:
                pass
        return self._keep(here, start, self._read_site(here, key, first, inside))

    def _outermost(self, frame: FrameType) -> FrameType:
        while frame.f_back is not None:
            frame = frame.f_back
        return frame

    def _read_site(
        self, here: _ThreadSites, key: Any, first: FrameType, inside: FrameType
    ) -> _Site:
        """The site of a place that is new, or was seen at another depth of the stack."""
        depth = 0
        frame = inside.f_back
        while frame is not None:
            depth += 1
            frame = frame.f_back
        site = here.sites.get((depth, key))
        if site is None:
            path: list[tuple[str | None, int | None]] = []
            callers: list[tuple[CodeType, int]] = []
            frame = first
            while frame is not None and len(path) < self._stack_max:
                filename = frame.f_code.co_filename
                hidden = is_hidden(filename, self._exclude)
                path.append((None, None) if hidden else (filename, frame.f_lineno or 0))
                if frame is not first:
                    callers.append((frame.f_code, frame.f_lasti))
                frame = frame.f_back
            fields = (
                self._pid,
                _get_ident(),
                here.name,
                _category(key[0]),
                tuple(path),
                depth,
                first.f_code.co_name,
            )
            site = _Site(Context(fields), depth, first.f_code, tuple(callers))
            self._keep(here, (depth, key), site)
        return self._keep(here, key, site)

    def _keep(self, here: _ThreadSites, key: Any, site: _Site) -> _Site:
        if len(here.sites) >= _MAX_SITES:
            here.sites.clear()
        here.sites[key] = site
        return site


def _category(cat: object) -> str:
    """A category as text, whatever the application gave: a daemon refuses anything else."""
    return "" if cat is None else as_text(cat)
