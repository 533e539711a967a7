"""Which records are lone ones: few enough that each may be sent by the thread that logs it.

Sending costs a call some twenty microseconds, several times that if the processor has forgotten
the code meanwhile. A batch of the records of 20 ms costs some hundreds each time: less for each
record as soon as there are many. So the threads that log may send `BURST` records at once, and
`RATE` a second forever; beyond that records wait for a batch, until they are few again.
"""

from __future__ import annotations

__all__ = ["BURST", "BURST_AFTER_LOAD_S", "BURST_S", "RATE", "STEP_S"]

RATE = 300.0
"""Records a second: from there on a batch costs less."""

BURST = 60.0
"""Records at once: what a program says when it starts or ends, or in one request."""

STEP_S = 1.0 / RATE
"""With each lone record the next one is due this much later; what is due later is none."""

BURST_AFTER_LOAD_S = 20.0 / RATE
"""What was unused during a load: enough for the last words of a program."""

BURST_S = (BURST - 1.0) / RATE
"""For how long unused time is kept."""
