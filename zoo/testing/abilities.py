"""What a model says that it can, it can; what it does not say is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.composition.chain import compose
from zoo.errors import Cancelled, ZooError
from zoo.files.images import save_image, to_pil
from zoo.interfaces.models import ImageSynthesizer, MaskGenerator, Model
from zoo.registry import registry
from zoo.registry.capabilities import CAPABILITIES, may, narrowed
from zoo.rng import Rng
from zoo.testing.asker import Asker, can, further
from zoo.testing.samples import Samples
from zoo.testing.subject import Subject

METHODS = {
    "reconstruct": "encode", "layers": "generate_layers", "pictures": "generate_pictures", "edit": "edit", "codes": "codes",
    "style:prior": "sample_style", "style:mean": "sample_style", "style:photo": "encode_style",
}  # fmt: skip


def refused(call: Callable[[], object], what: str) -> None:
    """Fails unless the call raises a ZooError whose message is a sentence."""
    with pytest.raises(ZooError) as error:
        call()
        pytest.fail(f"{what} is not refused")
    text = str(error.value)
    assert len(text.split()) >= 4, f"{what}: {text!r} does not say what is wrong and what to do"


class Abilities(Subject):
    """Tests of what is declared."""

    def test_what_is_declared_works(self, model: Model, asker: Callable[[Model], Asker]) -> None:
        """Each ability gives finite numbers of some size; the architecture declares it, and what else it declares the config
        or an absent asset takes away."""
        asked = asker(model)
        assert can(model) <= {*further(model), "steps"}
        declared = narrowed(registry().architecture(self.architecture).can, model.config)
        assert model.capabilities() <= may(declared), "Architecture.can leaves out what this model can do"
        if all(name in model.assets for name in model.ASSETS):  # an asset may be what an ability rests on
            assert declared & set(CAPABILITIES) <= model.capabilities(), (
                "Architecture.can says more than this model can do"
            )
        for ability in asked.abilities:
            answer = asked.ask(ability, [0, 1], Rng(0, [0, 1]))
            assert answer and all(v.numel() and bool(v.isfinite().all()) for v in answer.values()), ability

    def test_what_is_not_declared_is_refused(
        self, model: Model, samples: Samples, asker: Callable[[Model], Asker], tmp_path: Path
    ) -> None:
        """By the model's own method where it has one, and by a composition that asks for it."""
        asked = asker(model)
        for ability in [name for name in further(model) if name not in can(model) and name != "style:partial"]:
            name, _, kind = ability.partition(":")
            if hasattr(model, METHODS.get(ability, METHODS.get(name, ""))):
                refused(lambda ability=ability: asked.ask(ability, [0], Rng(0, [0])), ability)
            if name == "edit" and isinstance(model, MaskGenerator):
                edit = asked.edit_of(kind)
                refused(
                    lambda edit=edit: compose((model, None), device="cpu")(maps=samples.maps[0], edits=edit), ability
                )
            if name == "style" and isinstance(model, ImageSynthesizer):
                style = _photo(samples, tmp_path) if kind == "photo" else kind
                refused(
                    lambda style=style: compose((None, model), device="cpu")(maps=samples.maps[0], style=style), ability
                )

    def test_steps_are_reported_and_can_be_stopped(self, model: Model, samples: Samples) -> None:
        """`progress(done, steps)` from 0 to the last; what it raises leaves the call."""
        if "steps" not in can(model):
            pytest.skip("one call is one step")
        call: Any = model.synthesize if isinstance(model, ImageSynthesizer) else getattr(model, "generate")  # noqa: B009
        given = samples.maps[0] if isinstance(model, ImageSynthesizer) else samples.sets[:1]
        more = {} if self.options is None else {"options": self.options}
        seen: list[tuple[int, int]] = []
        call(given, rng=Rng(0, [0]), progress=lambda done, total: seen.append((done, total)), **more)
        assert seen == [(i, seen[-1][1]) for i in range(len(seen))] and seen[-1][0] == seen[-1][1] > 1, seen

        def stop(done: int, total: int) -> None:
            if done == 1:
                raise Cancelled("enough")

        with pytest.raises(Cancelled, match="enough"):
            call(given, rng=Rng(0, [0]), progress=stop, **more)


def _photo(samples: Samples, folder: Path) -> str:
    """A photo and its map on disk, as `--style` takes them."""
    save_image(to_pil(samples.photos[0]), folder / "photo.png")
    samples.maps.to_png(folder / "map.png")
    return f"{folder / 'photo.png'}::{folder / 'map.png'}"
