"""Brings what an open log has written to disk, and puts a fresh journal in the place of a long one.

Syncs run beside the writing. The lock is held only to say what a sync is to bring to disk, and
afterwards how that went.
"""

from __future__ import annotations

import logging
import os
import threading

from logd.outputs.disk import sync_names
from logd.outputs.files.held import Held
from logd.outputs.files.journalentries import Snapshot

logger = logging.getLogger(__name__)


class Settler:
    """Syncs one log; from any thread.

    Args:
        held: the log's state.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        # The janitor syncs, too, and what one has taken the other must not call synced.
        self._one_sync = threading.Lock()
        # Without syncs not even the note of the first file is on disk.
        self._settled_rotations = 0 if held.durable else -1

    def sync(self) -> None:
        """Make all blocks appended before survive the death of the machine.

        Also puts a fresh journal in the place of one that has grown long.
        """
        if not self._held.durable:
            self._compact_unsynced()
            return
        with self._one_sync:
            self._sync()

    def _sync(self) -> None:
        held = self._held
        with held.lock:
            snapshot = held.snapshot() if held.journal.wants_compaction else None
            # The last that may fail before anything is taken over from here to be synced.
            portion = held.syncing.take(held.file, held.number, held.rotations)
            if snapshot is not None:
                held.journal.begin_compaction()
        try:
            held.syncing.bring_to_disk(portion)
        except OSError:
            with held.lock:
                held.syncing.failed(portion)
                if snapshot is not None:
                    held.journal.cancel_compaction()
            raise
        with held.lock:
            held.syncing.done(portion)
        if snapshot is not None:
            self._compact(snapshot)

    def settle(self) -> None:
        """Bring to disk what the journal and the folder say of the rotations so far.

        The janitor asks for it before it gives up a file: one that is still the current one after
        a power loss must be there.
        """
        held = self._held
        with held.lock:
            rotations = held.rotations
            if rotations == self._settled_rotations:
                return
        with self._one_sync:
            if held.durable:
                self._sync()
            with held.lock:
                if held.durable:
                    held.note_synced()
                journal = held.syncing.journal_to_sync()
            held.syncing.bring_journal_to_disk(journal)
            if not held.durable:
                sync_names(held.folder)
        self._settled_rotations = rotations

    def _compact(self, snapshot: Snapshot) -> None:
        """Replace the journal; `snapshot` is synced, what came since is copied."""
        held = self._held
        try:
            fresh = held.journal.write_fresh(snapshot, durable=held.durable)
            with held.lock:
                held.journal.switch_to(fresh)
                held.syncing.is_folder_changed = True
        except OSError as exc:
            with held.lock:
                held.journal.cancel_compaction()
            logger.warning(
                "%s: the journal can't be shortened now, trying later: %s", held.label, exc
            )

    def _compact_unsynced(self) -> None:
        held = self._held
        with held.lock:
            if held.journal.wants_compaction:
                held.journal.begin_compaction()
                self._compact(held.snapshot())


def sync_and_close(descriptor: int) -> None:
    """Sync what a descriptor leads to, and close it."""
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
