"""The zip archives of torch.save: which are read, and how large the records of their storages are."""

from __future__ import annotations

import zipfile
from pathlib import Path

from zoo.checkpoints.foreign import EXPECTED
from zoo.checkpoints.refusals import WAY_OUT
from zoo.errors import WeightsError, few

_MEMBERS = 400_000
"""More than any checkpoint has: one for each tensor."""
_ENCRYPTED = 1


def check_archive(path: Path, size: int) -> None:
    """Raise WeightsError for an archive that torch.save did not write: code, packed or doubled members, sizes that the file has not."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries, comment = archive.infolist(), archive.comment
    except (
        zipfile.BadZipFile,
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # RuntimeError: a zip version that zipfile cannot read
        raise WeightsError(f"{path} is damaged or cut off ({error}, {size} bytes): get it again.") from error
    names = [e.filename for e in entries]
    leaves = [n.rpartition("/")[2] for n in names]
    if "constants.pkl" in leaves or any("/code/" in f"/{n}" for n in names):
        raise WeightsError(
            f"{path} is refused: it is a TorchScript archive, which is code and not only tensors. {WAY_OUT}"
        )
    if "data.pkl" not in leaves:
        raise WeightsError(f"{path} is a zip archive without a checkpoint (it has {few(names)}): {EXPECTED}.")
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries) or sum(e.file_size for e in entries) > size:
        raise WeightsError(
            f"{path} is refused: it is a compressed archive, and those of torch.save are not. Get the file as its authors wrote it."
        )
    # two readers could take two different members for the pickle: the one that was judged must be the one that is read
    folded = {n.casefold() for n in names}
    roots = {n.partition("/")[0] for n in names}
    odd = (
        comment or len(folded) != len(names) or len(roots) > 1 or len(names) > _MEMBERS or leaves.count("data.pkl") > 1
    )
    if odd or any(e.flag_bits & _ENCRYPTED or e.file_size != e.compress_size for e in entries):
        raise WeightsError(
            f"{path} is refused: its archive is put together as torch.save puts none together (members that occur twice, several"
            f" folders, or encrypted). Get the file as its authors wrote it."
        )


def storage_sizes(path: Path) -> dict[str, int]:
    """Bytes of each storage in an archive, by its key."""
    with zipfile.ZipFile(path) as archive:
        members = [(e.filename.split("/"), e.file_size) for e in archive.infolist()]
    return {parts[-1]: size for parts, size in members if len(parts) == 3 and parts[1] == "data"}
