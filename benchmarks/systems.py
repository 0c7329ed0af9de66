"""The systems that are measured: official configs with random weights, real maps where there are any, calls side by side.

Each gives `Case`s: "plain" is the reading of the authors' code (`readings`), "form" one map to one picture with the inference form,
"kept" the same where the layout is there already, "layout" and "stroke" what it costs to make a layout and to renew it after a
change of 1 % of the pixels, "forty" 40 styles of one map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn

import zoo
from benchmarks import readings
from zoo.maps import SemanticMap
from zoo.rng import Rng

SAMPLES = {
    "ade20k": "samples/ade20k/annotations",
    "coco": "samples/coco_stuff/val_label",
    "gta5": "samples/gta5/LabelgrayFull20",
    "celeba": "celebamask-hq/labels",
}
PORTRAIT = (
    "skin", "nose", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip", "hair", "neck", "cloth",
)  # fmt: skip


@dataclass
class Case:
    """Calls that are timed beside each other. equal: pairs of calls whose results must agree within 2e-5 (class numbers: entirely)."""

    name: str
    calls: dict[str, Callable[[], Any]]
    equal: tuple[tuple[str, str], ...] = (("plain", "form"),)
    remarks: dict[str, Any] = field(default_factory=dict)


READINGS = {
    "spade": readings.spade,
    "clvae": readings.clvae,
    "scgan": readings.scgan,
    "oasis": readings.oasis,
    "sean": readings.sean,
    "clade": readings.clade,
    "inade": readings.inade,
    "cc-fpse": readings.cc_fpse,
    "groupdnet": readings.groupdnet,
}
SYNTHESIZERS = (
    "spade/ade20k",
    "spade/coco",
    "clvae/ade20k",
    "clvae/gta5",
    "scgan/ade20k",
    "scgan/celeba",
    "oasis/ade20k",
    "sean/celeba",
    "clade/ade20k",
    "clade/ade20k-icpe",
    "inade/ade20k",
    "cc-fpse/ade20k",
    "groupdnet/ade20k",
)
GENERATORS = ("segvae/celeba", "mask-vae/celeba")


def cases(reference: str, data: Path | None, batch: int, changes: dict[str, Any] | None = None) -> Iterator[Case]:
    """The cases of ARCHITECTURE/VARIANT at a batch size. data: a folder like the shared one (None: scenes of random shapes).
    changes: of the config, for a quick look at smaller networks."""
    model = build(reference, changes or {})
    make = {"segvae": _segvae, "mask-vae": _mask_vae}.get(reference.partition("/")[0], _synthesizer)
    yield from make(reference, model, data, batch)


@torch.no_grad()
def build(reference: str, changes: dict[str, Any]) -> Any:
    """A model with random weights; norms have statistics of their own, zero convolutions are none."""
    torch.manual_seed(0)
    model: Any = zoo.create(reference, **changes).eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
        elif isinstance(part, nn.Conv2d) and not part.weight.any():
            nn.init.normal_(part.weight, 0, 0.02)
    if reference.startswith("segvae"):
        for parameter in model.decoder.parameters():
            parameter.mul_(50)  # from the official gain of .02 to 1: shapes that are neither flat nor hard
    if reference.startswith("sean"):
        for name, parameter in model.named_parameters():
            if name.endswith(("noise_var", "blending_gamma", "blending_beta")):
                parameter.normal_(0, 0.3)
        codes = torch.randn(model.label_input.channels, model.config.style_dim).tanh()
        model.assets = {"mean_style": {"codes": codes, "photos": torch.ones(len(codes), dtype=torch.int64)}}
    return model.requires_grad_(False)


# --- maps -------------------------------------------------------------------------------------------------------------


def scene(size: tuple[int, int], classes: int, seed: int) -> np.ndarray:
    """A made-up map [H, W] of some twenty regions with curved borders."""
    rng = np.random.default_rng(seed)
    centres = rng.random((24, 2)) * size
    y, x = np.mgrid[: size[0], : size[1]]
    wave = 6 * np.sin(x / 17.0 + seed) + 4 * np.cos(y / 11.0)
    distance = np.stack([np.hypot(y - a + wave, x - b + wave) for a, b in centres])
    return rng.integers(0, classes, 24)[distance.argmin(0)]


def read_maps(reference: str, model: Any, data: Path | None, count: int) -> SemanticMap:
    """Maps at the model's size, those of the data set first; numbers that the model does not know become its last class."""
    height, width = model.resolution
    classes = len(model.label_space)
    folder = next((f for key, f in SAMPLES.items() if key in reference), None)
    files = sorted((data / folder).rglob("*.png"))[:count] if data and folder else []
    labels = [scene((height, width), classes, i) for i in range(len(files), count)]
    for path in reversed(files):
        with PIL.Image.open(path) as picture:
            labels.insert(0, np.array(picture.resize((width, height), PIL.Image.Resampling.NEAREST)).astype(np.int64))
    return SemanticMap(torch.from_numpy(np.stack(labels)).clamp(0, classes - 1), model.label_space)


def stroke(maps: SemanticMap) -> SemanticMap:
    """The maps with a square of 1 % of the pixels in another class that they show."""
    labels = maps.labels.clone()
    height, width = labels.shape[-2:]
    side = round((height * width) ** 0.5 / 10)
    labels[:, height // 3 : height // 3 + side, width // 2 : width // 2 + side] = labels[:, -1:, :1]
    return SemanticMap(labels, maps.space)


# --- cases ------------------------------------------------------------------------------------------------------------


def _synthesizer(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    reading = READINGS[reference.partition("/")[0]]
    maps, fast = read_maps(reference, model, data, batch), model.optimized()
    style = _style(model, maps, Rng(0, range(batch)))
    layout, edited = fast.layout(maps), stroke(maps)
    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": lambda: reading(model, maps, style),
            "form": lambda: fast.synthesize(maps, style),
            "kept": lambda: fast.synthesize(layout, style),
            "layout": lambda: fast.layout(maps),
            "stroke": lambda: fast.layout(edited, reuse=layout),
        },
        (("plain", "form"), ("plain", "kept")),
    )
    if batch == 1 and style is not None:
        styles = _style(model, _repeated(maps, 40), Rng(0, range(40)))
        yield Case(
            f"{reference}, 40 styles of a map",
            {
                "plain": lambda: torch.cat([reading(model, maps, styles[i : i + 1]) for i in range(40)]),
                "form": lambda: torch.cat([fast.synthesize(layout, styles[i : i + 4]) for i in range(0, 40, 4)]),
            },
        )


def _repeated(maps: SemanticMap, count: int) -> SemanticMap:
    return SemanticMap(maps.labels.expand(count, -1, -1), maps.space)


def _style(model: Any, maps: SemanticMap, rng: Rng) -> Any:
    if not model.styles:
        return None
    style = model.sample_style(maps, rng)
    return model.complete_style(style, maps, rng) if hasattr(model, "complete_style") else style


def _segvae(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """Batch 1: a usual portrait. More: maps of the data set give the label sets, or portraits with random classes left out."""
    fast = model.optimized()
    if batch == 1 or data is None:
        left_out = np.random.default_rng(0).random((batch, len(PORTRAIT))) < (0.2 if batch > 1 else 0)
        sets = [
            model.label_space.label_set([n for n, out in zip(PORTRAIT, row, strict=True) if not out or n == "skin"])
            for row in left_out
        ]
    else:
        maps = read_maps(reference, model, data, batch)
        sets = model.label_sets_of(maps)
    vector = model.vector(model.presence(sets))
    latents = model.sample_latents(sets, Rng(0, range(batch)))
    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": lambda: readings.segvae(model, vector, latents["eps"]),
            "form": lambda: fast.shapes(vector, latents),
        },
    )


def _mask_vae(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    maps, fast = read_maps(reference, model, data, batch), model.optimized()
    states = model.start_states(batch, None)
    codes = fast.encode(maps)

    def plain() -> Tensor:
        return model.values[readings.mask_vae(model, maps, **states)]

    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": plain,
            "form": lambda: fast.decode(fast.encode(maps)).labels,
            "kept": lambda: fast.decode(codes).labels,
        },
        (("plain", "form"), ("plain", "kept")),
    )
