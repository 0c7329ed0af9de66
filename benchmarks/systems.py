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
from zoo.graphs import scene_graph
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo_plugins.sims.bank import bank_tensors
from zoo_plugins.sims.segments import find_segments

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
    "sims": readings.sims,
    "pix2pixhd": readings.pix2pixhd,
    "crn": readings.crn,
    "cimle": readings.cimle,
    "maskgan": readings.maskgan,
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
    "sdm/ade20k",
    "sims/cityscapes-256",
    "pix2pixhd/cityscapes-512",
    "crn/cityscapes-256",
    "cimle/gta5",
    "maskgan/celeba",
    "groupdnet/ade20k",
)
GENERATORS = ("segvae/celeba", "mask-vae/celeba", "maskgan-vae/celeba", "sg2im/coco64")
TRANSLATORS = ("munit/edges2shoes", "dmit/yosemite", "scgan-unpaired/yosemite")
TRANSLATING = {
    "munit": (readings.munit, "style"),
    "dmit": (readings.dmit, "z"),
    "scgan-unpaired": (readings.scgan_unpaired, "z"),
}
"""The reading of each, and the tensor of its styles."""


def cases(reference: str, data: Path | None, batch: int, changes: dict[str, Any] | None = None) -> Iterator[Case]:
    """The cases of ARCHITECTURE/VARIANT at a batch size. data: a folder like the shared one (None: scenes of random shapes).
    changes: of the config, for a quick look at smaller networks."""
    model = build(reference, changes or {})
    yield from MAKERS.get(reference.partition("/")[0], _synthesizer)(reference, model, data, batch)


@torch.no_grad()
def build(reference: str, changes: dict[str, Any]) -> Any:
    """A model with random weights; norms have statistics of their own, zero convolutions are none."""
    torch.manual_seed(0)
    model: Any = zoo.create(reference, **changes).eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
        elif isinstance(part, nn.Conv1d | nn.Conv2d) and not part.weight.any():
            nn.init.normal_(part.weight, 0, 0.02)
    if reference.startswith("sg2im"):
        model.generator.box_net[-2].bias.copy_(torch.tensor([0.2, 0.2, 0.8, 0.8]))  # boxes that have a size
    if reference.startswith("segvae"):
        for parameter in model.decoder.parameters():
            parameter.mul_(50)  # from the official gain of .02 to 1: shapes that are neither flat nor hard
    if reference.startswith("sean"):
        for name, parameter in model.named_parameters():
            if name.endswith(("noise_var", "blending_gamma", "blending_beta")):
                parameter.normal_(0, 0.3)
        codes = torch.randn(model.label_input.channels, model.config.style_dim).tanh()
        model.assets = {"mean_style": {"codes": codes, "photos": torch.ones(len(codes), dtype=torch.int64)}}
    if reference.startswith("maskgan/"):
        size = 4 * model.config.style_width
        model.assets = {"latent_prior": {"mean": torch.zeros(size), "factor": torch.eye(size)}}
    if reference.startswith("sims"):
        model.assets = {"bank": _bank(model)}
    return model.requires_grad_(False)


def _bank(model: Any, photos: int = 20) -> dict[str, Tensor]:
    """A bank of drawn scenes, in which every class has a shade of its own."""
    high, low = model.resolution, model.config.low
    labels = torch.stack([torch.from_numpy(scene(high, model.roles.classes, 100 + i)) for i in range(photos)])
    small = SemanticMap(labels, model.label_space).resize(low).labels
    shades = torch.rand(model.roles.classes, 3, generator=torch.Generator().manual_seed(0))
    pictures = [shades[part].permute(0, 3, 1, 2) for part in (labels, small)]
    segments = find_segments(small, model.roles.classes, model.roles.thin)
    return bank_tensors(segments, labels, pictures[0], pictures[1], [f"scene-{i}" for i in range(photos)])


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


def _sdm(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """One guided step, of which sampling has as many as its options say; `form` makes the layout before it, as the first step does."""
    maps, fast = read_maps(reference, model, data, batch), model.optimized()
    style, times = (
        model.sample_style(maps, Rng(0, range(batch))),
        torch.full((batch,), model.config.diffusion_steps // 2),
    )
    layout, edited = fast.layout(maps), stroke(maps)

    def step(planned: Any) -> Tensor:
        return torch.cat(fast.denoiser(planned, batch)(style.tensors["noise"], times, True))

    yield Case(
        f"{reference}, a guided step, batch {batch}",
        {
            "plain": lambda: readings.sdm(model, maps, style, times),
            "form": lambda: step(fast.layout(maps)),
            "kept": lambda: step(layout),
            "layout": lambda: fast.layout(maps),
            "stroke": lambda: fast.layout(edited, reuse=layout),
        },
        (("plain", "form"), ("plain", "kept")),
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


def _translator(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """Photos of smooth noise; "kept": their content is there already, as for a further style of a photo."""
    fast, (reading, name) = model.optimized(), TRANSLATING[reference.partition("/")[0]]
    coarse = Rng(0, range(batch)).uniform("photos", shape=(3, 8, 8)).float()
    photos = nn.functional.interpolate(coarse, model.resolution, mode="bicubic").clamp(0, 1)
    style = model.sample_style(batch, Rng(0, range(batch)), domain=model.targets[-1])
    content = fast.encode_content(photos)
    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": lambda: reading(model, photos, style.tensors[name]),
            "form": lambda: fast.translate(photos, style=style),
            "kept": lambda: fast.translate(content, style=style),
        },
        (("plain", "form"), ("plain", "kept")),
    )


def _sg2im(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    """A graph of eight objects and eight relations, to a map and to a picture. Nothing of it comes from data."""
    del data
    fast, space = model.optimized(), model.label_space
    relationships = [(i, model.predicates[i % len(model.predicates)], (i + 3) % 8) for i in range(8)]
    conditions = [scene_graph(space, model.channels[:8], relationships)] * batch
    graphs, noise = (
        model.vocabulary.encode(conditions)[0],
        torch.randn(batch, model.config.noise_dim, *model.resolution),
    )

    def form() -> Tensor:
        read = fast.generator.read(graphs)
        layout = fast.generator.layout(graphs, read.vectors, read.boxes, read.masks)
        return fast.generator.paint(layout, noise)

    yield Case(f"{reference}, batch {batch}", {"plain": lambda: readings.sg2im(model, graphs, noise)[1], "form": form})


def _maskgan_vae(reference: str, model: Any, data: Path | None, batch: int) -> Iterator[Case]:
    maps, fast = read_maps(reference, model, data, batch), model.optimized()
    codes = fast.encode(maps)
    yield Case(
        f"{reference}, batch {batch}",
        {
            "plain": lambda: model.values[readings.maskgan_vae(model, maps)],
            "form": lambda: fast.decode(fast.encode(maps)).labels,
            "kept": lambda: fast.decode(codes).labels,
        },
        (("plain", "form"), ("plain", "kept")),
    )


MAKERS = {
    "segvae": _segvae, "mask-vae": _mask_vae, "maskgan-vae": _maskgan_vae, "sdm": _sdm, "sg2im": _sg2im,
    **dict.fromkeys(TRANSLATING, _translator),
}  # fmt: skip
