"""A model of power loss: what a disk may hold after the machine died at any moment.

1. `recorder.c`, preloaded into a process, writes down each write, sync and change of a folder
   (`recording.py` compiles it and starts the process; `trace.py` reads what it wrote). The process
   runs a workload (`workloads.py`), which puts marks between: "sent a 17", "acked a 12". Most of
   them drive one output; those of `whole.py` start `logd serve`, speak its sessions, and ask
   `logd query` meanwhile (`service.py`). `hands.py` does to the log's folder what people do.
2. `disk.py` takes the operations up to a random moment and decides what of them is on disk:

   - What was synced is there. A sync counts for what was written before it *began*. A sync that
     failed counts for nothing, and no later one for what it was to sync: the system may take those
     pages for clean.
   - "ext4": changes of folders are there up to some moment, in their order; any sync brings all
     that were made before it. A file has any part of the beginning of what was added to it.
   - "posix": a change of a folder is certain only after a sync of the folder; of the others any
     subset is there, in any order. So is any subset of unsynced writes: with holes of zeros, and
     torn at a sector.

   The state is written to a fresh folder. Files get new inodes there; `recorder.c`, preloaded
   into whatever opens the folder, shows the old ones.
3. The same code that logd runs at its start takes up the folder, on another boot. The client of the
   workload repeats what it has no acknowledgement for, as far as the marks allow, and goes on to
   its last record. Then a query must find everything that was acknowledged, exactly once
   (`checking.py`).

The machine may die again while it recovers: a replayed folder can be the start of a recording.
"""
