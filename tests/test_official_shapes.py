"""Detection of the authors' checkpoints: what is told, what is off, what is none of ours, whatever the file."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from official_claims import claims, file_shapes, key_lists, officials
from official_files import Shapes, official_lists

from zoo.errors import WeightsError
from zoo.families.spade import official_keys
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.families.spade.encoders import ConvEncoder
from zoo.labels import numbered_space
from zoo.registry import registry
from zoo_plugins.clade import official as clade
from zoo_plugins.clvae import official as clvae
from zoo_plugins.inade import official as inade
from zoo_plugins.scgan import official as scgan
from zoo_plugins.spade import official as spade


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden"


def _spade_generator(golden: Path) -> Shapes:
    return key_lists(golden, "spade")["official_keys/ade20k_vae/latest_net_G.pth"]


def test_a_near_miss_says_what_is_off(golden: Path) -> None:
    shapes = _spade_generator(golden)
    off = dict(shapes) | {"conv_img.bias": (4,), "extra.weight": (1,)}
    del off["up_1.conv_0.bias"]
    match = spade.detect(off)
    assert match is not None and not match.complete and match.config == {"use_vae": True}
    assert (match.missing, match.unknown, match.misfit) == (
        ("up_1.conv_0.bias",), ("extra.weight",), ("conv_img.bias",),
    )  # fmt: skip
    assert match.matched == len(shapes) - 2


def test_single_shapes_mislead_nobody(golden: Path) -> None:
    """Whatever one key is, the config is that of all the others."""
    shapes = _spade_generator(golden)
    for key in ("head_0.norm_0.mlp_gamma.weight", "up_3.norm_0.mlp_shared.0.weight", "conv_img.weight"):
        match = spade.detect(shapes | {key: (5, 7, 1, 9)})
        assert match is not None and match.config == {"use_vae": True} and match.misfit == (key,)


def test_the_start_grid_tells_the_size(golden: Path) -> None:
    shapes = _spade_generator(golden)
    for pixels, size in ((64, (256, 256)), (128, (256, 512)), (32, (256, 512)), (16, (256, 256)), (96, (256, 384))):
        match = spade.detect(shapes | {"fc.weight": (1024 * pixels, 256), "fc.bias": (1024 * pixels,)})
        assert match is not None and match.complete
        config = registry().load(registry().architecture("spade"), "config")(**match.config)
        assert config.size == size, pixels


@pytest.mark.parametrize("norm", ["spectralinstance", "spectral", "batch", "spectralbatch", "instance", "none"])
def test_norms_of_encoders_and_discriminators(norm: str) -> None:
    """Each form has its own keys; the official names lead back to ours."""
    made: dict[str, Callable[[], torch.nn.Module]] = {
        "encoder": lambda: ConvEncoder(8, 16, size=64, norm=norm),
        "discriminator": lambda: MultiscaleDiscriminator(22, 8, 3, 2, norm),
    }
    for role, make in made.items():
        with torch.device("meta"):
            state = make().state_dict()
        theirs = official_keys.official_names(role, state)
        assert {official_keys.rename(role, k, list(theirs.values())): o for o, k in theirs.items()} == {
            k: k for k in state
        }
        shapes = {theirs[k]: tuple(v.shape) for k, v in state.items()}
        for module in (spade, scgan):
            match = module.detect(shapes)
            assert match is not None and match.complete and match.role == role, (role, norm, match)
        converted = scgan.convert({role: {theirs[k]: v for k, v in state.items()}})
        assert set(converted) == {f"{role}.{k}" for k in state}


NAMES = {
    "spade": official_keys.official_names, "clade": clade.official_names, "clvae": clvae.official_names, "scgan": scgan.official_names,
    "inade": inade.official_names,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NAMES))
def test_variants_are_found_again(name: str) -> None:
    """The networks of the official variants under the authors' names, ablations of CLVAE's encoder with them."""
    variants = registry().load(registry().architecture(name), "variants")
    for label, variant in variants.items():
        if variant.config.max_width:  # ours: no official network has it
            continue
        for role, shapes in _as_official(name, variant.config).items():
            match = officials()[name].detect(shapes)
            assert match is not None and match.complete and match.role == role, (label, role, match)
            relative = ("nef", "z_dim_local")  # 0 in the variants: as wide as something else
            told = {k: v for k, v in match.config.items() if k not in match.ambiguous and k not in relative}
            assert told == {k: getattr(variant.config, k) for k in told}, (label, role)


def _as_official(name: str, config: Any) -> dict[str, Shapes]:
    """Official keys and shapes of a config's networks by role."""
    count = len(registry().label_space(config.label_space))
    with torch.device("meta"):
        model = registry().load(registry().architecture(name), "model")(
            dataclasses.replace(config, label_space="numbered"), numbered_space(count, background=True)
        )
    found: dict[str, Shapes] = {}
    for role in ("generator", "encoder"):
        network = getattr(model, role)
        if network is not None:
            state = {k: tuple(v.shape) for k, v in network.state_dict().items()}
            found[role] = {theirs: state[ours] for ours, theirs in NAMES[name](role, state).items()}
    return found


# --- nothing of ours --------------------------------------------------------------------------------------------------


def foreign() -> dict[str, Shapes]:
    """Networks that have nothing to do with us, and dicts that are none."""
    layers: dict[str, Callable[[], torch.nn.Module]] = {
        "linear": lambda: torch.nn.Linear(3, 4),
        "transformer": lambda: torch.nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
        "lstm": lambda: torch.nn.LSTM(4, 4, 3, bidirectional=True),
        "embedding": lambda: torch.nn.ModuleDict({"embedding": torch.nn.Linear(151, 151), "fc": torch.nn.Linear(4, 4)}),
        "sequential": lambda: torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)),
    }
    with torch.device("meta"):
        found = {n: {k: tuple(v.shape) for k, v in make().state_dict().items()} for n, make in layers.items()}
    found["resnet"] = {
        "conv1.weight": (64, 3, 7, 7), "bn1.weight": (64,), "layer1.0.conv1.weight": (64, 64, 3, 3), "layer1.0.bn1.bias": (64,),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1), "fc.weight": (1000, 512), "fc.bias": (1000,),
    }  # fmt: skip
    found["unet"] = {
        "inc.double_conv.0.weight": (64, 3, 3, 3),
        "up1.up.weight": (1024, 512, 2, 2),
        "outc.conv.bias": (2,),
    }
    found["vit"] = {"cls_token": (1, 1, 768), "blocks.0.attn.qkv.weight": (2304, 768), "head.bias": (1000,)}
    found["optimizer"] = {f"state.{i}.exp_avg": (3, 4) for i in range(20)}
    found["empty"] = {}
    return found


def test_foreign_files_are_claimed_by_none(golden: Path) -> None:
    found = foreign() | {f"vgg {p.parent}": file_shapes(p) for p in golden.glob("*/*/weights_vgg.safetensors")}
    found["inception"] = next(iter(official_lists(golden / "scgan/D_official_keys/fid_inception_keys.json").values()))
    for name, shapes in found.items():
        assert not claims(shapes), name


SYSTEMS = ("mask_vae", "face_parser", "segvae", "scgan", "spade", "clvae", "clade", "inade")


def _spoiled(rng: random.Random, shapes: Shapes) -> Shapes:
    """A key list with what can be wrong in it."""
    out = {k: v for k, v in shapes.items() if rng.random() < rng.choice((0.1, 0.6, 1.0))}
    for key in list(out):
        if rng.random() < rng.choice((0.02, 0.5)):
            rank = rng.randrange(6)
            out[key] = tuple(rng.choice((0, 1, 2, 3, 17, 256, 65_535, 2**31, 2**62)) for _ in range(rank))
        if rng.random() < 0.05:
            digits = str(rng.choice((0, 7, 99, 10**6, 10**30)))
            out["".join(digits if c.isdigit() and rng.random() < 0.3 else c for c in key)] = out.pop(key)
    return out


def test_nothing_raises_whatever_the_file(golden: Path) -> None:
    """Truncated lists, wrong ranks, zero and huge sizes, absurd numbers in keys."""
    rng = random.Random(0)
    real = [s for system in SYSTEMS for s in key_lists(golden, system).values()]
    chosen = [real[i] for i in range(0, len(real), 3)]
    for shapes in chosen:
        for _ in range(3):
            spoiled = _spoiled(rng, shapes)
            for name, match in claims(spoiled).items():
                seen = [k for k in spoiled if k != "epoch"]
                assert match.matched + len(match.unknown) + len(match.misfit) == len(seen), name
                assert match.matched > 0


def test_unknown_roles_and_keys_are_refused() -> None:
    for name, official in officials().items():
        with pytest.raises(WeightsError):
            official.convert({"critic": {"a.weight": torch.zeros(1)}}, None)
        role = {"face-parser": "parser", "segvae": "checkpoint", "sims": "synthesis"}.get(name, "generator")
        with pytest.raises(WeightsError, match=r"strange|expected"):
            official.convert({role: {"strange.weight": torch.zeros(1)}}, None)
    for official in (spade, scgan, clvae, clade, inade):
        for role in ("encoder", "discriminator"):
            with pytest.raises(WeightsError, match="strange"):
                official.convert({role: {"strange.weight": torch.zeros(1)}})
