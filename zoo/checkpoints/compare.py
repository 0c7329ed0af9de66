"""Two models side by side: configs, weights and outputs of the same keyed inputs, for `zoo compare`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from zoo import configs
from zoo.api import architecture_of, load
from zoo.checkpoints.smoke import stripes
from zoo.errors import ZooError
from zoo.hub import model_folder, resolve
from zoo.hub.references import is_path
from zoo.interfaces.judges import MapJudge
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, MaskGenerator, MaskParser, Model
from zoo.interfaces.translators import ImageTranslator
from zoo.rng import Rng

SAMPLES = 2


def compare(first: str, second: str) -> dict[str, Any]:
    """What differs, as `zoo compare --json` prints it: `equal`, and by part `config` (field: both values), `weights` (counts, names only
    in one, largest absolute difference of each tensor that differs, largest first), `assets` (names) and `outputs`.

    Both are loaded in float32 on the CPU, with the checks of `zoo.load`. Raises what that raises.
    """
    folders = [(model_folder(r) if is_path(r) else resolve(r)).folder for r in (first, second)]
    models = [load(folder) for folder in folders]
    names = [architecture_of(model) for model in models]
    config = _config(models)
    weights = _weights(*(model.state_dict() for model in models))
    assets = _assets(models)
    outputs = _outputs(models, names)
    report = {
        side: {"folder": str(folder), "architecture": name}
        for side, folder, name in zip("ab", folders, names, strict=True)
    }
    differ = [config, weights["different"], weights["only_a"], weights["only_b"], assets, names[0] != names[1]]
    equal = not any(differ) and outputs["difference"] == 0
    return {"equal": equal, **report, "config": config, "weights": weights, "assets": assets, "outputs": outputs}


def _config(models: list[Model]) -> dict[str, tuple[Any, Any]]:
    """Fields whose values differ (None where one has no such field), label space and channels included."""
    a, b = (
        {**configs.to_dict(m.config), "label space": m.label_space.to_json(), "channels": list(m.channels)}
        for m in models
    )
    different = {n: (a.get(n), b.get(n)) for n in dict.fromkeys([*a, *b]) if a.get(n) != b.get(n)}
    if "label space" in different:  # names are enough
        different["label space"] = (models[0].label_space.name, models[1].label_space.name)
    return different


def _weights(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> dict[str, Any]:
    rows = [row for name in a if name in b and (row := _difference(name, a[name], b[name])) is not None]
    common = sum(name in b for name in a)
    return {
        "tensors": len({*a, *b}),
        "equal": common - len(rows),
        "only_a": [name for name in a if name not in b],
        "only_b": [name for name in b if name not in a],
        "different": sorted(rows, key=lambda row: -float("inf") if row["difference"] is None else -row["difference"]),
    }


def _difference(name: str, a: Tensor, b: Tensor) -> dict[str, Any] | None:
    """How far two tensors lie apart; None for equal ones. difference: None where shapes differ."""
    shapes = [list(a.shape), list(b.shape)]
    if a.shape != b.shape:
        return {"name": name, "difference": None, "shapes": shapes}
    if torch.equal(a, b):
        return None
    return {"name": name, "difference": float((a.double() - b.double()).abs().max()), "shapes": shapes}


def _assets(models: list[Model]) -> list[str]:
    a, b = (m.assets for m in models)
    return [name for name in dict.fromkeys([*a, *b]) if name not in a or name not in b or not _same(a[name], b[name])]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return a == b


# --- outputs ------------------------------------------------------------------------------------------------------


def _outputs(models: list[Model], names: list[str]) -> dict[str, Any]:
    """The largest difference of what both give for the same inputs: of pictures in levels of [0, 1], of maps the share of pixels.

    difference: None where they cannot be compared; text: the same for people.
    """
    kinds = [next((k for k in _KINDS if isinstance(m, k)), None) for m in models]
    if kinds[0] is None or kinds[0] is not kinds[1]:
        return {"difference": None, "text": f"not compared: {names[0]} and {names[1]} are of different kinds"}
    if models[0].label_space.names != models[1].label_space.names or models[0].resolution != models[1].resolution:
        return {"difference": None, "text": "not compared: label spaces or sizes differ"}
    try:
        a, b = (_KINDS[kinds[0]](m) for m in models)
    except ZooError as error:
        return {"difference": None, "text": f"not compared: {error}"}
    if a.is_floating_point():
        difference = float((a.double() - b.double()).abs().max())
        return {"difference": difference, "text": f"pictures differ by up to {difference:.4g} (1 is black to white)"}
    share = float((a != b).double().mean())
    return {"difference": share, "text": f"maps differ in {share:.2%} of their pixels"}


@torch.inference_mode()
def _draw(model: Model) -> Tensor:
    asked = [model.label_space.label_set(model.channels)] * SAMPLES
    return cast(MaskGenerator, model).generate(asked, rng=Rng(0, range(SAMPLES))).labels.cpu()


@torch.inference_mode()
def _draw_pictures(model: Model) -> Tensor:
    asked = [model.label_space.label_set(model.channels)] * SAMPLES
    return cast(ImageGenerator, model).generate(asked, rng=Rng(0, range(SAMPLES))).float().cpu()


@torch.inference_mode()
def _paint(model: Model) -> Tensor:
    maps = stripes(model).repeat_interleave(SAMPLES)
    return cast(ImageSynthesizer, model).synthesize(maps, rng=Rng(0, range(SAMPLES))).float().cpu()


@torch.inference_mode()
def _parse(model: Model) -> Tensor:
    noise = Rng(0, range(SAMPLES)).uniform("photo", shape=(3, *model.resolution)).float()
    return cast(MaskParser, model).parse(noise).labels.cpu()


@torch.inference_mode()
def _judge(model: Model) -> Tensor:
    return cast(MapJudge, model).errors(stripes(model)).cpu()


@torch.inference_mode()
def _translate(model: Model) -> Tensor:
    noise = Rng(0, range(SAMPLES)).uniform("photo", shape=(3, *model.resolution)).float()
    translator = cast(ImageTranslator, model)
    return torch.cat([translator.translate(noise, to=d, rng=Rng(0, range(SAMPLES))) for d in translator.targets]).cpu()


_KINDS: dict[type[Model], Any] = {
    MaskGenerator: _draw,
    ImageSynthesizer: _paint,
    MaskParser: _parse,
    ImageGenerator: _draw_pictures,
    ImageTranslator: _translate,
    MapJudge: _judge,
}
