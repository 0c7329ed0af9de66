"""Recorded cases through the inference forms: the replay of a case with `optimized()` models in place of the plain ones.

What is recorded of training, of networks that are replaced as a whole and of layers that a form does not have is left out; what remains has to
be there, the pictures above all. Systems whose forms are compared with their recorded cases beside the plain networks have that in
their own files (SC-GAN, SegVAE, mask-vae).
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from golden_modules import fresh
from torch import Tensor

from zoo.families.spade import folded
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo_plugins.sean import inference as sean

TRAINED = ("train/", "grad", "post_train")
CASES = [
    ("spade", "A_normal_celeba"),
    ("spade", "B2_most_coco_instance1x1"),
    ("spade", "B4_ade20k_c151_1x1"),
    ("clvae", "A_deepfashion_more"),
    pytest.param("clvae", "B2_ade20k_c151", marks=pytest.mark.slow),
    ("oasis", "A_celeba_ks1"),
    ("oasis", "B_gta5_nonoise_batch"),
    ("sean", "A_celeba96"),
    pytest.param("sean", "B_more_edges_b2", marks=pytest.mark.slow),
    ("clade", "A_ade20k_icpe"),
    pytest.param("clade", "B_cityscapes_more_inst_icpe", marks=pytest.mark.slow),
    ("inade", "A_celeba_encoder"),
    pytest.param("inade", "B_cityscapes_more_prior", marks=pytest.mark.slow),
    ("groupdnet", "A_deepfashion"),
    pytest.param("groupdnet", "B_ade20k_c151", marks=pytest.mark.slow),
    ("munit", "A_translate"),
]
WINDOWED = ("spade", "clvae", "oasis", "sean")
"""Systems whose wide networks go by distinct window; the recorded networks are narrow, so both ways are gone here."""
WEIGHED = (folded, sean)
"""Where a form looks how wide a network is."""
PICTURES = "sample|image|recon|x_ab"
"""Names of recorded pictures."""
PUBLIC = [
    ("pix2pixhd", "A_global_edges_gta5"),
    ("pix2pixhd", "B_local2_celeba"),
    ("crn", "A_64p_k9"),
    ("cimle", "A_64p"),
    ("maskgan", "A_dmn"),
]
"""Cases of systems whose forms are called by the public calls alone."""


def with_forms(system: str, made: list[Any], given: dict[str, Tensor]) -> ModuleType:
    """A system's replay whose models are inference forms (appended to `made`), whose inputs lack what training recorded (`given`)."""
    module: Any = fresh(system)
    build, load = module.build, module.recorded.load

    def optimized(*args: Any, **kwargs: Any) -> Any:
        made.append(build(*args, **kwargs).optimized())
        return made[-1]

    def loaded(path: Path) -> dict[str, Tensor]:
        tensors = load(path)
        for name in [name for name in tensors if name.startswith(TRAINED)]:
            del tensors[name]
        given.update(tensors)
        return tensors

    module.build, module.recorded.load = optimized, loaded
    if hasattr(module, "watch"):  # hooks on layers that a form may not have
        module.watch = lambda *_: []
    return module


@pytest.mark.parametrize("windows", [False, True], ids=["narrow", "windows"])
@pytest.mark.parametrize(("system", "case"), CASES)
def test_recorded_pictures(
    system: str, case: str, windows: bool, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if windows and system not in WINDOWED:
        pytest.skip("it has one form")
    for module in WEIGHED:
        monkeypatch.setattr(module, "WORTH", 0 if windows else 1e18)
    folder, made, given = shared / "golden" / system / case, [], {}
    tolerance = json.loads((folder / "case.json").read_text()).get("tolerance", {"atol": 2e-5, "rtol": 1e-4})
    found = with_forms(system, made, given).replay(folder)
    assert made and (system not in WINDOWED or all(model.generator.windowed is windows for model in made))
    results = {k: v for k, v in found.items() if k in given and not k.startswith("in/")}
    assert any(re.search(PICTURES, key) for key in results), sorted(results)
    for key, value in results.items():
        if value.is_floating_point():
            # unconverged u and v blow values up: room for rounding at their size
            atol = 2 * tolerance["atol"] + 2e-6 * float(given[key].abs().max())
            torch.testing.assert_close(value, given[key], atol=atol, rtol=2 * tolerance["rtol"], msg=key)
        else:
            assert torch.equal(value, given[key]), key


def plain_model(module: Any, case: dict[str, Any], folder: Path, size: tuple[int, int]) -> Any:
    """The model of a case, by the arguments that its replay's `build` asks for."""
    weights = module.recorded.load(folder / "weights.safetensors")
    given = {"case": case, "folder": folder, "size": size, "weights": dict(weights)}
    return module.build(**{name: given[name] for name in inspect.signature(module.build).parameters})


@pytest.mark.parametrize(("system", "case"), PUBLIC)
@torch.no_grad()
def test_pictures_of_recorded_networks(system: str, case: str, shared: Path) -> None:
    """The form beside the plain network, whose pictures are compared with the recorded ones elsewhere."""
    folder, module = shared / "golden" / system / case, fresh(system)
    labels = module.recorded.load(folder / "io.safetensors")["in/label_u8"][:, 0].long()
    told = json.loads((folder / "case.json").read_text())
    model = plain_model(module, told, folder, (labels.shape[1], labels.shape[2]))
    fast, maps = model.optimized(), SemanticMap(labels, model.label_space)
    if system == "maskgan":
        size = 4 * model.config.style_width
        for form in (model, fast):
            form.assets["latent_prior"] = {"mean": torch.zeros(size), "factor": torch.eye(size)}
    rng = Rng(0, range(len(maps)))
    style = model.sample_style(maps, rng) if model.styles else None
    pictures = model.synthesize(maps, style)
    assert pictures.std() > 0.02
    torch.testing.assert_close(fast.synthesize(maps, style), pictures, atol=2e-5, rtol=0)
    torch.testing.assert_close(fast.synthesize(fast.layout(maps), style), pictures, atol=2e-5, rtol=0)
