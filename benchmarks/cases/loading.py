"""Cases of loading: a model folder beside what a script of the authors' does, which builds a random network and reads a checkpoint into it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import zoo
from benchmarks.cases.case import Case


def loading(reference: str, model: Any, changes: dict[str, Any]) -> Iterator[Case]:
    """From a file to a model that works: "plain" a checkpoint of torch, "ours" `zoo.load` of a folder as it is, "form" and as inference form.

    The files were just written, so what is measured is not the disk.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder, checkpoint = Path(temporary) / "model", Path(temporary) / "model.pth"
        zoo.save(model, folder)
        torch.save(model.state_dict(), checkpoint)

        def plain() -> Any:
            made: Any = zoo.create(reference, **changes).eval()
            made.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
            return made

        yield Case(
            f"{reference}, loading",
            {"plain": plain, "ours": lambda: zoo.load(folder), "form": lambda: zoo.load(folder).optimized_in_place()},
            (),
        )
