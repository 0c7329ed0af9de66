"""The interface of image translators: several domains, one direction, one content for all; and what a plugin's may return."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from zoo.checkpoints.smoke import smoke
from zoo.errors import LabelError, PluginError, UsageError, WeightsError
from zoo.interfaces.border import guarded
from zoo.interfaces.capabilities import Latents
from zoo.interfaces.translators import ImageTranslator
from zoo.labels import LabelSpace, parse_space
from zoo.rng import Rng, RngLike, as_rng
from zoo.style import Style

SEASONS = parse_space(
    {"name": "seasons", "classes": ["spring", "summer", "autumn", {"name": "winter", "aliases": ["snow"]}]}, "test"
)


class Tint(ImageTranslator):
    """Photos of any season in a mean colour: the content is what a photo has beside its mean, the style is the mean."""

    only: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, config: Any = None, space: LabelSpace = SEASONS) -> None:
        super().__init__(config, space)
        self.scale = nn.Parameter(torch.ones(1))

    @property
    def channels(self) -> tuple[str, ...]:
        return self.label_space.names

    @property
    def targets(self) -> tuple[str, ...]:
        return self.only or self.channels

    @property
    def resolution(self) -> tuple[int, int]:
        return 8, 8

    def encode_content(self, images: Tensor, domain: str | None = None) -> Latents:
        images = self.check_photos(images)
        return {
            "rest": images - images.mean((2, 3), keepdim=True),
            "of": torch.full((len(images), 1), self._number(domain)),
        }

    def _number(self, domain: str | None) -> float:
        return -1.0 if domain is None else float(self.channels.index(self.domain(domain)))

    def encode_style(self, images: Tensor, domain: str, *, rng: RngLike | int | None = None) -> Style:
        return self._style(self.check_photos(images).mean((2, 3)))

    def sample_style(self, count: int, rng: RngLike | int | None, *, domain: str) -> Style:
        self.domain(domain)
        return self._style(as_rng(rng, count).uniform("style", shape=(3,)).float())

    def _style(self, means: Tensor) -> Style:
        return Style({"mean": means}, {"mean": ("sample", "channel")})

    def render(self, content: Latents, style: Style, to: str) -> Tensor:
        return (content["rest"] * self.scale + style.tensors["mean"][:, :, None, None]).clamp(0, 1).detach()


class Shared(Tint):
    shared_content: ClassVar[bool] = True


class OneWay(Tint):
    only = ("winter",)


PHOTO = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_of_several_domains_somebody_says_which_a_photo_is_of() -> None:
    with pytest.raises(
        UsageError, match=r"Of which domain are the photos\? Say source: one of spring, summer, autumn\."
    ):
        Tint().translate(PHOTO, to="winter")
    assert Tint().translate(PHOTO, to="snow", source="autumn", rng=0).shape == PHOTO.shape
    made = Shared().translate(PHOTO, to="summer", rng=0)
    assert torch.equal(made, Shared().translate(PHOTO, to="summer", source="winter", rng=Rng(0, [0, 1])))
    with pytest.raises(LabelError, match="Tint has no domain 'sumer'; did you mean 'summer'"):
        Tint().translate(PHOTO, to="sumer", source="winter")


def test_a_model_of_one_direction_paints_one_domain() -> None:
    model = OneWay()
    assert model.target(None) == "winter" and model.target("snow") == "winter"
    with pytest.raises(LabelError, match="OneWay makes no photos of the domain 'spring', only of winter"):
        model.translate(PHOTO, to="spring", source="summer")


def test_one_photo_in_several_styles() -> None:
    """Or several photos in one style, or one each; nothing else."""
    model = Shared()
    styles = model.sample_style(3, 1, domain="winter")
    several = model.translate(PHOTO[:1], to="winter", style=styles)
    assert torch.equal(several[1], model.translate(PHOTO[:1], to="winter", style=styles[1])[0])
    content = model.encode_content(PHOTO[:1])
    assert torch.equal(several, model.translate(content, to="winter", style=styles))
    assert model.translate(PHOTO, to="winter", style=styles[0]).shape == PHOTO.shape
    assert torch.equal(model.translate(PHOTO, rng=4)[1], model.translate(PHOTO[1:], rng=Rng(4, [1]))[0])
    with pytest.raises(UsageError, match="A style of 3 samples does not fit 2"):
        model.translate(PHOTO, style=styles)


def test_photos_of_the_models_size() -> None:
    assert Tint().size_for(100, 30) == (8, 8)
    with pytest.raises(
        UsageError, match=r"Shared takes photos of 8 x 8 pixels \(height x width\) where these have 8 x 9"
    ):
        Shared().translate(torch.rand(1, 3, 8, 9))
    with pytest.raises(UsageError, match="Photos are a float tensor"):
        Shared().translate(torch.zeros(1, 1, 8, 8))


def test_a_converted_model_is_run_in_every_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    smoke(Shared())
    smoke(OneWay(None, parse_space({"name": "two", "classes": ["summer", "winter"]}, "test")))
    monkeypatch.setattr(Shared, "render", lambda *_: torch.full((1, 3, 8, 8), torch.nan))
    with pytest.raises(WeightsError, match="gives no picture"):
        smoke(Shared())


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "photos of another size": (
        {"render": lambda *_: torch.zeros(2, 3, 4, 4)},
        r"translate returns is wrong .*expected \(2, 3, 8, 8\)",
    ),
    "too few": ({"render": lambda *_: torch.zeros(1, 3, 8, 8)}, "render returns is wrong"),
    "out of range": ({"render": lambda *_: torch.full((2, 3, 8, 8), 3.0)}, "values from 3 to 3, expected 0 to 1"),
    "no tensors": (
        {"encode_content": lambda *_, **__: 5},
        "encode_content returns is wrong .*expected a dict of tensors",
    ),
    "no style": ({"sample_style": lambda *_, **__: None}, "sample_style returns is wrong .*expected a Style"),
    "no size": ({"size_for": lambda *_: 8}, "size_for returns is wrong"),
    "targets of nobody": ({"targets": property(lambda _: ("fall",))}, "targets should be some of its channels"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_plugins_model_returns_is_checked(name: str) -> None:
    changes, said = WRONG[name]
    model = type("Odd", (Shared,), changes)()
    with pytest.raises(PluginError, match=said):
        guarded(model).translate(PHOTO, to="winter", rng=0)
