"""Maps the recorded DMIT cases onto our API (docs/design.md, "Replay"). What differs between cases is read from the case."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from zoo_plugins.dmit import official
from zoo_plugins.dmit.config import DMITConfig, DMITOptions
from zoo_plugins.dmit.discriminators import PictureDiscriminator, StyleDiscriminator
from zoo_plugins.dmit.networks import ContentEncoder, Decoder, StyleEncoder, content_widths

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")
_NETWORK = {
    "fine_size": "resolution", "nef": "width", "n_style": "style_dim", "n_ds_blocks": "halvings", "n_content_resblocks": "content_blocks",
    "n_style_blocks": "style_blocks", "n_dec_resblocks": "decoder_blocks", "norm_type": "norm", "up_type": "upsampling",
    "use_dropout": "dropout",
}  # fmt: skip
_TRAINING = {
    "lr": "lr", "niter": "niter", "niter_decay": "niter_decay", "ndf": "ndf", "n_content_disblocks": "content_disblocks",
    "n_image_disblocks": "image_disblocks", "use_same_dis": "same_discriminator", "rec_mode": "rec_mode", "lambda_rec": "lambda_rec",
    "lambda_cyc": "lambda_cyc", "lambda_kl": "lambda_kl", "lambda_style": "lambda_style", "lambda_content": "lambda_content",
    "lambda_div": "lambda_div",
}  # fmt: skip
_MODES = {"lsgan": "ls", "dcgan": "original", "hinge": "hinge"}


def config_of(opt: Mapping[str, Any]) -> DMITConfig:
    """Our config from the authors' options."""
    fields = recorded.options(opt, _NETWORK)
    step = 2 ** fields.get("halvings", 2)
    return DMITConfig(channels=(), **{**fields, "resolution": max(step, fields.get("resolution", 256) // step * step)})


def options_of(opt: Mapping[str, Any]) -> DMITOptions:
    """Our training options from the authors'."""
    modes = {f"{k}_gan_mode": _MODES[opt[f"{k}_gan_mode"]] for k in ("content", "image") if f"{k}_gan_mode" in opt}
    return DMITOptions(**recorded.options(opt, _TRAINING), **modes)


def network_of(name: str, opt: Mapping[str, Any]) -> nn.Module:
    """A fresh network under the authors' name."""
    config, options, attributes = config_of(opt), options_of(opt), opt["n_attribute"]
    if name == "dis_content":
        width = content_widths(config)[-1]
        return StyleDiscriminator(width, width, options.content_disblocks, attributes, config.norm)
    if name.startswith("dis_rand"):
        return PictureDiscriminator(options.ndf, options.image_disblocks, attributes, config.norm)
    return {"dec": Decoder, "enc_style": StyleEncoder, "enc_content": ContentEncoder}[name](
        config, *([attributes] if name == "dec" else [])
    )


def load(network: nn.Module, name: str, weights: Mapping[str, Tensor]) -> nn.Module:
    """Official weights into our network, every key of both sides."""
    role = official.FILES[name]
    state = {official.rename(role, k): v for k, v in weights.items()}
    assert None not in state and len(state) == len(weights)
    network.load_state_dict(state, strict=True)  # type: ignore[arg-type]
    return network


def unit_images(values: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return (values.float() / 255 - 0.5) / 0.5


def stride(name: str, value: Tensor) -> Tensor:
    """The pixels that a name ending in `_sK` means."""
    found = re.search(r"_s(\d+)$", name)
    return value[..., :: int(found[1]), :: int(found[1])] if found else value


def plain(name: str) -> str:
    """Without `_sK`."""
    return re.sub(r"_s\d+$", "", name)


def replay(case_dir: Path) -> Tensors:
    """All results of a case under their recorded names; {} for cases without `io.safetensors`."""
    if not (case_dir / "io.safetensors").exists():
        return {}
    case, units = json.loads((case_dir / "case.json").read_text()), _beside("dmit_units")
    if case["mode"] == "data loading":
        return units.run_preprocess(case, case_dir)
    if "modules" in case:
        return units.run_units(case, case_dir)
    return run_iteration(case, case_dir) if "iteration" in case["mode"] else run_translation(case, case_dir)
