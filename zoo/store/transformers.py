"""Segmentation models of the library transformers as parsers: a folder that `save_pretrained` wrote, or one of its cache (extra `parsers`)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ConfigError, DataError, UsageError, WeightsError, ZooError
from zoo.files.configfile import config_values
from zoo.files.jsonfiles import read_json
from zoo.interfaces.models import MaskParser
from zoo.labels import LabelClass, LabelSpace, voc_color
from zoo.maps import SemanticMap

GENERIC = re.compile(r"LABEL_\d+")
"""How transformers calls classes that nobody named."""
PREPROCESSOR = "preprocessor_config.json"


@dataclass(frozen=True)
class TransformersConfig:
    """What is known of a model of transformers."""

    label_space: str
    """Its own, of the names in `id2label`."""
    architecture: str
    """The class of transformers."""
    offset: int
    """What its class numbers lie below those of the maps it was trained on (`do_reduce_labels`: 1)."""
    resolution: tuple[int, int]
    """(height, width) that its processor makes."""


def is_transformers(folder: Path) -> bool:
    """Whether a folder holds a model of transformers rather than one of the zoo."""
    try:
        values = config_values(folder)
    except ZooError:
        return False
    return "architecture" not in values and isinstance(values.get("architectures"), list) and "model_type" in values


def reduces_labels(folder: Path) -> bool:
    """Whether the maps of its training lost their class 0: `do_reduce_labels`, or `reduce_labels` as older files call it, which present
    versions of transformers do not read."""
    path = folder / PREPROCESSOR
    if not path.is_file():
        return False
    values = read_json(path, error=ConfigError, what="a processor's config")
    return bool(values.get("do_reduce_labels", values.get("reduce_labels", False)))


def class_names(values: Mapping[str, Any], offset: int, space: LabelSpace | None, where: str) -> tuple[str, ...]:
    """The names of its outputs in order: `id2label`, or, where nobody named them, those of `space` from `offset` on.

    Raises UsageError where that space has another number of classes or is not given.
    """
    listed = values.get("id2label")
    if not isinstance(listed, Mapping) or not listed:
        raise ConfigError(f"{where}: id2label is missing, so nobody knows what its classes are.")
    try:
        named = [str(listed[key]) for key in sorted(listed, key=int)]
    except ValueError:
        raise ConfigError(f"{where}: the keys of id2label are no numbers.") from None
    if not all(GENERIC.fullmatch(name) for name in named):
        return tuple(f"{n} ({i})" if n in named[:i] else n for i, n in enumerate(named))
    if space is None or len(space) != len(named) + offset:
        given = (
            f"and {space.name!r} has {len(space)} with {offset} left out" if space else "and no label space says them"
        )
        raise UsageError(
            f"{where}: its {len(named)} classes have no names (LABEL_0, …), {given}: write them into id2label."
        )
    return space.names[offset:]


class TransformersParser(MaskParser):
    """A model of transformers behind the zoo's interface. Nothing is random; pictures are prepared by its own processor."""

    def __init__(self, config: TransformersConfig, space: LabelSpace, network: Any, processor: Any) -> None:
        super().__init__(config, space)
        self.network, self.processor = network, processor

    @property
    def channels(self) -> tuple[str, ...]:
        return self.label_space.names

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.resolution

    @torch.no_grad()
    def parse(self, images: Tensor) -> SemanticMap:
        """images float32 [B, 3, H, W] in [0, 1], any size -> maps [B, H, W], as the processor's `post_process_semantic_segmentation`."""
        outputs = self.network(**self._inputs(images))
        sizes = [tuple(images.shape[-2:])] * len(images)
        maps = self.processor.post_process_semantic_segmentation(outputs, target_sizes=sizes)
        return SemanticMap(torch.stack(list(maps)), self.label_space)

    def features(self, images: Tensor) -> list[Tensor]:
        """Hidden states that are maps, in order. Not differentiable with respect to the images (the processor works on bytes)."""
        outputs = self.network(**self._inputs(images), output_hidden_states=True)
        return [h for h in outputs.hidden_states or () if h.dim() == 4]

    def _inputs(self, images: Tensor) -> dict[str, Tensor]:
        if images.dim() != 4 or images.shape[1] != 3:
            raise DataError(f"The parser reads RGB photos [B, 3, H, W], got {tuple(images.shape)}.")
        pixels = (images.detach().float().clamp(0, 1) * 255).round().byte().cpu().permute(0, 2, 3, 1).numpy()
        inputs = self.processor(images=list(pixels), return_tensors="pt", input_data_format="channels_last")
        return {name: value.to(self.device) for name, value in inputs.items()}


def load_transformers(folder: Path, space: LabelSpace | None = None) -> TransformersParser:
    """A semantic segmentation model that transformers wrote, in evaluation mode. No code of the folder runs, nothing is fetched.

    space: names the classes where the folder does not. Raises UsageError where transformers is not installed or this is no
    segmentation, ConfigError, WeightsError.
    """
    try:
        import transformers
    except ImportError:
        raise UsageError(f"{folder} is a model of transformers: pip install 'maskzoo[parsers]'.") from None
    values, where = config_values(folder), str(folder / "config.json")
    name = str((values["architectures"] or [""])[0])
    kind = getattr(transformers, name, None)
    if kind is None or not name.endswith("Segmentation"):
        raise UsageError(
            f"{folder} holds {name or 'nothing'} of transformers {transformers.__version__}, no semantic segmentation."
        )
    offset = int(reduces_labels(folder))
    names = class_names(values, offset, space, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, torch_dtype=torch.float32
            )
            processor = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises many kinds
        raise WeightsError(
            f"{folder} cannot be loaded by transformers ({type(error).__name__}: {str(error)[:300]})."
        ) from error
    background = next((n for n in names if n.lower() == "background"), None)
    classes = tuple(LabelClass(n, voc_color(i)) for i, n in enumerate(names))
    own = LabelSpace(folder.name, classes, background)
    config = TransformersConfig(own.name, name, offset, _size(getattr(processor, "size", None)))
    return TransformersParser(config, own, network, processor).eval().requires_grad_(False)


def _size(size: Any) -> tuple[int, int]:
    """(height, width) of what a processor makes; it may say one side only."""
    values = (
        dict(size)
        if isinstance(size, Mapping)
        else {k: getattr(size, k, None) for k in ("height", "width", "shortest_edge")}
    )
    side = values.get("shortest_edge") or values.get("longest_edge") or 512
    return int(values.get("height") or side), int(values.get("width") or side)
