"""For the tests of the worked example: a Stable Diffusion pipeline with ControlNet of diffusers' own classes, tiny and random,
as a snapshot on disk; scenes to feed it, and what the tests ask of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from thirdparty import OK

from zoo import cards, registry
from zoo.maps import SemanticMap
from zoo.registry import label_space

SIDE = 32
WORDS = ("a", "street", "in", "the", "rain", "sun")
TOY = OK + (
    "plugin = Plugin(architectures=[Architecture('toy-scenes', kind='mask-generator', model='toy_scenes:Bands',"
    " config='toy_scenes:Config', variants='toy_scenes:VARIANTS')])\n"
)
CARD = ("--weights-license", "unknown", "--data", "nothing: random", "--data-license", "CC0-1.0")


def write_vocabulary(folder: Path) -> None:
    """CLIP's two tokenizer files for a few words: `vocab.json` and `merges.txt`."""
    letters = sorted({c for w in WORDS for c in w})
    tokens = [*letters, *(f"{c}</w>" for c in letters)]
    merges = []
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            pair = parts[0], parts[1]
            merges.append(" ".join(pair))
            parts[:2] = ["".join(pair)]
            tokens.append(parts[0])
    tokens = [*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *dict.fromkeys(merges)]) + "\n")


def networks() -> dict[str, Any]:
    """The tokenizer and the four networks, seeded; a ControlNet that has learnt nothing would add zeros, so its last layers
    are drawn as well."""
    import tempfile

    from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    with tempfile.TemporaryDirectory() as folder:
        write_vocabulary(Path(folder) / "tokenizer")
        tokenizer = CLIPTokenizer.from_pretrained(Path(folder) / "tokenizer", model_max_length=16)
    common: dict[str, Any] = {
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
        "norm_num_groups": 4,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(sample_size=SIDE // 2, up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **common)
        controlnet = ControlNetModel(conditioning_embedding_out_channels=(8, 8), **common)
        for layer in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
            torch.nn.init.normal_(layer.weight, std=0.3)
        torch.nn.init.normal_(controlnet.controlnet_cond_embedding.conv_out.weight, std=0.3)
        vae = AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
        )
        text = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=16,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        text_encoder = CLIPTextModel(text)
    return {"vae": vae, "text_encoder": text_encoder, "tokenizer": tokenizer, "unet": unet, "controlnet": controlnet}


def write_snapshot(folder: Path) -> Path:
    """The pipeline as diffusers saves it; its scheduler is that of Stable Diffusion 1.5. Returns the folder."""
    from diffusers import PNDMScheduler, StableDiffusionControlNetPipeline

    # the schedule that Stable Diffusion 1.5 is published with
    scheduler = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    )
    pipe = StableDiffusionControlNetPipeline(
        **networks(), scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def forget() -> None:
    """The registry and the cards, so that they are read again."""
    registry.reset()
    cards.all_cards.cache_clear()


def build(*arguments: object) -> int:
    """`python -m zoo_controlnet_seg.build` in this process; its exit code."""
    from zoo_controlnet_seg.build import main

    with pytest.raises(SystemExit) as left:
        main([str(a) for a in arguments])
    return int(left.value.code or 0)


def draw_scenes() -> SemanticMap:
    """Three scenes: bands of sky, building and road, the road's left end unlabelled, a tree that moves."""
    space = label_space("ade20k")
    labels = torch.full((3, 48, 64), space.index("building"))
    labels[:, :16] = space.index("sky")
    labels[:, 36:] = space.index("road")
    labels[:, 36:, :10] = 0
    for i in range(3):
        labels[i, 20:40, 12 * i + 8 : 12 * i + 16] = space.index("tree")
    return SemanticMap(labels, space)


def far_apart(one: Path, other: Path) -> int:
    """The largest difference of two runs' pictures, in 256 levels."""
    pairs = zip(sorted((one / "images").glob("*.png")), sorted((other / "images").glob("*.png")), strict=True)
    return max(
        max(abs(a - b) for a, b in zip(Image.open(p).tobytes(), Image.open(q).tobytes(), strict=True)) for p, q in pairs
    )


def options(**fields: Any) -> Any:
    """Sampling options, a few steps."""
    from zoo_controlnet_seg.config import ControlNetOptions

    return ControlNetOptions(**({"steps": 3, "prompt": "a street in the rain"} | fields))
