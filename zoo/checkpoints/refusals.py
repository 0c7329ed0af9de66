"""What a pickle wants to import, told without running it: refusals name the culprit."""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from pathlib import Path

from zoo.errors import WeightsError, few

HARMLESS = re.compile(
    r"collections\.(OrderedDict|Counter)|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_\w+|torch\.(storage\.)?\w*Storage"
    r"|torch\.(Size|Tensor|device|dtype|u?int\d+|b?float\d+|bool|complex\d+)|torch\.nn\.parameter\.(Parameter|Buffer)"
    r"|torch\.serialization\._get_layout"
)
"""What plain checkpoints name. The loader (`weights_only=True`) decides; this only sorts the names for people."""
MODULES = ("torch.nn.", "torch.jit.", "torchvision.", "timm.")
WAY_OUT = (
    "Nothing of it was run. Ask for safetensors; or, if you trust its authors, open it with torch.load(FILE, weights_only=False)"
    " on a machine that holds nothing of value, and save the state dict there with safetensors.torch.save_file."
)
_SCAN_LIMIT = 64 << 20
_STREAMS = 64
"""More pickles in a row are not looked at; torch before 1.6 wrote five."""


def globals_of(data: bytes) -> list[str]:
    """`module.name` of everything that a pickle stream (or several in a row) imports, in order, each once.

    Opcodes are read, nothing is built. A stream that breaks off gives what stands before the break.
    """
    names: dict[str, None] = {}
    stream = io.BytesIO(data)
    for _ in range(_STREAMS):
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
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next((n for n in archive.namelist() if n.endswith("data.pkl")), None)
                if name is None:
                    return b""
                with archive.open(name) as file:
                    return file.read(_SCAN_LIMIT)
        with path.open("rb") as file:
            return file.read(_SCAN_LIMIT)
    except (
        OSError,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
    ):  # what zipfile raises for odd archives
        return b""


def refusal(path: Path, reason: str) -> WeightsError:
    """The error for a pickle that the loader refused; names what it would import."""
    names = [n for n in globals_of(pickle_bytes(path)) if not _harmless(n)]
    if not names:
        return WeightsError(f"{path} is refused: {_first_line(reason)} {WAY_OUT}")
    what = "holds a whole pickled module, which is code and not only tensors" if _is_module(names) else "would run code"
    return WeightsError(f"{path} is refused: its pickle {what}; it imports {few(names, 6)}. {WAY_OUT}")


def _harmless(name: str) -> bool:
    return HARMLESS.fullmatch(name) is not None


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
