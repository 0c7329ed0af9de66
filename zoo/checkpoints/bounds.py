"""What a pickle would build, worked out on symbols before the loader is asked: so many steps, calls of known functions only, tensors
that the bytes of the file can fill.

The loader of torch runs nothing, but it believes sizes: it allocates the storages that an old file announces, makes room for a tensor
that is larger than its storage, and calls `bytearray` or a storage's class with any number. And a tuple of shared tuples takes
exponential time as a key. None of this gets past here.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.checkpoints.extras import DICTS, EXTRAS, SYMBOLS
from zoo.errors import shown
from zoo.files.headers import AXES

STEPS = 4_000_000
"""Opcodes: a checkpoint has some thirty for each tensor."""
TEXT = 16 << 20
"""Characters or bytes of one value beside the tensors."""
DIGITS = 16
"""Bytes of a whole number."""
WEIGHT = 100_000
"""Entries of a tuple, those of the tuples in it counted each time that they occur."""
SMALL = 1 << 20
"""Bytes up to which a tensor may repeat the numbers of its storage (an expanded one)."""
SHARED = 8
"""Views of one storage may add up to so many times the file's bytes."""
_SIZES = {
    "Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1,
    "ComplexDouble": 16, "ComplexFloat": 8, "QInt8": 1, "QUInt8": 1, "QInt32": 4, "QUInt4x2": 1, "QUInt2x4": 1, "Untyped": 1,
}  # fmt: skip
_WIDTHS = {
    "complex128": 16,
    "complex64": 8,
    "float64": 8,
    "int64": 8,
    "uint64": 8,
    "float32": 4,
    "int32": 4,
    "uint32": 4,
}
_REBUILT = frozenset({"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor"})
"""Functions of torch._utils whose first four arguments are storage, offset, size and stride."""
_FREE = frozenset(
    {
        "collections.OrderedDict", "collections.Counter", "torch.device", "torch.serialization._get_layout",
        "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer", "torch._tensor._rebuild_from_type_v2",
        "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch._utils._rebuild_sparse_tensor",
        "torch._utils._rebuild_meta_tensor_no_storage", "torch._utils._rebuild_device_tensor_from_numpy",
        "torch._utils._rebuild_device_tensor_from_cpu_tensor", "builtins.set", "builtins.complex",
    }
)  # fmt: skip
"""What may be called with anything: none of them makes more than it is given."""
_ENCODINGS = ("latin1", "latin-1", "ascii", "utf-8")


class Refused(Exception):
    """What a pickle asks for and no checkpoint does."""


@dataclass(frozen=True)
class _Name:
    text: str


@dataclass(frozen=True, eq=False)
class _Tuple:
    items: tuple[Any, ...]
    weight: int


@dataclass(frozen=True, eq=False)
class _Storage:
    count: int
    size: int


class _Other:
    """Any other value: nothing about it is needed."""


_OTHER, _MARK = _Other(), object()


@dataclass
class Claims:
    """storages: bytes that the pickle needs of each, by its key; views: bytes of the tensors in them."""

    storages: dict[str, int] = field(default_factory=dict)
    views: dict[Any, int] = field(default_factory=dict)


def claims_of(data: bytes, pickles: int, dicts: frozenset[str] = frozenset()) -> Claims:
    """What the first so many pickles of `data` claim. dicts: names that are read as plain dicts. Raises Refused for what no checkpoint
    asks for, ValueError for bytes that are no pickle."""
    stream, machine = io.BytesIO(data), _Machine(dicts)
    for _ in range(pickles):
        machine.stack, machine.memo = [], {}
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                machine.step(opcode, argument)
        except (Refused, ValueError):
            raise
        except Exception as error:  # damaged bytes meet Python's reader in many ways
            raise ValueError(f"its pickle is damaged ({type(error).__name__}: {error})") from error
    return machine.claims


class _Machine:
    def __init__(self, dicts: frozenset[str]) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.claims = Claims()
        self.steps = 0
        self.dicts = dicts

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        self.steps += 1
        if self.steps > STEPS or len(self.stack) > SYMBOLS or len(self.memo) > SYMBOLS:
            raise Refused("its pickle is longer than any checkpoint's")
        if isinstance(argument, str | bytes | bytearray) and len(argument) > TEXT:
            raise Refused(f"its pickle has a text of {len(argument):,} characters")
        if isinstance(argument, int) and argument.bit_length() > 8 * DIGITS:
            raise Refused("its pickle has a number of many digits")
        known = _STEPS.get(opcode.name)
        if known is not None:
            known(self, argument)
        else:
            self.other(opcode)

    def to_mark(self) -> list[Any]:
        taken = []
        while (value := self.stack.pop()) is not _MARK:
            taken.append(value)
        return taken[::-1]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def tuple(self, items: list[Any]) -> None:
        weight = 1 + sum(i.weight if isinstance(i, _Tuple) else 1 for i in items)
        if weight > WEIGHT:
            raise Refused(f"its pickle has a tuple of more than {WEIGHT:,} entries")
        self.push(_Tuple(tuple(items), weight))

    def last(self, count: int) -> list[Any]:
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        if len(taken) != count or any(v is _MARK for v in taken):
            raise ValueError("its pickle takes more from its stack than is there")
        return taken

    def remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def join(self) -> None:
        module, name = self.last(2)
        self.push(_Name(f"{module}.{name}"))

    def other(self, opcode: pickletools.OpcodeInfo) -> None:
        """Any opcode by what pickletools says of its effect on the stack."""
        before = list(opcode.stack_before)
        if pickletools.markobject in before:
            self.to_mark()
            before = before[: before.index(pickletools.markobject)]
        taken = self.last(len(before))
        stays = opcode.name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
        self.stack += taken[:1] if stays else [_OTHER] * len(opcode.stack_after)

    # --- calls ---------------------------------------------------------------------------------------------------------

    def persistent(self) -> None:
        """A storage: ("storage", class, key, device, numbers), and in old files the part of it that is meant."""
        (value,) = self.last(1)
        items: tuple[Any, ...] = value.items if isinstance(value, _Tuple) else ()
        if len(items) not in (5, 6) or items[0] != "storage" or not isinstance(items[1], _Name) or not _whole(items[4]):
            raise Refused("its pickle has a storage without a size")
        kind = items[1].text.rpartition(".")[2].removesuffix("Storage")
        size = _SIZES.get(kind, 1)
        key, count = str(items[2]), items[4]
        self.claims.storages[key] = max(self.claims.storages.get(key, 0), count * size)
        if len(items) == 6 and isinstance(items[5], _Tuple):
            part = items[5].items
            if len(part) != 3 or not _whole(part[1]) or not _whole(part[2]) or part[1] + part[2] > count:
                raise Refused("its pickle has a part of a storage that is larger than the storage")
            count = part[2]
        self.push(_Storage(count, size))

    def call(self) -> None:
        called, given = self.last(2)
        items: tuple[Any, ...] = given.items if isinstance(given, _Tuple) else ()
        name = called.text.replace("__builtin__.", "builtins.", 1) if isinstance(called, _Name) else ""
        if name.startswith("torch._utils.") and name.rpartition(".")[2] in _REBUILT:
            self.check_tensor(items)
        elif name == "torch.Size":
            self.push(items[0] if len(items) == 1 and isinstance(items[0], _Tuple) else _OTHER)
            return
        elif name == "_codecs.encode":
            if not items or not isinstance(items[0], str) or any(i not in _ENCODINGS for i in items[1:]):
                raise Refused("its pickle encodes something in an odd way")
        elif name == "builtins.bytearray":
            if any(_whole(i) for i in items):
                raise Refused("its pickle makes an array of bytes from a number")
        elif name not in _FREE and not EXTRAS.fullmatch(name) and name not in DICTS and name not in self.dicts:
            raise Refused(f"its pickle calls {shown(name) or 'a value'}, as no checkpoint does")
        self.push(_OTHER)

    def check_tensor(self, items: tuple[Any, ...]) -> None:
        """Raises Refused for a tensor that its storage cannot fill."""
        storage, offset, size, stride = items[:4] if len(items) >= 4 else (_OTHER,) * 4
        shape, steps = _numbers(size), _numbers(stride)
        if (
            not isinstance(storage, _Storage)
            or type(offset) is not int
            or not _whole(offset)
            or shape is None
            or steps is None
            or len(shape) != len(steps)
            or len(shape) > AXES
        ):
            raise Refused("its pickle has a tensor without a storage, size or stride")
        bits = next(
            (_WIDTHS.get(i.text.removeprefix("torch."), 2) for i in items[4:] if isinstance(i, _Name)), storage.size
        )
        width = bits if storage.size == 1 else storage.size
        numel = 1
        for n in shape:
            numel *= n
        end = offset + 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) if numel else 0
        room = storage.count * storage.size // width
        if end > room or (numel > room and numel * width > SMALL):
            raise Refused(
                f"a tensor of shape {shown(list(shape))} would need {max(end, numel) * width:,} bytes of a storage that has"
                f" {storage.count * storage.size:,}"
            )
        self.claims.views[id(storage), offset, shape, steps] = numel * width


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _numbers(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, _Tuple) or not all(_whole(n) for n in value.items):
        return None
    return value.items


def check_claims(claims: Claims, size: int, records: Mapping[str, int] | None) -> None:
    """Raise Refused where the storages need more than the file has. size: its bytes; records: those of each storage, in an archive."""
    for key, needed in claims.storages.items():
        if records is not None and needed > records.get(key, 0):
            raise Refused(f"its storage {shown(key)} would need {needed:,} bytes and has {records.get(key, 0):,}")
    needed = sum(claims.storages.values())
    if needed > size:
        raise Refused(f"its tensors would have {needed:,} bytes, the file has {size:,}")
    if sum(claims.views.values()) > SHARED * size + 64 * SMALL:
        raise Refused(f"its tensors would have {sum(claims.views.values()):,} bytes, the file has {size:,}")


def _keep(machine: _Machine, argument: Any) -> None:
    machine.push(argument)


_Step = Callable[[_Machine, Any], object]


def _all(names: Iterable[str], step: _Step) -> dict[str, _Step]:
    return dict.fromkeys(names, step)


_STEPS: dict[str, _Step] = {
    **_all(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"), _keep),
    **_all(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _keep),
    **_all(("PROTO", "FRAME", "STOP"), lambda m, a: None),
    **_all(("BINPUT", "LONG_BINPUT", "PUT"), lambda m, a: m.remember(int(a))),
    **_all(("BINGET", "LONG_BINGET", "GET"), lambda m, a: m.push(m.memo[int(a)])),
    "MEMOIZE": lambda m, a: m.remember(len(m.memo)),
    "MARK": lambda m, a: m.push(_MARK),
    "POP": lambda m, a: m.stack.pop(),
    "POP_MARK": lambda m, a: m.to_mark(),
    "DUP": lambda m, a: m.push(m.stack[-1]),
    "GLOBAL": lambda m, a: m.push(_Name(str(a).replace(" ", ".", 1))),
    "STACK_GLOBAL": lambda m, a: m.join(),
    "EMPTY_TUPLE": lambda m, a: m.tuple([]),
    "TUPLE1": lambda m, a: m.tuple(m.last(1)),
    "TUPLE2": lambda m, a: m.tuple(m.last(2)),
    "TUPLE3": lambda m, a: m.tuple(m.last(3)),
    "TUPLE": lambda m, a: m.tuple(m.to_mark()),
    "REDUCE": lambda m, a: m.call(),
    "NEWOBJ": lambda m, a: m.call(),
    "BINPERSID": lambda m, a: m.persistent(),
}
