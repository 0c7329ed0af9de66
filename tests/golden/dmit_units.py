"""The cases of single layers, losses, schedule and data of DMIT. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.data.files import resize_photo
from zoo.data.preprocess import Preprocess
from zoo.nn.losses import kl_divergence
from zoo_plugins.dmit import official, text
from zoo_plugins.dmit.birds import around_box
from zoo_plugins.dmit.blocks import ConvBlock, DownBlock, ResidualBlock, ShiftedDownBlock, ShiftedResidualBlock, UpBlock
from zoo_plugins.dmit.config import DMITConfig, DMITOptions, NormKind
from zoo_plugins.dmit.discriminators import PictureDiscriminator
from zoo_plugins.dmit.losses import discriminator_loss, generator_loss, partners
from zoo_plugins.dmit.networks import ContentEncoder, StyleEncoder
from zoo_plugins.dmit.norms import LayerNorm, shifted_norm

Tensors = dict[str, Tensor]
_MODES = {"lsgan": "ls", "dcgan": "original", "hinge": "hinge"}


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded = _beside("recorded")


@contextmanager
def masked(mask: Tensor | None) -> Iterator[None]:
    """Dropout by a recorded mask: kept numbers are doubled."""
    plain = F.dropout
    if mask is not None:
        F.dropout = lambda x, _p, training: x * mask * 2 if training else x  # type: ignore[assignment]
    try:
        yield
    finally:
        F.dropout = plain


def unit_images(values: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return (values.float() / 255 - 0.5) / 0.5


def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    """What of the case is due: tensors, and numbers by their names in `values.json`."""
    io, out = recorded.load(folder / "io.safetensors"), {}
    weights = recorded.load(folder / "weights.safetensors")
    for run in (run_convs, run_norms, run_blocks, run_networks, run_text):
        for unit in run(io, weights):
            with recorded.where_held():
                unit(out)
    values = json.loads((folder / "values.json").read_text()) if (folder / "values.json").exists() else {}
    with recorded.where_held():
        out |= run_losses(io)
    out |= run_numbers(values)
    return {k: v.detach() for k, v in out.items() if k in io or k in paths(values)}


def paths(values: Any, before: str = "") -> set[str]:
    """The paths of the measured numbers of a case."""
    if not isinstance(values, dict):
        return {before}
    return {path for k, v in values.items() for path in paths(v, f"{before}/{k}" if before else k)}


Unit = Callable[[Tensors], None]


def _loaded(module: nn.Module, state: Mapping[str, Tensor], naming: Callable[[str], str | None]) -> nn.Module:
    named = {naming(k): v for k, v in state.items()}
    module.load_state_dict(named, strict=True)  # type: ignore[arg-type]
    return module


def _inside(role: str, before: str, ours: str) -> Callable[[str], str]:
    """Names of a layer's own keys, read as those of that layer inside a network."""
    return lambda key: str(official.rename(role, before + key)).removeprefix(ours)


DECODER = _inside("decoder", "decode.0.", "layers.0.")
CONTENT = _inside("content_encoder", "encode.0.", "layers.0.")
STYLE = _inside("style_encoder", "encode.0.", "layers.0.")
JUDGE = _inside("content_discriminator", "encode.0.", "blocks.0.")
NORM = _inside("decoder", "decode.0.n1.", "layers.0.norm_0.")


def both_modes(
    name: str,
    module: nn.Module,
    io: Tensors,
    out: Tensors,
    call: Callable[[nn.Module], Tensor],
    mask: Tensor | None = None,
) -> None:
    """The outputs in evaluation and then in training mode, as far as the case has them."""
    with torch.no_grad():
        out[f"eval/{name}"] = call(module.eval())
    if f"train/{name}" in io:
        with masked(mask):
            out[f"train/{name}"] = call(module.train())


def run_convs(io: Tensors, weights: Tensors) -> list[Unit]:
    """A convolution and a transposed one with gradients of the first training forward, and the other ways to double."""

    def conv(out: Tensors) -> None:
        state = recorded.held(weights, "conv/")
        c_out, c_in, kernel = state["conv.weight_orig"].shape[:3]
        unit = ConvBlock(
            c_in, c_out, kernel, 2, 1, bias="conv.bias" in state, norm=nn.InstanceNorm2d(c_out), activation="lrelu"
        )
        _loaded(unit, state, CONTENT)
        both_modes("conv", unit, io, out, lambda m: m(io["in/x5"]))
        (out["train/conv"] * io["in/coef"]).sum().backward()
        layer: Any = unit.conv
        out |= {"train/conv_grad_weight_orig": layer.weight.grad, "train/conv_grad_bias": layer.bias.grad}  # type: ignore[union-attr]
        out |= {"train/conv_u": layer.weight_u.clone(), "train/conv_v": layer.weight_v.clone()}
        out["train/conv_second"] = unit(io["in/x5"])

    def transposed(out: Tensors) -> None:
        state = recorded.held(weights, "trconv/")
        c_in, c_out = state["trConv.weight_orig"].shape[:2]
        unit = UpBlock(c_in, c_out, "transpose")
        _loaded(unit, state, lambda k: DECODER(f"upsample.{k}"))
        both_modes("trconv", unit, io, out, lambda m: m(io["in/x6"]))
        (out["train/trconv"] * io["in/coef_t"]).sum().backward()
        layer: Any = unit.conv
        scale: Any = unit.norm.weight
        out |= {
            "train/trconv_grad_weight_orig": layer.weight.grad,
            "train/trconv_grad_norm_weight": scale.grad,
        }
        out |= {"train/trconv_u": layer.weight_u.clone(), "train/trconv_v": layer.weight_v.clone()}

    def doubling(kind: str) -> Unit:
        def unit(out: Tensors) -> None:
            state = recorded.held(weights, f"up_{kind}/")
            first = next(v for k, v in state.items() if k.endswith("conv.weight_orig"))
            block = UpBlock(first.shape[1], len(first) // (4 if kind == "pixelshuffle" else 1), kind)  # type: ignore[arg-type]
            both_modes(f"up_{kind}", _loaded(block, state, DECODER), io, out, lambda m: m(io["in/x6"]))

        return unit

    return [conv, transposed, doubling("nearest"), doubling("pixelshuffle")]


def run_norms(io: Tensors, weights: Tensors) -> list[Unit]:
    """The norms by themselves."""

    def shifted(kind: NormKind) -> Unit:
        def unit(out: Tensors) -> None:
            state = recorded.held(weights, f"{kind}/")
            channels, code = state["ConBias.0.weight_orig"].shape
            norm = shifted_norm(kind, channels, code)
            _loaded(norm, state, NORM)
            both_modes(kind, norm, io, out, lambda m: m(io["in/x6"], io["in/code5"]))
            out |= {
                f"train/{kind}_{k.removeprefix('norm.')}": v.clone()
                for k, v in norm.state_dict().items()
                if k.startswith("norm.")
            }

        return unit

    def layer(out: Tensors) -> None:
        state = recorded.held(weights, "layernorm/")
        norm = LayerNorm(len(state["weight"]))
        both_modes("layernorm", _loaded(norm, state, lambda k: k), io, out, lambda m: m(io["in/x6"]))

    return [shifted("cbin"), shifted("cbbn"), layer]


def run_blocks(io: Tensors, weights: Tensors) -> list[Unit]:
    """Residual blocks of each kind; those with dropout by the recorded masks."""

    def residual(out: Tensors) -> None:
        state = recorded.held(weights, "residual_dropout/")
        block = ResidualBlock(len(state["encode.0.conv.weight_orig"]), "cbin", dropout=True)
        _loaded(block, state, CONTENT)
        both_modes("residual_dropout", block, io, out, lambda m: m(io["in/x6"]), io["in/dropmask_residual"])

    def shifted(out: Tensors) -> None:
        state = recorded.held(weights, "conresidual_dropout/")
        channels, code = state["n1.ConBias.0.weight_orig"].shape
        block = ShiftedResidualBlock(channels, code, "cbin", dropout=True)
        _loaded(block, state, DECODER)
        call = io["in/x6"], io["in/code5"]
        both_modes("conresidual_dropout", block, io, out, lambda m: m(*call), io["in/dropmask_conresidual"])

    def down(name: str, kind: NormKind) -> Unit:
        def unit(out: Tensors) -> None:
            state = recorded.held(weights, f"{name}/")
            c_out, c_in = state["encode.3.conv.weight_orig"].shape[:2]
            both_modes(name, _loaded(DownBlock(c_in, c_out, kind), state, STYLE), io, out, lambda m: m(io["in/x6"]))

        return unit

    def shifted_down(out: Tensors) -> None:
        state = recorded.held(weights, "condown/")
        c_out, c_in = state["cmp.0.conv.weight_orig"].shape[:2]
        block = ShiftedDownBlock(c_in, c_out, state["cnorm1.ConBias.0.weight_orig"].shape[1], "cbin")
        both_modes("condown", _loaded(block, state, JUDGE), io, out, lambda m: m(io["in/x6"], io["in/code5"]))

    return [residual, shifted, down("down", "cbin"), down("down_cbbn", "cbbn"), shifted_down]


def run_networks(io: Tensors, weights: Tensors) -> list[Unit]:
    """Whole networks on a picture whose sides no number of halvings divides."""

    def first(names: Mapping[str, Tensor], pattern: str) -> list[int]:
        return sorted({int(m[1]) for k in names if (m := re.match(pattern, k))})

    def style(out: Tensors) -> None:
        state = recorded.held(weights, "enc_style/")
        blocks = len(first(state, r"encode\.(\d+)\."))
        config = DMITConfig(
            width=len(state["encode.0.conv.bias"]), style_dim=len(state["fc.bias"]), style_blocks=blocks
        )
        network = _loaded(StyleEncoder(config), state, lambda k: official.rename("style_encoder", k)).eval()
        images = unit_images(io["in/img_odd_u8"])
        with torch.no_grad():
            out["eval/enc_style_mu"], out["eval/enc_style_logvar"] = network(images)
            # quirk of theirs: a batch of one loses its axis
            out["eval/enc_style_mu_batch1"] = network(images[:1]).mean[0]

    def content(out: Tensors) -> None:
        state = recorded.held(weights, "enc_content/")
        blocks = len(first(state, r"encode\.(\d+)\.encode\."))
        halvings = len(first(state, r"encode\.(\d+)\.")) - blocks - 1
        config = DMITConfig(width=len(state["encode.0.conv.weight_orig"]), content_blocks=blocks, halvings=halvings)
        network = _loaded(ContentEncoder(config), state, lambda k: official.rename("content_encoder", k)).eval()
        with torch.no_grad():
            out["eval/enc_content"] = network(unit_images(io["in/img_odd_u8"]))

    def judges(out: Tensors) -> None:
        state = recorded.held(weights, "dis_multi/")
        code = state["model_1.encode.0.cnorm1.ConBias.0.weight_orig"].shape[1]
        blocks = len(first(state, r"model_1\.encode\.(\d+)\."))
        network = PictureDiscriminator(len(state["model_1.head.conv.bias"]), blocks, code)
        _loaded(network, state, lambda k: official.rename("drawn_discriminator", k)).eval()
        with torch.no_grad():
            scores = network(unit_images(io["in/img_odd_u8"]), io["in/code5"])
        out |= {f"eval/dis_multi_{i}": s for i, s in enumerate(scores)}

    return [style, content, judges]


def run_text(io: Tensors, weights: Tensors) -> list[Unit]:
    """The text encoder."""

    def encoder(out: Tensors) -> None:
        state = recorded.held(weights, "rnn/")
        vocabulary, embedding = state["encoder.weight"].shape
        network = text.TextEncoder(vocabulary, 2 * state["rnn.weight_hh_l0"].shape[1], embedding)
        network.load_state_dict(state, strict=True)
        with torch.no_grad():
            out["eval/rnn_words"], out["eval/rnn_sentence"] = network.eval()(io["in/captions"], io["in/cap_lens"])

    return [encoder]


# --- numbers ------------------------------------------------------------------------------------------------------


def run_losses(io: Tensors) -> Tensors:
    """Adversarial losses on the recorded scores, and the KL divergence."""
    real, wrong, fake = ([io[f"in/pred{i}_{k}"] for i in (0, 1)] for k in ("real", "fake1", "fake2"))
    source, target = io["in/weight_source"], io["in/weight_target"]
    out: Tensors = {"kl": kl_divergence(io["in/mu"], io["in/logvar"])}
    for theirs, mode in _MODES.items():
        g: Any = mode
        out |= {
            f"gan/{theirs}/dis_three": discriminator_loss(real, wrong, fake, g),
            f"gan/{theirs}/dis_three_weighted": discriminator_loss(real, wrong, fake, g, weights=(source, target)),
            f"gan/{theirs}/dis_two_single": discriminator_loss(real[0], None, wrong[0], g),
            f"gan/{theirs}/gen": generator_loss(fake, g),
            f"gan/{theirs}/gen_weighted": generator_loss(fake, g, weight=target),
            f"gan/{theirs}/gen_single": generator_loss(fake[0], g),
        }
    return out


def run_numbers(values: Mapping[str, Any]) -> Tensors:
    """Learning rates by epoch, and whose style each sample of a batch takes."""
    out: Tensors = {}
    schedules = [k for k in values if k.startswith("schedule/")]
    base = next((m for k in schedules if (m := re.search(r"niter(\d+)_decay(\d+)", k))), None)
    for key in schedules:
        epochs = re.search(r"epochs_(\d+)_to_(\d+)", key)
        if base is None or epochs is None:
            continue
        options = replace(DMITOptions(), niter=int(base[1]), niter_decay=int(base[2]))
        ahead = 1 if "resume" in key else 0  # quirk of theirs: a resumed schedule is one epoch ahead
        rates = [options.rate(e + ahead) for e in range(int(epochs[1]), int(epochs[2]) + 1)]
        out[key] = torch.tensor(rates, dtype=torch.float64)
    for task, rule in (("season", partners), ("text", text.partners)):
        for count, indices in values.get(f"index_target/{task}", {}).items():
            size = int(count)
            # theirs count from behind where ours count on
            back = [i - size if i >= size - sum(1 for j in indices if j < 0) else i for i in rule(size)]
            out[f"index_target/{task}/{count}"] = torch.tensor(back)
    return out


# --- data ---------------------------------------------------------------------------------------------------------


def run_preprocess(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Photos of both tasks, in training and in testing. Sizes are read off the results and what the case notes of the draws."""
    io, info, out = recorded.load(folder / "io.safetensors"), case["info"], {}
    if "in/image_u8" not in io:
        return {}
    photo = io["in/image_u8"].permute(1, 2, 0).contiguous().numpy()

    def way(name: str, load: int) -> Preprocess:
        return Preprocess("shorter_side_and_crop", load, int(io[name].shape[-1]), resample="lanczos")

    def trained(name: str, photo: Any, drawn: Mapping[str, Any], *, flip: bool) -> None:
        used = way(name, min(drawn["image_hw"]))
        assert list(used.loaded(photo.shape[:2])) == drawn["image_hw"]
        out[name] = used.photo(photo, (drawn["left"], drawn["top"]), flip=flip)

    season = info.get("season_train")
    with recorded.where_held():
        name = "out/season_test_u8"
        said = re.search(r"load_size (\d+)", case.get("tensors", {}).get(name, ""))
        used = way(name, int(said[1]) if said else min(season["crop"]["image_hw"]))
        height, width = used.loaded(photo.shape[:2])
        out[name] = used.photo(photo, (round((width - used.crop_size) / 2), round((height - used.crop_size) / 2)))
    with recorded.where_held():
        if season:
            trained("out/season_train_crop_flip_u8", photo, season["crop"], flip=season["flip_applied"])
    if "bird_bbox_xywh" in info:
        bird = around_box(photo, tuple(info["bird_bbox_xywh"]))
        assert [bird.shape[1], bird.shape[0]] == info["bird_crop_size_wh"]
        with recorded.where_held():
            side = int(io["out/bird_test_u8"].shape[-1])
            out["out/bird_test_u8"] = resize_photo(bird, (side, side), "lanczos")
        with recorded.where_held():
            trained("out/bird_train_u8", bird, info["bird_train_crop"], flip=False)
    return {k: torch.from_numpy(v.copy()).permute(2, 0, 1) for k, v in out.items() if k in io}
