"""Harmless things beside weights (numpy scalars, Namespaces, paths, dicts of other classes), read as inert stand-ins.

A pickle names classes and calls them. Two ways were weighed: an unpickler of our own, or torch's `weights_only` loader with more
names. The loader was taken: it knows no opcode that could run anything, calls nothing but what its list maps a name to, sets
state on nothing but instances of listed types, and is maintained where the formats are. Its list takes a class under any name,
so the names below stand for classes of this module, which keep what they are given and do nothing with it. No module that a
file names is imported, not even if this process has it already, and what other libraries allowed in this process
(`add_safe_globals`) does not count while a file is read. All other names are refused by name before anything is built.
"""

from __future__ import annotations

import pickletools
import re
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from torch import serialization

TORCH = re.compile(
    r"collections\.(OrderedDict|Counter)|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_\w+|torch\.(storage\.)?\w*Storage"
    r"|torch\.(Size|Tensor|device|dtype|u?int\d+|b?float\d+\w*|half|double|long|bool|complex\d+)|torch\.nn\.parameter\.(Parameter|Buffer)"
    r"|torch\.serialization\._get_layout|_codecs\.encode|(builtins|__builtin__)\.(set|bytearray|complex)"
)
"""What plain checkpoints name. The loader decides; this only sorts the names."""
_PARTS = r"dict|list|tuple|set|frozenset|int|float|bool|str|bytes"
EXTRAS = re.compile(
    r"numpy\.(_?core\.multiarray\.(scalar|_reconstruct)|dtype|ndarray)"
    r"|argparse\.Namespace|types\.SimpleNamespace|datetime\.(datetime|date|time|timedelta)"
    r"|pathlib\.(_local\.)?(Pure)?(Posix|Windows)?Path|(builtins|__builtin__)\.(" + _PARTS + ")"
)
"""Names that are read as a `StandIn` each."""
DICTS = ("collections.defaultdict",)
"""Names that are read as plain dicts, whatever they are called with."""
SYMBOLS = 1 << 20
"""Longer stacks than this are no checkpoint's."""


class StandIn:
    """What stands for an object of another class: `original`, its class's name; given, state: what the file says of it."""

    original = ""
    given: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *given: Any) -> StandIn:
        """given: kept as it is."""
        made = super().__new__(cls)
        made.given = given
        return made

    def __init__(self, *given: Any) -> None:
        """Nothing more to do."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Dict:
    """Makes a plain dict: the loader puts items into nothing else."""

    def __new__(cls, *given: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


def is_read(name: str) -> bool:
    """Is a pickle's global (`module.name`) read, whatever the pickle does with it?"""
    return bool(TORCH.fullmatch(name) or EXTRAS.fullmatch(name)) or name in DICTS


@contextmanager
def stand_ins(names: list[str], dicts: frozenset[str]) -> Iterator[None]:
    """While this lasts, torch's loader reads those of `names` that are harmless extras, and nothing else but its own list."""
    ours: list[Any] = []
    for name in names:
        plain = name.replace("__builtin__.", "builtins.", 1)  # as the loader spells it
        if name in DICTS or name in dicts:
            ours.append((type("Dict", (_Dict,), {}), plain))
        elif EXTRAS.fullmatch(name):
            ours.append((type("Extra", (StandIn,), {"original": name}), plain))
    others = serialization.get_safe_globals()
    serialization.clear_safe_globals()
    try:
        serialization.add_safe_globals(ours)
        yield
    finally:
        serialization.clear_safe_globals()
        serialization.add_safe_globals(others)


# --- dicts of unknown classes -----------------------------------------------------------------------------------------


class _Use:
    """A symbol on the stack: the global `name`, or (made) what calling it with nothing gave."""

    def __init__(self, name: str, made: bool = False) -> None:
        self.name, self.made = name, made


_MARK = object()


class _Uses:
    """What a pickle does with the globals it names, told on symbols: filled, those that were called with nothing and then given
    items; spent, those that were used in any other way."""

    def __init__(self) -> None:
        self.filled: set[str] = set()
        self.spent: set[str] = set()
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        if not self.stack:
            raise ValueError("the stack is empty")
        return self.stack.pop()

    def spend(self, symbol: Any) -> None:
        if isinstance(symbol, _Use) and not symbol.made:
            self.spent.add(symbol.name)

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        name = opcode.name
        if name == "GLOBAL":
            self.stack.append(_Use(str(argument).replace(" ", ".", 1)))
        elif name == "EMPTY_TUPLE":
            self.stack.append(())
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[int(argument)] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo.get(int(argument)))
        elif name in ("REDUCE", "NEWOBJ"):
            given, called = self.pop(), self.pop()
            empty = isinstance(called, _Use) and not called.made and given == ()
            if not empty:
                self.spend(called)
            self.stack.append(_Use(called.name, made=True) if empty else None)
        elif name == "MARK":
            self.stack.append(_MARK)
        else:
            self._other(opcode)
        if len(self.stack) > SYMBOLS or len(self.memo) > SYMBOLS:
            raise ValueError("too deep")

    def _other(self, opcode: pickletools.OpcodeInfo) -> None:
        """Any opcode by what pickletools says of its effect on the stack."""
        before = list(opcode.stack_before)
        if pickletools.markobject in before:
            while (symbol := self.pop()) is not _MARK:
                self.spend(symbol)
            before = before[: before.index(pickletools.markobject)]
        taken = [self.pop() for _ in before][::-1]
        for symbol in taken[1:] if opcode.name in ("SETITEM", "SETITEMS", "BUILD") else taken:
            self.spend(symbol)
        if opcode.name in ("SETITEM", "SETITEMS") and isinstance(taken[0], _Use) and taken[0].made:
            self.filled.add(taken[0].name)
        self.stack += taken[:1] if opcode.name in ("SETITEM", "SETITEMS", "BUILD") else [None] * len(opcode.stack_after)


def dict_classes(stream: BinaryIO, pickles: int) -> frozenset[str]:
    """Globals of unknown libraries that a pickle only ever calls with nothing and then gives items: subclasses of dict and
    OrderedDict are written so. Nothing is built. Names of Python's own library and of torch are none of them."""
    uses = _Uses()
    try:
        for _ in range(pickles):
            uses.stack = []
            uses.memo = {}
            for opcode, argument, _ in pickletools.genops(stream):
                uses.step(opcode, argument)
    except Exception:  # damaged or hostile bytes: the loader will say so
        return frozenset()
    own = {*sys.stdlib_module_names, "torch", "__builtin__", "numpy"}
    return frozenset(n for n in uses.filled - uses.spent if n.partition(".")[0] not in own)
