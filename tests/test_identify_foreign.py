"""None of fifty foreign checkpoints is named: networks of timm, optimizers, drawn dictionaries."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from zoo.checkpoints.identify import identify, identify_shapes

TIMM = (
    "resnet10t", "resnet18", "resnet26", "resnetv2_50", "seresnet18", "legacy_seresnet18", "ecaresnet26t", "wide_resnet50_2",
    "resnext26ts", "res2net50_14w_8s", "efficientnet_lite0", "mobilenetv2_035", "mobilenetv3_small_050", "mnasnet_small",
    "lcnet_035", "tinynet_e", "ghostnet_050", "regnetx_002", "regnety_002", "vgg11", "vgg11_bn", "densenet121", "dla46_c",
    "hrnet_w18_small", "convnext_atto", "convnextv2_atto", "vit_tiny_patch16_224", "deit_tiny_patch16_224", "cait_xxs24_224",
    "mixer_s32_224", "resmlp_12_224", "gmlp_ti16_224", "xcit_nano_12_p16_224", "edgenext_xx_small", "mobilevit_xxs",
    "poolformer_s12", "crossvit_tiny_240", "levit_128s",
)  # fmt: skip


@pytest.mark.parametrize("name", TIMM)
def test_networks_of_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        try:
            net = timm.create_model(name, pretrained=False)
        except RuntimeError as error:
            pytest.skip(f"this timm has no {name}: {error}")
    report = identify_shapes({k: tuple(v.shape) for k, v in net.state_dict().items()})
    assert not report.named and not report.faults


def optimizers() -> dict[str, torch.optim.Optimizer]:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    found: dict[str, torch.optim.Optimizer] = {
        "adam": torch.optim.Adam(net.parameters()),
        "sgd": torch.optim.SGD(net.parameters(), 0.1, momentum=0.9),
        "rmsprop": torch.optim.RMSprop(net.parameters(), 0.1),
    }
    for optimizer in found.values():
        net(torch.randn(2, 3, 8, 8)).sum().backward()
        optimizer.step()
    return found


def drawn(seed: int) -> dict[str, Any]:
    """Key names in the style of checkpoints (some of ours among them), with shapes drawn at random."""
    rng = random.Random(seed)
    words = (
        "fc",
        "up_3",
        "norm_0",
        "mlp_shared",
        "0",
        "layer1",
        "weight",
        "bias",
        "netG",
        "shapeE",
        "encs",
        "head_0",
        "conv",
    )
    words += ("fc_mu", "model0", "discriminator_0", "embedding", "final", "weight_orig", "running_mean", "conv_img")
    return {
        ".".join(rng.choice(words) for _ in range(rng.randint(1, 5))): torch.zeros([rng.randint(0, 5) for _ in range(rng.randint(0, 4))])
        for _ in range(60)
    }  # fmt: skip


FOREIGN: dict[str, Any] = {
    **{f"optimizer {n}": o.state_dict() for n, o in optimizers().items()},
    "optimizers beside each other": {n: o.state_dict() for n, o in optimizers().items()},
    **{f"drawn {seed}": drawn(seed) for seed in range(6)},
    "a tensor": torch.zeros(3),
    "a list of tensors": [torch.zeros(2, 2)] * 40,
    "nothing": {},
    "numbers": {"epoch": 3, "loss": [0.1, 0.2], "name": "x", 7: 8, "none": None},
    "numbered": {i: torch.zeros(2) for i in range(20)},
    "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": torch.zeros(2)}}}}}}}}}},
    "our keys without shapes": {
        k: torch.zeros(())
        for k in ("fc.weight", "conv_img.weight", "up_3.norm_0.mlp_shared.0.weight", "embedding.weight", "encs.mu.weight",
                  "decs_conv.in_conv.weight", "reshape_conv.weight", "final.weight", "conv1.conv1.0.weight", "fc_mu.weight",
                  "fc_var.weight", "layer1.0.weight_orig", "discriminator_0.model0.0.weight", "shapeE.embed.0.weight")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", list(FOREIGN))
def test_other_contents(name: str, tmp_path: Path) -> None:
    torch.save(FOREIGN[name], tmp_path / "it.pth")
    report = identify(tmp_path / "it.pth")
    assert not report.named and not report.faults
    assert (
        bool(report.networks) == any(w in name for w in ("drawn", "tensor", "our keys", "numbered")) or report.ignored
    )


def test_there_are_fifty() -> None:
    assert len(TIMM) + len(FOREIGN) >= 50


def test_a_checkpoint_that_holds_itself(tmp_path: Path) -> None:
    loop: dict[str, Any] = {"weight": torch.zeros(2)}
    loop["self"] = loop
    torch.save(loop, tmp_path / "it.pth")
    report = identify(tmp_path / "it.pth")
    assert not report.named and ("self", "nested too deeply") in report.ignored
