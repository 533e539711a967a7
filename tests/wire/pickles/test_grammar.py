from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.wire import WireError
from logd.wire.pickles import grammar, machine, unpickler
from logd.wire.pickles.made import Made, Name
from logd_client.session import Context, encode_batch
from tests.wire.plain import as_python

ROOM = 100_000
ROW = (1, 2, 3, "t", 1.5, "m", "E", (("a.py", 7),), 5, "f")


def tree(payload: bytes, dicts: int = 0) -> bytes | None:
    """The proof that a payload is a tree."""
    return grammar.proven_tree(payload, max_opcodes=ROOM, dicts=dicts)


def test_batches_of_the_client_take_the_fast_way() -> None:
    """A batch of many shapes is proven, long strings and several FRAMEs included."""
    context = Context((1, 2, "t", "E", (("a.py", 1), (None, None)), 3, "f"))
    rows = [(context, n, float(n), "x" * (n % 700), ("k", n) * (n % 3)) for n in range(3000)]
    payload = encode_batch(1, rows)[4:]
    proven = tree(payload)
    assert proven is not None
    assert payload.count(b"\x95") > 1
    assert unpickler.run(proven) == pickle.loads(payload)


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("special", [{}, {"a": 1}, {"a": 1, "b": "x" * 200, "c": None}])
def test_records_take_the_fast_way(protocol: int, special: dict[str, object]) -> None:
    """11-tuples of the binary protocols are proven, with the dict of their items."""
    payload = pickle.dumps((*ROW, special), protocol)
    proven = tree(payload, dicts=1)
    assert proven is not None
    assert unpickler.run(proven) == (*ROW, special)
    assert tree(payload) is None


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_log_records_take_the_fast_way(protocol: int) -> None:
    """A dict of literals is proven, whatever their types, and with texts of any length."""
    attributes = {"msg": "m", "n": -1, "big": 2**60, "f": 0.5, "t": True, "none": None}
    attributes |= {f"long{n}": "x" * n for n in (255, 256, 70_000)} if protocol < 4 else {}
    proven = grammar.proven_flat(pickle.dumps(attributes, protocol))
    assert proven is not None
    assert unpickler.run(proven) == attributes


@pytest.mark.parametrize(
    "payload",
    [
        b"}q\x00(X\x01\x00\x00\x00ah\x00u.",
        b"}q\x01(X\x01\x00\x00\x00ah\x01u.",
        b"}q\x05(X\x01\x00\x00\x00ah\x05u.",
        b"}q\x00(X\x01\x00\x00\x00aNr\x00\x00\x01\x00u.",
        b"}q\x00(X\x01\x00\x00\x00a]u.",
        b"}q\x00(NNu.",
        b"}q\x00(h\x02Nu.",
        b"}q\x00(X\x01\x00\x00\x00aNu.N.",
        b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00}\x94(\x95" + bytes(8) + b"u.",
    ],
)
def test_what_is_not_flat_is_not_proven(payload: bytes) -> None:
    """Values that are the dict, keys that are no literals, large memo indexes, containers."""
    assert grammar.proven_flat(payload) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"].",
        b"Nr\x00\x00\x01\x00.",
        b"Np5\n.",
        b")\x85\x85.",
        b"cos\nsystem\n.",
        b"NN0.",
        b"\x8a\x0a" + bytes(10) + b".",
        b"\x8b\x01\x00\x00\x00\x01.",
        b"N.N",
        b"N",
        b"X\x05\x00\x00\x00abc.",
        b"",
        b"\x80\x04",
        b"\x80\x04\x95",
    ],
)
def test_what_is_no_tree_is_not_proven(payload: bytes) -> None:
    """Lists, large memo indexes, text opcodes of the memo, names, long integers, loose ends."""
    assert tree(payload) is None


def test_frames_are_cut_out() -> None:
    """The unpickler gets no FRAME opcode, wherever one stood."""
    frame = b"\x95" + struct.pack("<Q", 3)
    assert tree(b"\x80\x04" + frame + b"(N" + frame + b"Nt.") == b"\x80\x04(NNt."


def test_programs_have_a_length() -> None:
    """A tree of more opcodes than allowed is an error: no other way would take it."""
    with pytest.raises(WireError, match="too many opcodes"):
        grammar.proven_tree(b"(" + b"N" * 5000 + b"t.", max_opcodes=4000)
    assert grammar.proven_tree(b"(" + b"N" * 5000 + b"t.", max_opcodes=6000) is not None


values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()), max_size=300)
    | st.binary(max_size=20)
)
plain = st.recursive(
    values,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(plain, st.integers(0, 5))
def test_the_machine_reads_any_plain_data(value: object, protocol: int) -> None:
    """What the standard library pickles of plain data, the machine reads as it was."""
    assert as_python(machine.run(pickle.dumps(value, protocol))) == value


@given(st.sets(values, max_size=5) | st.frozensets(values, max_size=5), st.integers(0, 5))
def test_the_machine_reads_sets(value: object, protocol: int) -> None:
    """Sets are read as sets, whatever way a protocol has to write them."""
    assert as_python(machine.run(pickle.dumps([value], protocol))) == [value]


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Order:
    number: int


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value", [datetime.datetime(2026, 1, 1), decimal.Decimal("1.5"), Order(7)], ids=repr
)
def test_objects_are_described_and_never_made(value: object, protocol: int) -> None:
    """Whatever an object's pickle does, what is read of it is what it calls, and with what."""
    made = machine.run(pickle.dumps(value, protocol))
    assert type(made) is Made
    assert made.name.short == type(value).__name__
    assert made.arguments or made.state


@pytest.mark.parametrize(
    ("payload", "name", "arguments"),
    [
        (b"cos\nsystem\n(X\x02\x00\x00\x00idtR.", "os.system", ("id",)),
        (
            b"ccopy_reg\n_reconstructor\n(cshop\nOrder\nc__builtin__\nobject\nNtR}b.",
            "shop.Order",
            (),
        ),
        (b"\x80\x04\x8c\x04shop\x8c\x05Order\x93)}\x92.", "shop.Order", ()),
        (b"(S'id'\nios\nsystem\n.", "os.system", ("id",)),
        (b"(cos\nsystem\nS'id'\no.", "os.system", ("id",)),
        (b"\x82\x07)R.", "copyreg.extension_7", ()),
    ],
)
def test_calls_are_described(payload: bytes, name: str, arguments: tuple[object, ...]) -> None:
    """A call is the name of what would be called, or of the class it would make, and with what."""
    made = machine.run(payload)
    assert type(made) is Made
    assert (made.name, made.arguments) == (name, arguments)


@pytest.mark.parametrize("payload", [b"cos\nsystem\n.", b"\x80\x04\x8c\x02os\x8c\x06system\x93."])
def test_names_are_text(payload: bytes) -> None:
    """A class or function is its name."""
    name = machine.run(payload)
    assert (type(name), name) == (Name, "os.system")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"P1\n.", "pickle opcode PERSID refused: only plain data is taken"),
        (b"N)R.", "pickle calls what has no name"),
        (b"b.", "pickle takes from an empty stack"),
        (b")}b.", "pickle gives a state to what has none"),
        (b"\xff.", "not a pickle: no opcode 0xff"),
        (b"N", "pickle cut off"),
        (b"X\x05\x00\x00\x00abc.", "pickle cut off: 5 bytes announced, 4 there"),
        (b"N.N", "1 bytes after the end of the pickle"),
        (b"h\x05.", "pickle fetches memo 5, which was never set"),
    ],
)
def test_errors_of_the_machine_say_what_is_wrong(payload: bytes, reason: str) -> None:
    """Each refusal names what was expected and what came."""
    with pytest.raises(WireError) as caught:
        machine.run(payload)
    assert caught.value.reason == reason
