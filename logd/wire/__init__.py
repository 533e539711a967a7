"""Bytes from the net to records: pure functions, without I/O, threads or clocks.

Bytes pass two stages. On the event loop `frames.FrameSplitter` cuts the stream into frames, and
`session.read_opening` looks at the first one. In the pipeline's thread `decoder.Decoder` makes
batches of frames. Whatever the bytes are, the outcome is records or one of the two errors of
`errors`, at a bounded cost: 64 MiB and 100 ms for a frame of 1 MiB.

How a pickle becomes safe data, in order of speed: `recognition` (all frames of a delivery whose
bytes are known), `templates` (one such frame, extras aside), `grammar` with `unpickler` (proven
harmless, then run in C), `machine` (own interpreter). Then `fields` checks every field, whatever
decoder it came from; `contexts` does so by columns for the batches of sessions. Values that are no
plain ones become text or numbers in `shown`, by `pickles.constructors` and `writers`, which stop
when there is enough; `expansion` bounds what a frame's records are written as.
"""

from __future__ import annotations

from logd.wire.decoder import Decoder, decode_delivery
from logd.wire.errors import WireError
from logd.wire.frames import FrameError, Frames, FrameSplitter
from logd.wire.session import Opening, Refusal, encode_ack, encode_refusal, read_opening

__all__ = [
    "Decoder",
    "FrameError",
    "FrameSplitter",
    "Frames",
    "Opening",
    "Refusal",
    "WireError",
    "decode_delivery",
    "encode_ack",
    "encode_refusal",
    "read_opening",
]
