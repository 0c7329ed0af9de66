"""Converted folders, loaded as users load them, give the recorded outputs: one case per system."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from golden_modules import fresh
from safetensors.torch import load_file
from torch import Tensor

import zoo
from zoo import configs
from zoo.checkpoints.identify import identify

NUMBERED = {"label_space": "numbered", "channels": ",".join(f"label_{i}" for i in range(19))}
OWN = "official_checkpoint_latest_net_"


def stated(files: list[Path], config: Any, skip: tuple[str, ...] = (), more: dict[str, str] | None = None) -> list[str]:
    """`--config` for every field that no shape tells, with the values of the case."""
    values = configs.to_dict(config)
    fields = dict.fromkeys(
        f for file in files for n in identify(file).named for c in n.candidates for f in c.match.ambiguous
    )
    out = {f: _text(values[f]) for f in fields if f in values and f not in skip} | (more or {})
    return [part for f, v in out.items() for part in ("--config", f"{f}={v}")]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def convert(run: Callable[..., Ran], files: list[Path], out: Path, *arguments: str) -> Path:
    ran = run("convert", *files, "--out", out, *arguments)
    assert ran.code == 0, ran.err
    return out


def close(results: dict[str, Tensor], io: dict[str, Tensor], atol: float, *keys: str) -> None:
    for key in keys:
        torch.testing.assert_close(results[key].to(io[key].dtype), io[key], atol=atol, rtol=1e-4, msg=key)


def test_spade(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder, replay = shared / "golden/spade/A_normal_celeba", fresh("spade")
    opt = json.loads((folder / "case.json").read_text())["official_options"]
    files = [folder / f"{OWN}G.pth"]
    arguments = stated(files, replay.config_of(opt), skip=("label_space", "channels"))
    out = convert(run, files, tmp_path / "out", "--dataset", "celeba", *arguments)
    replay.build = lambda *_: zoo.load(out)
    close(replay.replay(folder), load_file(folder / "io.safetensors"), 6e-5, "out/sample")


def test_gaugan_vae(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    """Generator and encoder out of one file: all tensors are those of the authors' file."""
    file = shared / "golden/spade/C_losses_vae/weights.safetensors"
    out = convert(run, [file], tmp_path / "out", "--config", "label_space=numbered")
    model: Any = zoo.load(out)
    assert model.config.use_vae and set(model.styles) >= {"prior", "photo"}
    theirs, ours = load_file(file), model.state_dict()
    assert torch.equal(ours["generator.fc.weight"], theirs["netG.fc.weight"])
    assert torch.equal(ours["encoder.fc_mu.weight"], theirs["netE.fc_mu.weight"])


def test_scgan(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder, replay = shared / "golden/scgan/A_celeba256", fresh("scgan")
    opt = json.loads((folder / "case.json").read_text())["opt"]
    files = [folder / f"{OWN}{n}.pth" for n in "GE"]
    out = convert(run, files, tmp_path / "out", *stated(files, replay.config_of(opt), more=NUMBERED))
    replay.build = lambda *_: zoo.load(out)
    io = load_file(folder / "io.safetensors")
    keys = [k for k in io if k.startswith("enc_")]
    results = replay.replay(folder)
    assert {"enc_mu", "enc_image"} <= set(keys)
    close(results, io, 5e-4, *keys)


def test_clvae(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder, replay = shared / "golden/clvae/A_deepfashion_more", fresh("clvae")
    case = json.loads((folder / "case.json").read_text())
    files = [folder / f"{OWN}{n}.pth" for n in "GE"]
    arguments = stated(files, replay.config_of(case["official_options"]), skip=("label_space", "channels"))
    out = convert(run, files, tmp_path / "out", "--dataset", "deepfashion", *arguments)
    replay.build = lambda *_: zoo.load(out)
    io = load_file(folder / "io.safetensors")
    atol = case["tolerance"]["per_tensor_atol"].get("out/style", 1e-3)
    close(replay.replay(folder), io, 2 * atol, "out/style")


def test_sean(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder, replay = shared / "golden/sean/A_celeba96", fresh("sean")
    case = json.loads((folder / "case.json").read_text())
    files = [folder / "weights.safetensors"]
    arguments = stated(files, replay.config_of(case), skip=("label_space", "channels"))
    out = convert(run, files, tmp_path / "out", "--dataset", "celeba", *arguments)
    replay.build = lambda *_: zoo.load(out)
    close(
        replay.replay(folder),
        load_file(folder / "io.safetensors"),
        2e-5,
        "out/photo0_recon_s2",
        "out/ui/transfer_class_s4",
    )


def test_maskgan(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    """The blender is needed in training alone and is left out; so is the discriminator, unless it is kept."""
    golden, replay = shared / "golden/maskgan", fresh("maskgan")
    folder = golden / "A_dmn"
    others = [golden / f"C_losses/{OWN}{n}.pth" for n in "BD"]
    arguments = ("--config", "resolution=96", "--discriminator", "keep")
    out = convert(run, [folder / f"{OWN}G.pth", *others], tmp_path / "out", "--dataset", "celeba", *arguments)
    replay.build = lambda *_: zoo.load(out)
    close(replay.replay(folder), load_file(folder / "io.safetensors"), 2e-5, "out/image", "out/adain_params")
    assert {p.name for p in out.iterdir()} >= {"discriminator.safetensors", "model.safetensors"}
    assert not any("blender" in p.name for p in out.iterdir())
    ran = run("convert", others[0], "--out", tmp_path / "alone")
    assert ran.code == 1 and "a blender alone is no model" in ran.err
    assert "maskgan blender: all 28 keys fit" in run("identify", others[0]).out


def test_maskgan_vae(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder, replay = shared / "golden/maskgan/B_maskvae", fresh("maskgan")
    out = convert(run, [folder / "weights.safetensors"], tmp_path / "out", "--dataset", "celeba")
    replay.build_vae = lambda *_: zoo.load(out)
    close(replay.replay(folder), load_file(folder / "io.safetensors"), 1e-4, "out/mu", "out/logits_s32")


def test_segvae(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder, replay = shared / "golden/segvae/A", fresh("segvae")
    case = json.loads((folder / "case.json").read_text())
    files = [folder / "official_checkpoint.pth"]
    out = convert(run, files, tmp_path / "out", *stated(files, replay.config_of(case)))
    replay.model_of = lambda *_: zoo.load(out)
    io = load_file(folder / "io.safetensors")
    results = replay.replay(folder)
    close(results, io, 5e-5, "labelset.feat", "labelset.z_prior")
    soft = results["labelset.gen"][:, 1:], io["labelset.gen"][:, 1:]
    torch.testing.assert_close(*soft, atol=5e-5, rtol=1e-4)


def test_mask_vae(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder, replay = shared / "golden/mask_vae/A", fresh("mask_vae")
    case = json.loads((folder / "case.json").read_text())
    files = [folder / f"{OWN}G.pth"]
    arguments = stated(files, replay.config_of(case), more={"label_space": "numbered"})
    plain = convert(run, files, tmp_path / "plain", *arguments)
    swapped = convert(run, files, tmp_path / "swapped", *arguments, "--config", "swap_first_parts=true")
    replay._model = lambda _folder, _case, **changes: zoo.load(swapped if changes else plain)
    io = load_file(folder / "io.safetensors")
    results = {k: v for k, v in replay.replay(folder).items() if v.is_floating_point()}
    assert len(results) > 3
    close(results, io, 1e-4, *results)


def test_face_parser(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    folder, replay = shared / "golden/face_parser/A_unet", fresh("face_parser")
    out = convert(run, [folder / "official_checkpoint_1_G.pth"], tmp_path / "out", "--dataset", "celeba")
    replay.build = lambda *_: zoo.load(out)
    io = load_file(folder / "io.safetensors")
    keys = [k for k in io if k.startswith("out/logits")]
    assert keys
    close(replay.replay(folder), io, 5e-4, *keys)


@pytest.mark.slow
def test_ca2sis(shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    """Its weights follow a formula by official key, so the file is made here as the authors' code would save it."""
    folder, replay = shared / "golden/mask_vae/E_ca2sis", fresh("ca2sis")
    lists = json.loads((shared / "golden/mask_vae/D/official_keys.json").read_text())
    keys = next(v for k, v in lists.items() if "CA2SIS" in k)
    torch.save({k: replay.formula(k, tuple(shape)) for k, (shape, _) in keys.items()}, tmp_path / "latest_net_G.pth")
    out = convert(run, [tmp_path / "latest_net_G.pth"], tmp_path / "out", "--dataset", "celeba")
    replay.build = lambda *_: zoo.load(out)
    io = load_file(folder / "io.safetensors")
    close(replay.replay(folder), io, 1e-3, "layout_codes", "style_tokens_s4", "out_style0_layout1_s4")
