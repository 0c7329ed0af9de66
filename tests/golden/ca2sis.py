"""Replay of the golden case of CA2SIS, the synthesizer bundled with mask-vae: weights by formula through `official.py`.

Loaded by file path (`mask_vae.py` hands its case over), so it imports nothing from its own folder.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo_plugins.ca2sis import official
from zoo_plugins.ca2sis.config import CA2SISConfig
from zoo_plugins.ca2sis.model import CA2SIS

HAIR = 13
Result = dict[str, Tensor]


def holds(io: Result) -> bool:
    """Whether a case of mask-vae is one of the bundled synthesizer."""
    return any(name.startswith(("style_tokens", "layout_codes", "out_style", "out_hair")) for name in io)


def official_keys() -> dict[str, str]:
    """Our key -> the official one, for the demo's config."""
    blocks = range(2, 7)
    names = [f"style_encoder.Encoder.first_layer.{j}" for j in (0, 1)]
    names += [f"style_encoder.Encoder.enc_layer_{i}.{j}" for i in range(6) for j in (0, 1)]
    names += [f"style_encoder.Decoder.dec_layer_{i}.{j}" for i in range(5) for j in (1, 2)]
    names += [f"style_encoder.out.out_{i}.0" for i in range(5)]
    names += ["encs.encs.0", "reshape_conv", "out_conv"]
    layers = ("in_layers.0", "in_layers.2", "out_layers.0", "out_layers.3", "skip_connection")
    names += [f"res{i}.{layer}" for i in blocks for layer in layers]
    inner = [f"attn{a}.{k}" for a in (1, 2) for k in ("to_q", "to_k", "to_v", "to_out.0")]
    inner += ["ff.net.0.proj", "ff.net.2", "norm1", "norm2", "norm3"]
    names += [f"cross{i}.transformer_blocks.0.{layer}" for i in blocks for layer in inner]
    names += [f"cross{i}.{layer}" for i in blocks for layer in ("norm", "proj_in", "proj_out")]
    keys = [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    return {ours: key for key in keys if (ours := official.rename(key)) is not None}


def formula(key: str, shape: tuple[int, ...]) -> Tensor:
    """The weights of `case.json` (`weights_formula`)."""
    u = np.random.RandomState(zlib.crc32(key.encode())).random_sample(int(np.prod(shape))).reshape(shape) * 2 - 1
    if len(shape) >= 2:
        u = u * np.sqrt(3 / np.prod(shape[1:]))
    else:
        u = 1 + 0.3 * u if key.endswith(".weight") else 0.1 * u
    return torch.from_numpy(u.astype(np.float32))


def build(config: CA2SISConfig | None = None) -> CA2SIS:
    """The model of the case, in evaluation mode: formula weights by official key, then through `official.convert`."""
    model = CA2SIS(config or CA2SISConfig(), numbered_space(19, background=True))
    names = official_keys()
    state = {names[k]: formula(names[k], tuple(v.shape)) for k, v in model.state_dict().items()}
    model.load_state_dict(official.convert({"generator": state}), strict=True)
    return model.eval()


@torch.no_grad()
def run(model: CA2SIS, labels: Tensor, images: Tensor, source: int = 0, target: int = 1) -> Result:
    """labels [B, H, W] int64, images [b, 3, H, W] in [-1, 1], those of the first b maps: codes, tokens, and two pictures before
    clipping, each where its map and its photos are there."""
    planes = model.planes(SemanticMap(labels, model.label_space))
    plan = model.generator.plan(planes)
    results = {"layout_codes": plan.codes}
    if not len(images):
        return results
    tokens = results["style_tokens"] = model.encoder(images, planes[: len(images)]).flatten(2)
    layouts = {i: type(plan)(*(t[[i]] for t in plan)) for i in (source, target) if i < len(labels)}
    if target in layouts and source < len(tokens):
        results["out_style0_layout1"] = model.generator.render(layouts[target], tokens[[source]])
    if source in layouts and max(source, target) < len(tokens):
        mixed = tokens[[source]].clone()
        mixed[:, HAIR] = tokens[[target], HAIR]
        results["out_hair_style_swap"] = model.generator.render(layouts[source], mixed)
    return results


def replay(case_dir: Path) -> Result:
    """The results of the case under their stored names."""
    io = load_file(case_dir / "io.safetensors")
    if "label" not in io:
        return {}
    labels = io["label"][:, 0].long()
    photos = io.get("image_u8", torch.zeros(0, 3, *labels.shape[1:], dtype=torch.uint8))
    found = run(build(), labels, (photos.float() / 255 - 0.5) / 0.5)
    results = {}
    for name in io:
        match = re.fullmatch(r"(.+)_s(\d+)", name)
        full, stride = (match[1], int(match[2])) if match else (name, 1)
        if full in found:
            value = found[full]
            results[name] = value[..., ::stride] if value.dim() == 3 else value[..., ::stride, ::stride]
    return results
