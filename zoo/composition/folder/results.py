"""What a composition gives back in Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.composition.folder.manifest import make_manifest
from zoo.composition.folder.outputs import OutputFolder
from zoo.composition.request.requests import Request
from zoo.composition.run.part import Part
from zoo.composition.summary import summarize
from zoo.files.images import to_pil
from zoo.files.opened import OpenedFiles
from zoo.maps import SemanticMap
from zoo.style import Style

if TYPE_CHECKING:
    from PIL.Image import Image

    from zoo.composition.models import Models
    from zoo.composition.run.part import Part


@dataclass(eq=False)
class Result:
    """maps: the semantic maps, in the synthesizer's space (None of an image generator); images: float32 [N, 3, H, W] in [0, 1]
    or None; pasted: with `paste`, each picture in its photo, uint8 [H, W, 3]; styles: the Style of each sample
    or None; report: seed, mapping, per-sample records and how often requested classes appeared."""

    maps: SemanticMap | None
    images: Tensor | None
    styles: Style | None
    report: dict[str, Any]
    _models: Models
    _request: Request
    _files: OpenedFiles
    pasted: list[np.ndarray] | None = None

    @classmethod
    def collect(cls, models: Models, request: Request, parts: list[Part], files: OpenedFiles) -> Result:
        """All batches of a run as one. files: those that it read."""
        records = [r for p in parts for r in p.records]
        maps = [p.maps for p in parts if p.maps is not None]
        images = [p.images for p in parts if p.images is not None]
        styles = [p.styles for p in parts if p.styles is not None]
        report = {
            "composition": models.name,
            "seed": request.seed,
            "mappings": [m.report() for m in models.mappings(request)],
            "samples": records,
            **summarize(records, sets=request.label_sets is not None, balance=dict(request.balance)),
        }
        return cls(
            SemanticMap.cat(maps) if maps else None,
            torch.cat(images) if images else None,
            Style.cat(styles) if styles else None,
            report,
            models,
            request,
            files,
            [picture for part in parts for picture in part.pasted or ()] if request.paste else None,
        )

    def __len__(self) -> int:
        return len(self.report["samples"])

    def pil(self) -> list[Image]:
        """The pictures as PIL images (the colourised maps if there are no pictures)."""
        if self.images is not None:
            return [to_pil(p) for p in self.images]
        assert self.maps is not None  # a run makes one of the two
        return [to_pil(p) for p in self.maps.colorize()]

    def save(self, folder: Path | str, *, overwrite: bool = False, inputs: bool = True) -> Path:
        """Write the folder that `zoo compose --out` writes; returns it.

        inputs: False: copy none of the files that the run read; the manifest has their sha256, and `zoo replay --input` asks for them.

        Raises UsageError for a folder of something else, DataError if an input was changed since the run read it.
        """
        path = Path(folder)
        manifest, copies = make_manifest(self._models, self._request, self._files, inputs=inputs)
        with OutputFolder(path, manifest, copies, overwrite=overwrite, space=self._models.space) as output:
            if not output.finished:
                output.write(Part(0, self.maps, self.images, self.styles, self.report["samples"], self.pasted))
                output.finish()
        return path
