"""The cases of MUNIT's single layers, losses, schedule, pictures and test script. Loaded by file path, as all modules of this folder."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from zoo.checkpoints.shapes import numbers
from zoo.data.files import resize_photo
from zoo.data.preprocess import Preprocess
from zoo.registry import label_space
from zoo_plugins.munit.blocks import ConvBlock, LayerNorm, LinearBlock, ResBlock
from zoo_plugins.munit.config import MunitConfig, MunitOptions
from zoo_plugins.munit.discriminator import MultiscaleDiscriminator, discriminator_loss, generator_loss
from zoo_plugins.munit.generator import ContentEncoder, Decoder, Perceptron, StyleEncoder
from zoo_plugins.munit.model import MUNIT, NAMES
from zoo_plugins.munit.official_pictures import stretched
from zoo_plugins.munit.perceptual import VGG16Features, perceptual_loss, to_caffe
from zoo_plugins.munit.trainer import MunitTrainer

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, munit = _beside("recorded"), _beside("munit")
REFLECT = {"activ": "relu", "pad_type": "reflect"}
_UNREAD = re.compile(r".*norm\.running_(?:mean|var)")


def run_units(case: Mapping[str, Any], folder: Path) -> Tensors:
    io, out = recorded.load(folder / "io.safetensors"), {}
    weights = recorded.Recorded()
    with recorded.where_held():
        weights = recorded.load(folder / "weights.safetensors")
    runs = (
        run_blocks,
        run_layers,
        run_encoders,
        run_decoder,
        run_spectral,
        run_discriminators,
        run_perceptual,
        run_schedule,
    )
    for run in runs:
        with recorded.where_held():
            run(case, folder, io, weights, out)
    numbers_due = set(munit.numbers_in(folder))
    return munit.due(io, out) | {k: out[k].detach().float() for k in numbers_due if k in out}


def loaded(network: nn.Module, weights: Tensors, prefix: str, *, adaptive: bool = False) -> Any:
    """A network with the weights under a prefix, in evaluation mode. adaptive: statistics of adaptive norms are left out."""
    state = recorded.held(weights, f"{prefix}/")
    network.load_state_dict({k: v for k, v in state.items() if not (adaptive and _UNREAD.fullmatch(k))}, strict=True)
    return network.eval()


# --- blocks -------------------------------------------------------------------------------------------------------


def conv_block(weights: Tensors, name: str) -> ConvBlock:
    """A block that its name describes: cb_PADDING_NORM_ACTIVATION; sizes are those of its weights."""
    _, pad_type, norm, activ = name.split("_")
    key = "conv.module.weight_bar" if norm == "sn" else "conv.weight"
    c_out, c_in, kernel, _ = weights[f"{name}/{key}"].shape
    stride = 1 if kernel % 2 else 2
    block = ConvBlock(c_in, c_out, kernel, stride, (kernel - 1) // 2, norm=norm, activ=activ, pad_type=pad_type)
    return loaded(block, weights, name, adaptive=norm == "adain")


def run_blocks(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    for name in sorted({k.split("/")[0] for k in weights if k.startswith("cb_")}):
        norm = name.split("_")[2]
        if norm == "sn":
            continue
        with recorded.where_held(), torch.no_grad():
            block, x = conv_block(weights, name), io["in/x5"]
            if norm == "adain":
                shape = (len(x), -1)
                out[f"out/{name}"] = block(x, (io["in/adain_w"].view(shape), io["in/adain_b"].view(shape)))
            elif norm == "bn":
                out[f"out/{name}_eval"] = block(x)
                out[f"out/{name}_train"] = block.train()(x)
                assert block.norm is not None
                out |= {f"out/{name}_{n}_after": v for n, v in block.norm.named_buffers()}
            else:
                out[f"out/{name}"] = block(x)


@torch.no_grad()
def run_layers(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    with recorded.where_held():
        layer = loaded(LayerNorm(len(weights["layernorm/gamma"])), weights, "layernorm")
        out |= {"out/layernorm_b2": layer(io["in/x5"]), "out/layernorm_b1": layer(io["in/x5_b1"])}
    with recorded.where_held():
        channels = len(weights["resblock_in/model.0.conv.bias"])
        block = loaded(ResBlock(channels, norm="in", activ="relu", pad_type="reflect"), weights, "resblock_in")
        out["out/resblock_in"] = block(io["in/x5"])
    for name in sorted({k.split("/")[0] for k in weights if k.startswith("linear_")}):
        with recorded.where_held():
            _, norm, activ = name.split("_")
            key = "fc.module.weight_bar" if norm == "sn" else "fc.weight"
            c_out, c_in = weights[f"{name}/{key}"].shape
            out[f"out/{name}"] = loaded(LinearBlock(c_in, c_out, norm=norm, activ=activ), weights, name)(io["in/v4"])
    with recorded.where_held():
        c_out, c_in, kernel, _ = weights["up_stage/1.conv.weight"].shape
        block = ConvBlock(c_in, c_out, kernel, 1, kernel // 2, norm="ln", **REFLECT)
        stage = loaded(nn.Sequential(nn.Upsample(scale_factor=2), block), weights, "up_stage")
        out["out/up_stage"] = stage(io["in/x6"])


# --- networks -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def run_encoders(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    photos = munit.unit_images(io["in/img_odd_u8"])
    shapes = {k: tuple(v.shape) for k, v in weights.items()}
    with recorded.where_held():
        width, style = shapes["enc_style/model.0.conv.bias"][0], shapes["enc_style/model.6.bias"][0]
        out["out/enc_style"] = loaded(StyleEncoder(width, style, **REFLECT), weights, "enc_style")(photos)
    with recorded.where_held():
        width = len(weights["enc_content/model.0.conv.bias"])
        halvings = len(numbers(shapes, r"enc_content/model\.(\d+)\.conv\.bias")) - 1
        blocks = len(numbers(shapes, r"enc_content/model\.\d+\.model\.(\d+)\.model\.0\.conv\.bias"))
        network = loaded(ContentEncoder(width, halvings, blocks, **REFLECT), weights, "enc_content")
        out["out/enc_content"] = network(photos)


@torch.no_grad()
def run_decoder(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    """The decoder with the numbers that the perceptron makes, and what each norm gets of them."""
    shapes = {k: tuple(v.shape) for k, v in weights.items()}
    width = len(weights["decoder/model.0.model.0.model.0.conv.bias"])
    doublings = len(numbers(shapes, r"decoder/model\.(\d+)\.norm\.gamma"))
    blocks = len(numbers(shapes, r"decoder/model\.0\.model\.(\d+)\.model\.0\.conv\.bias"))
    decoder: Decoder = loaded(Decoder(width, doublings, blocks, **REFLECT), weights, "decoder", adaptive=True)
    hidden, style = weights["mlp/model.0.fc.weight"].shape
    mlp = loaded(Perceptron(style, hidden, decoder.parameters_of_norms, activ="relu"), weights, "mlp")
    out["num_adain_params"] = torch.tensor(float(decoder.parameters_of_norms))
    made = mlp(io["in/style4"])
    out |= {"out/mlp": made, "out/decoder": decoder(io["in/content12"], made)}
    for i, (scale, shift) in enumerate(decoder.split(made)):
        head = f"out/assigned/model.0.model.{i // 2}.model.{i % 2}.norm"
        out |= {f"{head}.weight": scale.flatten(), f"{head}.bias": shift.flatten()}


def run_spectral(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    """Two forwards in evaluation mode: both move u and v."""
    name = next((k.split("/")[0] for k in weights if re.match(r"cb_[a-z]+_sn_[a-z]+/", k)), None)
    if name is None:
        return
    block = conv_block(weights, name)
    module: Any = block.conv.module  # type: ignore[union-attr]
    for number in (1, 2):
        made = block(io["in/x5"])
        if number == 1 and "in/coef6" in io:
            (gradient,) = torch.autograd.grad((made * io["in/coef6"]).sum(), module.weight_bar, retain_graph=True)
            out["out/sn_grad_weight_bar"] = gradient
        out |= {
            f"out/sn_forward{number}": made.detach(),
            f"out/sn_u{number}": module.weight_u.clone(),
            f"out/sn_v{number}": module.weight_v.clone(),
        }


def run_discriminators(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    """Predictions, both losses, and their gradients, in the recorded order."""
    for name in sorted({k.split("/")[0] for k in weights if k.startswith("dis_")}):
        with recorded.where_held():
            discriminator, mode = _discriminator(case, weights, name)
            fake, real = munit.unit_images(io["in/img2_u8"]), munit.unit_images(io["in/img_odd_u8"])
            if f"out/{name}/pred0" in io:
                out |= {f"out/{name}/pred{i}": s.detach() for i, s in enumerate(discriminator(real))}
            loss = discriminator_loss(discriminator(fake), discriminator(real), mode)
            loss.backward()
            out[f"{name}/dis_loss"] = loss.detach()
            for key, parameter in discriminator.named_parameters():
                assert parameter.grad is not None
                out[f"{name}/dis_grad_norm/{key}"] = parameter.grad.norm()
                out[f"out/{name}/dis_grad/{key}"] = parameter.grad
            out |= {f"out/{name}/after_dis_loss/{k}": v.clone() for k, v in discriminator.named_buffers()}
            leaf = fake.clone().requires_grad_()
            loss = generator_loss(discriminator(leaf), mode)
            (gradient,) = torch.autograd.grad(loss, leaf)
            out |= {f"{name}/gen_loss": loss.detach(), f"out/{name}/gen_grad_input": gradient}


def _discriminator(case: Mapping[str, Any], weights: Tensors, name: str) -> tuple[MultiscaleDiscriminator, str]:
    """Sizes are those of the weights; norm, padding and loss are the case's words."""
    words = next((text for key, text in case["modules"].items() if name in key), "")
    shapes = {k: tuple(v.shape) for k, v in weights.items() if k.startswith(f"{name}/")}
    width = shapes[f"{name}/cnns.0.0.conv.bias"][0]
    layers = numbers(shapes, rf"{name}/cnns\.0\.(\d+)\.bias")[-1]
    scales = len(numbers(shapes, rf"{name}/cnns\.(\d+)\..*"))
    norm = re.search(r"norm (none|in|ln|bn|sn)\b", words)
    pad_type = next((p for p in ("zero", "replicate") if f"{p} padding" in words), "reflect")
    network = MultiscaleDiscriminator(width, layers, scales, norm=norm[1] if norm else "none", pad_type=pad_type)
    return loaded(network, weights, name), "nsgan" if "nsgan" in words else "lsgan"


@torch.no_grad()
def run_perceptual(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    photos = munit.unit_images(io["in/img_odd_u8"])
    out["out/vgg_preprocess"] = to_caffe(photos)
    network = VGG16Features(recorded.load(munit.file_in(str(case["weights"]), "weights_vgg.safetensors", folder)))
    out["out/vgg_relu5_3"] = network(photos)
    out["vgg_loss"] = perceptual_loss(network, photos, munit.unit_images(io["in/img2_u8"]))


def run_schedule(case: Mapping[str, Any], folder: Path, io: Tensors, weights: Tensors, out: Tensors) -> None:
    """Rates of iterations. After a resume theirs are one iteration ahead; ours go on, so that the replay asks for the next step."""
    names = munit.numbers_in(folder)
    first = next(
        (m for k in names if (m := re.fullmatch(r"schedule/lr_of_iterations_1_to_(\d+)_with_step_size_(\d+)", k))), None
    )
    if first is None:
        return
    model = MUNIT(MunitConfig(dim=1, mlp_dim=1, n_res=1), label_space("domains"))
    trainer = MunitTrainer(model, MunitOptions(ndf=1, step_size=int(first[2])))

    def rates(steps: range) -> Tensor:
        return torch.tensor([trainer.rates(0.0, step)["generator"] for step in steps])

    out[first[0]] = rates(range(int(first[1])))
    for name in names:
        if match := re.fullmatch(r"schedule/lr_after_resume_at_(\d+)", name):
            start = int(match[1]) + 1
            out[name] = rates(range(start, start + len(names[name])))


# --- pictures -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def run_pictures(case: Mapping[str, Any], folder: Path) -> Tensors:
    """What the loaders make of a photo, and the test script's pictures."""
    opt, io, out = munit.options_in(case, folder), recorded.load(folder / "io.safetensors"), {}
    size, info = int(opt["new_size"]), case["info"]

    def resized(array: Any) -> Tensor:
        way = Preprocess("shorter_side_and_crop", size, resample="bilinear")
        made = resize_photo(array, way.loaded((array.shape[0], array.shape[1])), way.resample)
        return torch.from_numpy(made).permute(2, 0, 1)

    def window(picture: Tensor, crop: Mapping[str, Any]) -> Tensor:
        (height, width), top, left = crop["out_hw"], crop["top"], crop["left"]
        return picture[:, top : top + height, left : left + width]

    with recorded.where_held():
        photo = io["in/image_u8"].permute(1, 2, 0).numpy()
        out[f"out/resize{size}_u8"] = resized(photo)
        out[f"out/train_flip_resize{size}_crop_u8"] = window(resized(photo[:, ::-1].copy()), info["train"][0])
        out["out/test_loader_crop_u8"] = window(resized(photo), info["test_loader_crop"][0])
        run_script(opt, io, resized, folder, out)
    return munit.due(io, out)


def run_script(opt: Mapping[str, Any], io: Tensors, resized: Any, folder: Path, out: Tensors) -> None:
    """Pictures of the test script, in recorded random styles and in that of a photo, both ways."""
    other = re.search(r"as (\w+)", str(opt.get("rest", "")))
    weights = recorded.load((folder.parent / other[1] if other else folder) / "weights.safetensors")
    model = munit.build(opt, weights)
    gen_a, gen_b = (model.generators[name] for name in NAMES)

    def photo_of(name: str) -> Tensor:
        return munit.unit_images(resized(io[name].permute(1, 2, 0).numpy()))[None]

    photo = photo_of("in/image_u8")
    out["out/test_input_png_u8"] = stretched((photo + 1) / 2)[0]
    with recorded.where_held():
        for number, style in enumerate(io["in/test_style_rand"].flatten(1)):
            made = (gen_b.decode(gen_a.encode(photo)[0], style[None]) + 1) / 2
            out |= {f"out/test_a2b_{number:03d}": made[0], f"out/test_a2b_{number:03d}_png_u8": stretched(made)[0]}
    with recorded.where_held():
        guide = photo_of("in/style_image_u8")
        for way, source, target in (("a2b", gen_a, gen_b), ("b2a", gen_b, gen_a)):
            made = (target.decode(source.encode(photo)[0], target.encode(guide)[1]) + 1) / 2
            out[f"out/test_{way}_guided"] = made[0]
