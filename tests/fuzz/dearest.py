"""`python -m tests.fuzz.dearest`: looks for the frames that cost most, by hill climbing.

A frame is grown from a tree of the grammar: values in containers, calls, and parts that are named
over and over. Each step changes something of a good tree and keeps it if the frame became dearer,
by itself or for each byte. What a search found is printed, and written as rows of hexadecimal
digits with `--keep`; `tests/wire/test_dearest.py` decodes these.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from logd.wire import Decoder, Frames, WireError

KEPT = Path(__file__).parents[1] / "wire" / "dearest.txt"
SIZES = (256, 1_024, 16_384, 262_144, 1_048_576)
TRIES = 3
RESTART_AFTER = 150

Tree = tuple[object, ...]
"""("leaf", opcodes), ("many", opening, closing, children), ("call", name, children), or
("shared", child, fan, levels)."""

NOW = struct.pack(">d", 1.7e9)
LEAVES = [
    *[b"N", b"\x88", b"K\x01", b"M\x01\x02", b"G" + NOW, b"G" + struct.pack(">d", 1.1e-300 / 3)],
    *[
        b"\x8c\x00",
        b"\x8c\x01a",
        b"\x8c\x05\xe2\x80\xae\x1b\n",
        b'X\x02\0\0\0\\"',
        b"U\x02\xff\xff",
    ],
    *[
        b"C\x00",
        b"C\x01\xff",
        b"C\x04\\udc",
        b")",
        b"]",
        b"}",
        b"\x8f",
        b"S'\\xff'\n",
        b"V\\u00e9\n",
    ],
    *[b"\x8a\x20" + b"\xff" * 31 + b"\x7f", b"\x8a\xff" + b"\x7f" * 255, b"L" + b"9" * 99 + b"L\n"],
    *[b"I300\n", b"F1.5\n", b"cos\nsystem\n"],
]
MANY = [(b"(", b"t"), (b"(", b"l"), (b"](", b"e"), (b"(", b"d"), (b"}(", b"u"), (b"\x8f(", b"\x90")]
MANY += [(b"(", b"\x91")]
NAMES = [
    *["decimal\nDecimal", "builtins\nValueError", "builtins\nKeyError", "builtins\nset", "a\nB"],
    *["builtins\nfrozenset", "collections\nOrderedDict", "collections\ndeque", "uuid\nUUID"],
    *["datetime\ndatetime", "pathlib\nPosixPath", "fractions\nFraction", "builtins\ngetattr"],
    *["_codecs\nencode", "copyreg\n_reconstructor", "types\nSimpleNamespace", "builtins\nbytes"],
    *["numpy._core.multiarray\nscalar", "ipaddress\nIPv6Address", "collections\nCounter"],
]
TEXTS = ["", "a", "\x1b", "\u202e", "\n", "x" * 50, "\ud800", "=", '"', "\u20ac" * 9]


class Frame(NamedTuple):
    """A frame and what it is made of."""

    kind: str
    tree: Tree
    payload: bytes
    seconds: float


class Search:
    """Climbs for one kind of frame and one length.

    Args:
        kind: how the tree is sent.
        most: bytes that a frame may have.
        seed: of all chance.
    """

    def __init__(self, kind: str, most: int, seed: int) -> None:
        self.kind = kind
        self.most = most
        self.random = random.Random(seed)

    def run(self, until: float) -> Frame:
        """The dearest frame that was found by then."""
        best = here = self.measured(self.leaf())
        stale = 0
        while time.monotonic() < until:
            tree = self.changed(here.tree)
            try:
                frame = self.measured(tree)
            except (RecursionError, OverflowError, ValueError):
                continue
            stale += 1
            if frame.seconds >= here.seconds > 0 or not here.seconds:
                if frame.seconds > here.seconds * 1.02:
                    stale = 0
                here = frame
            if here.seconds > best.seconds:
                best = here
            if stale > RESTART_AFTER:
                here, stale = self.measured(self.grown(3)), 0
        return best

    def measured(self, tree: Tree) -> Frame:
        """The frame of a tree, with its cost; no cost if it is too long."""
        if length(tree) > self.most:
            return Frame(self.kind, tree, b"", 0.0)
        payload = encoded(self.kind, tree)
        is_long = len(payload) > self.most
        return Frame(self.kind, tree, payload, 0.0 if is_long else cost_s(payload, self.kind))

    def leaf(self) -> Tree:
        return ("leaf", self.random.choice(LEAVES))

    def grown(self, depth: int) -> Tree:
        """A tree by chance."""
        way = self.random.random()
        if depth == 0 or way < 0.3:
            return self.leaf()
        if way < 0.55:
            # Few different ones many times, as a hostile peer would.
            few = [self.grown(depth - 1) for _ in range(self.random.randint(1, 2))]
            count = int(self.random.choice([2, 20, self.most / 40, self.most / 4]))
            return ("many", *self.random.choice(MANY), [*few] * max(1, count // len(few)))
        if way < 0.75:
            few = [self.grown(depth - 1) for _ in range(self.random.randint(0, 3))]
            return ("call", self.random.choice(NAMES), few)
        return (
            "shared",
            self.grown(depth - 1),
            self.random.choice([2, 5, 20, 100]),
            self.random.randint(1, 8),
        )

    def changed(self, tree: Tree) -> Tree:
        """The tree with one change somewhere."""
        kind, *parts = tree
        if self.random.random() < 0.3:
            return self.replaced(tree)
        if kind == "shared":
            child, fan, levels = parts
            way = self.random.randrange(3)
            if way == 0:
                return ("shared", self.changed(child), fan, levels)  # type: ignore[arg-type]
            fan = max(1, int(fan * self.random.uniform(0.5, 2)) + self.random.randint(-1, 1))  # type: ignore[operator]
            return ("shared", child, fan, max(1, levels + self.random.randint(-1, 1)))  # type: ignore[operator]
        if kind in ("many", "call") and parts[-1]:
            children = list(parts[-1])  # type: ignore[call-overload]
            at = self.random.randrange(len(children))
            way = self.random.randrange(4)
            if way == 0 and len(children) * 2 < self.most:
                children += children
            elif way == 1:
                del children[at : at + max(1, len(children) // 4)]
            elif way == 2:
                # All that are equal: one among thousands changes nothing.
                old, new = children[at], self.changed(children[at])
                children = [new if child == old else child for child in children]
            else:
                children.insert(at, self.grown(2))
            return (kind, *parts[:-1], children)
        return self.replaced(tree)

    def replaced(self, tree: Tree) -> Tree:
        """Another tree in the place of this one, or this one as a part of another."""
        way = self.random.randrange(4)
        if way == 0:
            return self.grown(3)
        if way == 1:
            return ("shared", tree, self.random.choice([2, 10, 20]), self.random.randint(1, 6))
        if way == 2:
            return ("call", self.random.choice(NAMES), [tree])
        return ("many", *self.random.choice(MANY), [tree] * self.random.choice([1, 2, 50]))


def length(tree: Tree) -> int:
    """About how long the program of a tree is, without making it."""
    kind, *parts = tree
    if kind == "leaf":
        return len(parts[0])  # type: ignore[arg-type]
    if kind == "shared":
        child, fan, levels = parts
        return length(child) + levels * (5 * fan + 7)  # type: ignore[arg-type,operator]
    # Children are often one object thousands of times.
    counts = Counter(map(id, parts[-1]))  # type: ignore[arg-type]
    one_of = {id(one): one for one in parts[-1]}  # type: ignore[attr-defined]
    return 2 + sum(count * length(one_of[key]) for key, count in counts.items())


def opcodes(tree: Tree, memo: list[int]) -> bytes:
    """A pickle program that pushes what the tree stands for."""
    kind, *parts = tree
    if kind == "leaf":
        return parts[0]  # type: ignore[return-value]
    if kind == "many":
        opening, closing, children = parts
        # A flood of one value needs no work here.
        codes: dict[int, bytes] = {}
        inner = [
            codes.get(id(one)) or codes.setdefault(id(one), opcodes(one, memo))
            for one in children  # type: ignore[attr-defined]
        ]
        return b"%b%b%b" % (opening, b"".join(inner), closing)
    if kind == "call":
        name, children = parts
        inner = [opcodes(one, memo) for one in children]  # type: ignore[attr-defined]
        return b"c%b\n(%btR" % (name.encode(), b"".join(inner))  # type: ignore[attr-defined]
    child, fan, levels = parts
    code = opcodes(child, memo)  # type: ignore[arg-type]
    for _ in range(levels):  # type: ignore[call-overload]
        memo[0] += 1
        put = struct.pack("<I", memo[0])
        code = b"(%br%b%bt" % (code, put, (b"j" + put) * (fan - 1))  # type: ignore[operator]
    return code


def texts(tree: Tree) -> object:
    """A plain value in the place of the tree, for encodings that know no more."""
    kind, *parts = tree
    if kind == "leaf":
        return TEXTS[sum(parts[0]) % len(TEXTS)]  # type: ignore[call-overload]
    if kind == "shared":
        child, fan, levels = parts
        return str(texts(child))[:1_000] * min(fan * levels, 1_000)  # type: ignore[arg-type,operator,call-overload]
    children = parts[-1]
    known = {id(one): str(texts(one))[:1_000] for one in children}  # type: ignore[attr-defined]
    if len(children) > 1:  # type: ignore[arg-type]
        return {
            f"{n:x}{known[id(one)][:20]}": known[id(one)]
            for n, one in enumerate(children)  # type: ignore[arg-type]
        }
    return 1.1e-300 / 3


def encoded(kind: str, tree: Tree) -> bytes:
    """The tree as a frame: among the items of a record, as an attribute, a text or a path."""
    if kind in ("json", "msgpack"):
        value = texts(tree)
        items = value if isinstance(value, dict) else {"k": value}
        path = [[str(key), 1] for key in items]
        row = [1, 2, 3, "t", 1.7e9, str(value), "E", path, 0, "f", items]
        return json.dumps(row).encode() if kind == "json" else msgspec.msgpack.encode(_clean(row))
    code = opcodes(tree, [0])
    begin = b"(K\x01K\x02K\x03\x8c\x01tG" + NOW
    if kind == "item":
        return begin + b"\x8c\x01m\x8c\x01E)K\x05\x8c\x01f}\x8c\x01k" + code + b"st."
    if kind == "items":
        return begin + b"\x8c\x01m\x8c\x01E)K\x05\x8c\x01f}(" + code + b"N" + code + b"Nut."
    if kind == "attribute":
        return (
            b"}(X\3\0\0\0msg" + code + b"X\7\0\0\0createdG" + NOW + b"X\4\0\0\0name" + code + b"u."
        )
    return (
        b"(\x8c\x05batchK\x01K\x01(K\x01K\x02\x8c\x01t\x8c\x01E)K\x00\x8c\x01ft\x85C\x00K\x01C\x08"
        + NOW
        + b"\x8c\x01m(K\x00\x8c\x01k"
        + code
        + b"t\x85t."
    )


def _clean(value: object) -> object:
    """Without lone surrogates, which MessagePack does not have."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(held) for key, held in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list) else value


def cost_s(payload: bytes, kind: str) -> float:
    """Processor time of decoding a frame: the least of some tries."""
    decoder = Decoder()
    client = b"c" * 16 if kind == "batch" else None
    frames = Frames.of(payload)
    least = 1e9
    for _ in range(TRIES):
        started = time.process_time()
        try:
            decoder.decode(frames, client=client, now=1.7e9)
        except WireError:
            pass
        least = min(least, time.process_time() - started)
        if least < 1e-4:
            break
    return least


KINDS = ("item", "items", "attribute", "batch", "json", "msgpack")


def main() -> None:
    """Search for the time asked for, each kind and length in turn; print the dearest frames."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.dearest", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="of all chance (default: 1)")
    parser.add_argument("--keep", action="store_true", help=f"write them to {KEPT.name}")
    options = parser.parse_args()
    each_s = options.minutes * 60 / (len(SIZES) * len(KINDS))
    for kind in KINDS:
        cost_s(encoded(kind, ("leaf", b"N")), kind)  # compiles what is compiled once
    lines = []
    for most in SIZES:
        for kind in KINDS:
            found = Search(kind, most, options.seed).run(time.monotonic() + each_s)
            size = len(found.payload)
            sys.stdout.write(
                f"at most {most:9,} bytes, {kind:9}: {size:9,} bytes, "
                f"{found.seconds * 1e3:7.2f} ms, {found.seconds / size * 1e6:8.2f} us for a byte\n"
            )
            sys.stdout.flush()
            if size <= 2_048:
                lines.append(f"{kind} {found.payload.hex()}\n")
    if options.keep:
        KEPT.write_text("".join(lines))


if __name__ == "__main__":
    main()
