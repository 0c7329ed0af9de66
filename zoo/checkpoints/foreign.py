"""What a file is that is no checkpoint: said by its first bytes, without unpacking it."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path

from zoo.checkpoints.refusals import globals_of, pickle_bytes, refusal

EXPECTED = "expected a checkpoint of torch.save, safetensors, or TensorFlow's index (model.ckpt.index)"
_TAR = "a tar archive (a package, or torch before 0.2), which is not looked into: unpack it and name the checkpoint that is in it, or ask its publisher for safetensors."
_GZIP = b"\x1f\x8b"
_PACKED = {_GZIP: "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


def describe(path: Path, head: bytes) -> str:
    """The rest of the sentence "FILE is …". head: its first 512 bytes or more."""
    text = head.lstrip().lower()
    if text.startswith(b"version https://git-lfs"):
        return (
            "a Git LFS pointer, not the file itself: fetch it (git lfs pull) or download it from the repository's page."
        )
    if text.startswith((b"<!doctype", b"<html")):
        return "a web page, so the download went wrong: get the file itself."
    if is_tar(head) or is_tar(_unzipped(head)):  # before pickles: the name of its first file may look like one
        return _TAR
    packed = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    if packed:
        return f"compressed ({packed}): unpack it and name the checkpoint that is in it; {EXPECTED}."
    if globals_of(pickle_bytes(path)):
        return str(refusal(path, "")).removeprefix(f"{path} is ")
    if head[:1] == b"\x80":
        return f"a pickle, but none of torch.save: {EXPECTED}."
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "an HDF5 file (Keras or TensorFlow): " + EXPECTED + "."
    return f"no checkpoint (it starts with {head[:16]!r}): {EXPECTED}."


def is_tar(head: bytes) -> bool:
    """Is this the header of a tar's first file? It carries a checksum."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _unzipped(head: bytes) -> bytes:
    """The first block of what is packed with gzip, as far as `head` tells; else nothing."""
    if not head.startswith(_GZIP):
        return b""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, tarfile.BLOCKSIZE)
    except zlib.error:
        return b""
