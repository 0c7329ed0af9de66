"""What a pickle wants to import, told without running it: refusals name the culprit."""

from __future__ import annotations

import io
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path

from zoo.checkpoints.extras import dict_classes, is_read
from zoo.errors import WeightsError, few

MODULES = ("torch.nn.", "torch.jit.", "torchvision.", "timm.")
WAY_OUT = (
    "Nothing of it was run. Ask its publisher for safetensors. Whoever must open it uses a machine that is cut off and thrown away"
    " afterwards (no network, no keys, no files of value), and takes away its tensors alone, as safetensors."
)
_ZIP = b"PK\x03\x04"
SCAN_LIMIT = 64 << 20
"""Bytes of the longest pickle that is read: the tensors lie outside it."""
TORCH_PICKLES = 5
"""In a row, in a file of torch before 1.6; the tensors follow."""
_STREAMS = 64
"""More pickles in a row are not looked at."""


def globals_of(data: bytes, pickles: int = _STREAMS) -> list[str]:
    """`module.name` of everything that a pickle stream (or several in a row) imports, in order, each once.

    Opcodes are read, nothing is built. pickles: how many in a row. A stream that breaks off gives what stands before the break.
    """
    names: dict[str, None] = {}
    stream = io.BytesIO(data)
    for _ in range(pickles):
        if not _scan(stream, names):
            break
    return list(names)


def _scan(stream: io.BytesIO, names: dict[str, None]) -> bool:
    """Add the globals of the pickle that begins here to `names`; False where it breaks off."""
    texts: list[str] = []  # as pushed; STACK_GLOBAL takes the last two
    memo: dict[int, str] = {}
    last = ""
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            name = opcode.name
            if name in ("GLOBAL", "INST"):
                names[str(argument).replace(" ", ".", 1)] = None
            elif name == "STACK_GLOBAL":
                names[".".join(texts[-2:]) if len(texts) > 1 else "an unnamed global"] = None
            elif name in ("EXT1", "EXT2", "EXT4"):
                names[f"extension {argument}"] = None
            elif name == "MEMOIZE":
                memo[len(memo)] = last
            elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
                memo[int(argument)] = last  # pyright: ignore[reportArgumentType]
            elif name in ("GET", "BINGET", "LONG_BINGET"):
                last = memo.get(int(argument), "")  # pyright: ignore[reportArgumentType]
                texts.append(last)
            elif name == "STOP":
                return True
            if (isinstance(argument, str) and "UNICODE" in name) or name.endswith("STRING"):
                last = str(argument)
                texts.append(last)
    except Exception:  # damaged or hostile bytes: what was read until here still counts
        return False
    return False


def pickle_bytes(path: Path) -> bytes:
    """The pickle of a torch file: `data.pkl` of an archive, the beginning of any other file."""
    try:
        with path.open("rb") as file:
            if file.read(len(_ZIP)) != _ZIP:
                file.seek(0)
                return file.read(SCAN_LIMIT)
        with zipfile.ZipFile(path) as archive:
            name = next((n for n in archive.namelist() if n.endswith("data.pkl")), None)
            if name is None:
                return b""
            with archive.open(name) as file:
                return file.read(SCAN_LIMIT)
    except Exception:  # zipfile meets damaged bytes in many ways: names that are no text, cut headers, odd flags
        return b""


def refusal(path: Path, reason: str) -> WeightsError:
    """The error for a pickle that the loader refused; names what it would import."""
    names = judge(pickle_bytes(path)).harmful
    if not names:
        return WeightsError(f"{path} is refused: {_first_line(reason)} {WAY_OUT}")
    return named_refusal(path, names)


def named_refusal(path: Path, names: list[str]) -> WeightsError:
    """The error for a pickle that names these."""
    what = "holds a whole pickled module, which is code and not only tensors" if _is_module(names) else "would run code"
    return WeightsError(f"{path} is refused: its pickle {what}; it imports {few(names, 6)}. {WAY_OUT}")


@dataclass(frozen=True)
class Named:
    """What a pickle imports, in order; dicts: those that stand for dicts; harmful: those that no checkpoint needs."""

    names: list[str]
    dicts: frozenset[str]
    harmful: list[str]


def judge(data: bytes, pickles: int = _STREAMS) -> Named:
    """The globals of a pickle (or several in a row), judged without building anything."""
    names = globals_of(data, pickles)
    unknown = [n for n in names if not is_read(n)]
    dicts = dict_classes(io.BytesIO(data), min(pickles, TORCH_PICKLES)) if unknown else frozenset()
    return Named(names, dicts, [n for n in unknown if n not in dicts])


def _is_module(names: list[str]) -> bool:
    """A network that was pickled whole names the classes of its layers, and nothing else that is not harmless."""
    return all(n.startswith((*MODULES, "__builtin__.set", "builtins.set")) for n in names) and any(
        n.startswith(MODULES) for n in names
    )


def _first_line(reason: str) -> str:
    """What torch says, without its advice to switch the protection off."""
    for line in reason.splitlines():
        if "WeightsUnpickler error:" in line:
            text = line.partition("WeightsUnpickler error:")[2].strip().rstrip(".")
            return f"{text}." if text else "its pickle is no plain one."
    return "it is not a plain checkpoint of tensors."
