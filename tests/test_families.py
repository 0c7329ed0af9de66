"""The kit of SPADE's family: the generator's skeleton, layouts that are reused, and how a model comes to its inference form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.errors import UsageError
from zoo.families.spade.generator import SkeletonGenerator, Step, spade_channels, spade_steps
from zoo.families.spade.layouts import PlanLayout, check_photos, plan_with
from zoo.families.spade.sizes import DOUBLINGS, widths
from zoo.interfaces.models import MaskParser
from zoo.labels import numbered_space
from zoo.maps import SemanticMap

SPACE = numbered_space(4)


class Block(nn.Module):
    """A residual block of some system: its plan is a shift."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.conv = nn.Conv2d(step.c_in, step.c_out, 1)

    def forward(self, x: Tensor, plan: float) -> Tensor:
        return F.relu(self.conv(x)) + plan


class Toy(SkeletonGenerator):
    """The skeleton with these blocks."""

    def __init__(self, steps: list[Step], *, z_dim: int = 0) -> None:
        super().__init__((2, 3), F.hardtanh)
        self.add_start(steps[0].c_in, 4, z_dim)
        self.add_blocks(steps, Block)


@pytest.mark.parametrize(
    ("upsampling", "scales"),
    [
        ("normal", [0, 1, 1, 2, 3, 4, 5]),
        ("more", [0, 1, 2, 3, 4, 5, 6]),
        ("most", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("finer", [0, 1, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_the_course_of_the_generator(upsampling: str, scales: list[int]) -> None:
    last = 1 if upsampling in ("most", "finer") else 0
    steps = spade_steps(upsampling, spade_channels(widths(2), last=last))
    names = ["head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "up_4"]
    assert [s.name for s in steps] == names[: len(scales)] and [s.scale for s in steps] == scales
    assert [s.c_out for s in steps] == [32, 32, 32, 16, 8, 4, 2, 1][: len(scales)] and steps[0].c_in == 32
    network = Toy(steps, z_dim=5)
    assert list(dict.fromkeys(k.split(".")[0] for k in network.state_dict())) == [
        "fc",
        *names[: len(scales)],
        "conv_img",
    ]
    images = network.paint([0.0] * len(steps), torch.randn(2, 5))
    assert tuple(images.shape) == (2, 3, 2 << DOUBLINGS[upsampling], 3 << DOUBLINGS[upsampling])
    assert float(images.detach().abs().max()) <= 1
    with pytest.raises(ValueError, match="needs a latent"):
        network.paint([0.0] * len(steps))


def test_the_start_may_be_the_map_and_widths_ones_own() -> None:
    steps = spade_steps("normal", [6, 8, 5, 5, 5, 4, 3, 2])  # as GroupDNet's: widths that grow and stay
    network = Toy(steps)
    planes = torch.rand(1, 4, 64, 96)
    start = network.start_from_map(planes)
    assert tuple(start.shape) == (1, 6, 2, 3)
    shifted = network.paint([0.0] * 6 + [1.0], start=start)
    assert not torch.equal(shifted, network.paint([0.0] * 7, start=start))  # each block has its own plan
    with pytest.raises(ValueError, match=r"shorter|longer"):
        network.paint([0.0] * 6, start=start)


def test_blocks_under_other_names() -> None:
    network = Toy(spade_steps("normal", spade_channels(widths(1))))
    course = [Step("body.0", 0, 16, 3), Step("body.1", 1, 3, 2)]
    network.body = nn.ModuleList(Block(step) for step in course)
    network.steps, network.conv_img = course, nn.Conv2d(2, 3, 3, padding=1)
    images = network.paint([0.0, 0.0], start=torch.rand(1, 16, 2, 3))
    assert tuple(images.shape) == (1, 3, 4, 6)


def maps(*values: int, instances: bool = False) -> SemanticMap:
    labels = torch.tensor(values)[:, None, None].expand(-1, 4, 4)
    return SemanticMap(labels, SPACE, labels.clone() if instances else None)


def test_rows_of_equal_maps_are_kept() -> None:
    made: list[list[int]] = []

    def planner(small: SemanticMap) -> Any:
        def make(rows: list[int]) -> dict[str, tuple[Tensor, None]]:
            made.append(rows)
            return {"up_3": (small.labels[rows].float() + len(made), None)}

        return make

    first = maps(0, 1, 2)
    old = PlanLayout(first, plan_with(None, first, planner(first)))
    assert plan_with(old, first, planner(first)) is old.plan and made == [[0, 1, 2]]
    other = maps(0, 3, 2)
    plan = plan_with(old, other, planner(other))
    assert made[-1] == [1] and [float(row[0, 0]) for row in plan["up_3"][0]] == [1, 5, 3]
    assert [float(row[0, 0]) for row in old.plan["up_3"][0]] == [1, 2, 3]  # it is not changed
    plan_with(old, maps(0, 1), planner(maps(0, 1)))
    assert made[-1] == [0, 1]  # another count: nothing to keep
    numbered = maps(0, 1, 2, instances=True)
    assert plan_with(old, numbered, planner(numbered)) is old.plan
    plan_with(old, numbered, planner(numbered), edges=True)
    assert made[-1] == [0, 1, 2]  # the network sees their borders


def test_styles_are_read_from_pairs() -> None:
    check_photos(torch.rand(1, 3, 4, 4), maps(1))
    for photos in (torch.rand(2, 3, 4, 4), torch.rand(1, 3, 4, 5)):
        with pytest.raises(UsageError, match="read from photos and their maps"):
            check_photos(photos, maps(1))


# --- inference forms ----------------------------------------------------------------------------------------------


class Parser(MaskParser):
    """A model with nothing to fold."""

    channels = SPACE.names  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    resolution = (4, 4)  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(self) -> None:
        super().__init__(None, SPACE)
        self.conv = nn.Conv2d(3, 4, 1)

    def parse(self, images: Tensor) -> SemanticMap:
        return SemanticMap(self.conv(images).argmax(1), SPACE)

    def features(self, images: Tensor) -> list[Tensor]:
        return [self.conv(images)]


class Folding(Parser):
    """A model with a part to fold."""

    def _fold(self) -> None:
        assert not self.training and not any(p.requires_grad for p in self.parameters())
        self.folded = True


class OwnWay(Parser):
    """A model that overrides the whole."""

    def optimized(self) -> OwnWay:
        return self


@pytest.mark.parametrize("kind", [Parser, Folding])
def test_an_inference_form_is_a_copy(kind: type[Parser]) -> None:
    model = kind().train()
    model.assets["label_sets"] = {"rows": [1]}
    fast = zoo.optimize(model)
    assert type(fast) is kind and fast is not model and not fast.training and fast.assets == model.assets
    assert not any(p.requires_grad for p in fast.parameters()) and all(p.requires_grad for p in model.parameters())
    assert model.training and hasattr(fast, "folded") == (kind is Folding) and not hasattr(model, "folded")
    pairs = zip(fast.state_dict().values(), model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) and a.data_ptr() != b.data_ptr() for a, b in pairs)


def test_a_model_may_have_a_way_of_its_own() -> None:
    model = OwnWay()
    assert zoo.optimize(model) is model
