"""face-parser reproduces the vectors recorded from the authors' code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file

from zoo.errors import WeightsError
from zoo.registry import label_space
from zoo_plugins.face_parser import official
from zoo_plugins.face_parser.config import FaceParserConfig
from zoo_plugins.face_parser.model import FaceParser

golden = golden_module("face_parser")


def _case(shared: Path, name: str) -> tuple[Path, dict, dict[str, torch.Tensor]]:
    folder = shared / "golden" / "face_parser" / name
    case = json.loads((folder / "case.json").read_text())
    return folder, case, load_file(folder / "io.safetensors") if (folder / "io.safetensors").exists() else {}


def _close(found: torch.Tensor, stored: torch.Tensor, factor: float, name: str) -> None:
    assert found.shape == stored.shape and found.dtype == stored.dtype, name
    limit = factor * max(1.0, float(stored.double().abs().max()))
    assert float((found.double() - stored.double()).abs().max()) <= limit, name


def test_evaluation(shared: Path) -> None:
    folder, case, stored = _case(shared, "A_unet")
    found = golden.replay(folder)
    assert set(found) == {k for k in stored if k.startswith("out/")}
    for name, value in found.items():
        if name.endswith("_u8"):
            differing = int((value != stored[name]).sum())
            assert differing <= case["pixels_with_top2_margin_below_1e-3"], name
            assert value.shape == stored[name].shape and value.dtype == stored[name].dtype
        else:
            _close(value, stored[name], 2e-5, name)


def test_authors_checkpoint_file(shared: Path) -> None:
    folder, case, _ = _case(shared, "A_unet")
    state = torch.load(folder / "official_checkpoint_1_G.pth", weights_only=True)
    match = official.detect({k: tuple(v.shape) for k, v in state.items()})
    assert match is not None and match.role == "parser" and not match.missing and not match.unknown
    assert match.config == {"feature_scale": case["official_options"]["feature_scale"]}
    ours = golden.build(case, state).state_dict()
    for key, value in load_file(folder / "weights.safetensors").items():
        assert torch.equal(ours[f"unet.{key}"], value)


def test_one_training_step(shared: Path) -> None:
    folder, case, stored = _case(shared, "C_step")
    found = golden.replay(folder)
    assert float(found["loss"]) == pytest.approx(case["loss"], rel=1e-5)
    for name, norm in case["grad_norm"].items():
        if norm > 1e-3:
            assert float(found[f"grad_norm/{name}"]) == pytest.approx(norm, rel=1e-3), name
    for name, value in stored.items():
        if name.startswith("grad/"):
            _close(found[name], value, 1e-4, name)
        elif name.startswith("train/"):
            _close(found[name], value, 1e-5 if "buffer" in name else 2e-5, name)
    for name, values in case["adam"].items():
        if case["grad_norm"][name] > 1e-5:  # the others move by rounding noise (the case says so)
            for i, value in enumerate(values):
                # sums of thousands of entries cancel: compare on the scale of the norm
                assert float(found[f"adam/{name}/{i}"]) == pytest.approx(
                    value, rel=1e-3, abs=1e-4 * max(1.0, values[1])
                ), (name, i)
    assert set(stored) <= set(found) | {"in/image_u8", "in/label_u8"}


def test_official_keys(shared: Path) -> None:
    folder, case, _ = _case(shared, "D_official_keys")
    assert golden.replay(folder) == {}
    keys = json.loads((folder / "official_keys.json").read_text())
    state = FaceParser(FaceParserConfig(), label_space("celebamask-hq")).state_dict()
    assert [k.removeprefix("unet.") for k in state] == list(keys)
    assert {k.removeprefix("unet."): list(v.shape) for k, v in state.items()} == keys
    assert len(keys) == case["keys"] == 136
    match = official.detect({k: tuple(v) for k, v in keys.items()})
    assert match is not None and match.config == {} and "side" in match.ambiguous


def test_parameter_count(shared: Path) -> None:
    _, case, _ = _case(shared, "D_official_keys")
    model = FaceParser(FaceParserConfig(), label_space("celebamask-hq"))
    assert sum(p.numel() for p in model.parameters()) == case["parameters"] == 1_944_355


def test_merging_of_part_masks(shared: Path) -> None:
    folder, case, stored = _case(shared, "P_merge")
    for number in range(len(case["faces"])):
        truth = np.asarray(PIL.Image.open(folder / f"{number}.png"))
        assert np.array_equal(golden.merged(folder, number).numpy(), truth)
    assert not golden.merged(folder, 29_999).any()
    found = golden.replay(folder)
    assert set(found) == {k for k in stored if k.startswith("out/")}
    for name, value in found.items():
        assert value.shape == stored[name].shape
        assert int((value.int() - stored[name].int()).abs().max()) <= (0 if "label" in name else 2), name


def test_official_layout_gives_back_the_label_maps(shared: Path) -> None:
    from zoo.data.celebamask import merge_parts

    root = shared / "data" / "celebamask-hq"
    numbers = json.loads((root / "official_layout" / "numbers.json").read_text())
    assert numbers
    anno = root / "official_layout" / "CelebAMask-HQ-mask-anno"
    for number, entry in numbers.items():
        truth = np.asarray(PIL.Image.open(root / "labels" / f"{entry['id']}.png"))
        assert np.array_equal(merge_parts(anno, int(number)), truth), number
    assert len(numbers) == 12


def test_foreign_files_are_refused() -> None:
    assert official.detect({"conv1.weight": (64, 3, 7, 7)}) is None
    with pytest.raises(WeightsError, match="role 'parser', got generator"):
        official.convert({"generator": {}})
