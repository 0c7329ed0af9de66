"""The parts of a Stable Diffusion pipeline with ControlNet: read from a folder in diffusers' layout, checked, written.

Only safetensors and JSON are read or written, nothing is fetched, and every tensor must be there.
"""

# pyright: reportPrivateImportUsage=false
from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionControlNetPipeline,
    UNet2DConditionModel,
)
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from zoo.plugin import DataError, WeightsError
from zoo_controlnet_seg.schedulers import NOT_CLIPPED

CLASSES: dict[str, Any] = {
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "unet": UNet2DConditionModel,
    "controlnet": ControlNetModel,
}
STORED = (".json", ".safetensors")
PLACES = {"_name_or_path", "name_or_path"}
"""Keys under which diffusers and transformers write where a part was read from."""


@dataclass(frozen=True)
class Parts:
    """The four networks (of `CLASSES`), the tokenizer and the config of the noise schedule.

    The libraries' classes are opaque to type checkers, hence Any.
    """

    vae: Any
    text_encoder: Any
    unet: Any
    controlnet: Any
    tokenizer: Any
    schedule: dict[str, Any]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """By the names that diffusers gives them."""
        return {name: getattr(self, name) for name in CLASSES}

    def pipeline(self, scheduler: Any) -> Any:
        """A pipeline of these very networks (no copies) without a safety checker."""
        make: Any = StableDiffusionControlNetPipeline
        pipe = make(
            **self.networks,
            tokenizer=self.tokenizer,
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe


def read_parts(folder: Path, *, controlnet: Path | None = None, variant: str | None = None) -> Parts:
    """The parts in a folder, in float32 on the CPU. controlnet: another folder for that part; variant: `fp16` for files of
    that name. Raises WeightsError for parts that are missing, damaged, pickled, or that do not belong together."""
    if not folder.is_dir():
        raise WeightsError(f"There is no pipeline folder {folder}.")
    homes = {name: folder / name for name in CLASSES}
    if controlnet is not None:
        homes["controlnet"] = controlnet
    networks = {name: _read_network(homes[name], cls, name, variant) for name, cls in CLASSES.items()}
    with _told(folder / "tokenizer", "tokenizer"):
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    with _told(folder / "scheduler", "scheduler"):
        schedule: Any = DDIMScheduler.load_config(folder / "scheduler", local_files_only=True)
    parts = Parts(**networks, tokenizer=tokenizer, schedule=dict(schedule))
    faults = mismatches(parts)
    if faults:
        raise WeightsError(f"The parts in {folder} do not belong together: {'; '.join(faults)}.")
    return parts


def _read_network(home: Path, cls: Any, name: str, variant: str | None) -> nn.Module:
    if not home.is_dir():
        raise WeightsError(
            f"There is no folder {home}: a pipeline has {', '.join((*CLASSES, 'tokenizer', 'scheduler'))}."
        )
    if not list(home.glob("*.safetensors")):
        files = ", ".join(sorted(p.name for p in home.iterdir())) or "nothing"
        raise WeightsError(
            f"{home} has no safetensors file (found: {files}). Pickles (.bin, .ckpt) are not read: get the repository's"
            " safetensors files, or save the pipeline again with safe_serialization=True."
        )
    dtype: dict[str, Any] = {"dtype" if cls is CLIPTextModel else "torch_dtype": torch.float32}
    read: Any = cls.from_pretrained
    with _told(home, name):
        network, report = read(
            home, local_files_only=True, use_safetensors=True, variant=variant, output_loading_info=True, **dtype
        )
    wrong = {
        kind: sorted(map(str, report.get(f"{kind}_keys") or ())) for kind in ("missing", "unexpected", "mismatched")
    }
    said = [f"{kind}: {', '.join(keys[:4])} ({len(keys)} in all)" for kind, keys in wrong.items() if keys]
    if said:
        raise WeightsError(
            f"{home} does not fit {cls.__name__}: {'; '.join(said)}. Its config.json is of another network."
        )
    return network.eval()


@contextlib.contextmanager
def _told(home: Path, name: str) -> Iterator[None]:
    """Whatever the libraries raise for files that they cannot read, as WeightsError."""
    try:
        with _quiet():
            yield
    except Exception as error:  # damaged JSON, cut-off tensors, other shapes: each library raises its own kinds
        text = " ".join(str(error).split())
        first = text if len(text) <= 300 else f"{text[:300]}…"
        raise WeightsError(
            f"{home}: the {name} cannot be read ({type(error).__name__}: {first}). Get the folder again."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Neither progress bars nor advice from the libraries; afterwards they are as before."""
    loggers = (transformers.utils.logging, diffusers.utils.logging)
    before = [(logger.get_verbosity(), logger.is_progress_bar_enabled()) for logger in loggers]
    for logger in loggers:
        logger.set_verbosity_error()
        logger.disable_progress_bar()
    try:
        yield
    finally:
        for logger, (level, bars) in zip(loggers, before, strict=True):
            logger.set_verbosity(level)
            if bars:
                logger.enable_progress_bar()


def scale(parts: Parts) -> int:
    """Pixels per latent along a side."""
    return 2 ** (len(parts.vae.config.block_out_channels) - 1)


def mismatches(parts: Parts) -> list[str]:
    """What keeps the parts from working together, in sentences."""
    unet, control, vae = parts.unet.config, parts.controlnet.config, parts.vae.config
    words = parts.text_encoder.config.hidden_size
    picture = 2 ** (len(control.conditioning_embedding_out_channels) - 1)
    pairs = {
        "latent channels of unet and vae": (unet.in_channels, vae.latent_channels),
        "latent channels of unet and controlnet": (unet.in_channels, control.in_channels),
        "block widths of unet and controlnet": (list(unet.block_out_channels), list(control.block_out_channels)),
        "text width of unet and text_encoder": (unet.cross_attention_dim, words),
        "text width of controlnet and text_encoder": (control.cross_attention_dim, words),
        "pixels per latent of vae and controlnet": (scale(parts), picture),
        "colours that the controlnet reads": (control.conditioning_channels, 3),
    }
    return [f"{what}: {a} and {b}" for what, (a, b) in pairs.items() if a != b]


def write_parts(parts: Parts, folder: Path, dtype: torch.dtype) -> None:
    """Write the parts in diffusers' layout, networks in `dtype`. Raises DataError if a file cannot be written."""
    if dtype != torch.float32:
        parts = Parts(
            **{n: copy.deepcopy(m).to(dtype) for n, m in parts.networks.items()},
            tokenizer=parts.tokenizer,
            schedule=parts.schedule,
        )
    try:
        with _quiet():
            scheduler = DDIMScheduler.from_config(parts.schedule, **NOT_CLIPPED)
            if (words := getattr(parts.tokenizer, "backend_tokenizer", None)) is not None:
                words.no_truncation()  # what the latest prompt switched on would be written
                words.no_padding()
            parts.pipeline(scheduler).save_pretrained(folder, safe_serialization=True)
        mode = (folder / "model_index.json").stat().st_mode  # safetensors are written as private files
        for path in (p for p in folder.rglob("*") if p.is_file()):
            if path.suffix in STORED:
                path.chmod(mode)
                _forget_place(path)
            else:  # a tokenizer may write its vocabulary a second time, as text
                path.unlink()
    except Exception as error:  # safetensors and tokenizers have errors of their own for a full disk
        raise DataError(f"Cannot write the pipeline to {folder} ({type(error).__name__}: {error}).") from error


def _forget_place(path: Path) -> None:
    """Take out of a JSON file where its part was read from: a path of this machine, other in every copy of the folder."""
    if path.suffix != ".json":
        return
    values = json.loads(path.read_text("utf-8"))
    if isinstance(values, dict) and values.keys() & PLACES:
        kept = {k: v for k, v in values.items() if k not in PLACES}
        path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", "utf-8")
