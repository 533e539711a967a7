"""`python -m tests.fuzz --minutes 10`: coverage-guided fuzzing of the decoders with atheris.

Starts with the frames of the tests and what earlier runs found, and keeps what it finds. An input
that breaks something is written into the corpus folder as `crash-...`, `timeout-...` or `oom-...`,
and the exit status is not 0; `--again FILE` runs one such input once more.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import logging.handlers
import pickle
import runpy
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["logd.wire"]):
    from tests.fuzz.fuzz_wire import MODES, one_input
    from tests.wire.hostile import HOSTILE

HERE = Path(__file__).parent
MAX_SEED_BYTES = 4096
MAX_INPUT_BYTES = 8192
MEMORY_MB = 512
SECONDS_PER_INPUT = 30
"""Of wall time, instrumented, and perhaps on a busy machine: 12 ms of decoding were 6 s."""

# For a mutation engine that would hardly guess them.
WORDS = [
    *[code for name, code in vars(pickle).items() if name.isupper() and type(code) is bytes],
    *[
        text + bytes([len(name)]) + end + name
        for name in (b"msg", b"created", b"msecs", b"relativeCreated", b"process", b"taskName")
        for text, end in ((b"X", b"\0\0\0"), (b"\x8c", b""), (b"U", b""))
    ],
    b"logd",
    b"batch",
    b"ping",
    b"\x80\x04\x95",
]


def main() -> None:
    """Fuzz for the minutes asked for; ends the process with libFuzzer's exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument(
        "--corpus", type=Path, default=HERE / "corpus", help="folder of inputs, kept and extended"
    )
    parser.add_argument("--again", type=Path, help="run this input once instead")
    options = parser.parse_args()
    if options.again:
        one_input(options.again.read_bytes())
        return
    options.corpus.mkdir(parents=True, exist_ok=True)
    _write_seeds(options.corpus)
    with tempfile.NamedTemporaryFile("w", suffix=".dict") as words:
        for word in WORDS:
            words.write('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n')
        words.flush()
        arguments = [
            sys.argv[0],
            str(options.corpus),
            f"-dict={words.name}",
            f"-max_total_time={max(1, round(options.minutes * 60))}",
            f"-max_len={MAX_INPUT_BYTES}",
            f"-rss_limit_mb={MEMORY_MB}",
            f"-timeout={SECONDS_PER_INPUT}",
            f"-artifact_prefix={options.corpus}/",
            "-print_final_stats=1",
        ]
        atheris.Setup(arguments, one_input)
        atheris.Fuzz()


def _write_seeds(corpus: Path) -> None:
    """Good and hostile frames of the tests as inputs, each in every mode that fits."""
    tests = HERE.parent
    examples = runpy.run_path(str(tests.parent / "client" / "tests" / "wire_examples.py"))
    payloads = [row.payload for row in HOSTILE]
    payloads += [frame[4:] for _, _, frame in examples["WIRE_EXAMPLES"]]
    payloads += _handler_frames()
    for payload in payloads:
        if len(payload) > MAX_SEED_BYTES:
            continue
        for number, mode in enumerate(MODES):
            framed = len(payload).to_bytes(4, "big") if mode == "stream" else b""
            seed = bytes([number]) + framed + payload
            (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def _handler_frames() -> list[bytes]:
    handler = logging.handlers.SocketHandler("localhost", 1)
    extras = ({}, {"user": "ann", "n": 3}, {"nested": [1, {"a": None}]}, {"taskName": "Task-1"})
    return [
        handler.makePickle(logging.makeLogRecord({"name": "app", "msg": "m", **extra}))[4:]
        for extra in extras
    ]


if __name__ == "__main__":
    main()
