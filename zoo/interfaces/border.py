"""What models of third parties return, checked where it enters the zoo: a wrong value is named as its plugin's fault, not used."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from zoo.errors import PluginError, ZooError
from zoo.interfaces.models import ImageGenerator, Layout, Model
from zoo.interfaces.translators import ImageTranslator
from zoo.labels import LabelSet
from zoo.maps import LayeredMap, SemanticMap
from zoo.registry import FIRST_PARTY, plugin_code, registry, told
from zoo.registry.border import ADVICE
from zoo.registry.capabilities import CAPABILITIES
from zoo.registry.plugin import PluginRecord
from zoo.style import Style

ROUNDING = 1e-3
"""How far outside [0, 1] a picture may lie: what a last layer's rounding may do."""

M = TypeVar("M", bound=Model)
Check = Callable[[Model, Any, tuple[Any, ...], Mapping[str, Any]], None]


def owner_of(model: Model) -> PluginRecord | None:
    """The plugin whose architecture a model is of; None for a class that no plugin registers."""
    path = f"{type(model).__module__}:{type(model).__qualname__}"
    reg = registry()
    return next((reg.owner(name) for name, arch in reg.architectures.items() if arch.model == path), None)


def guarded(model: M) -> M:
    """The model, its calls checked on this object unless it is first-party: what they raise besides errors of the zoo, and what they
    return in a wrong type, shape, label space or range, becomes a PluginError that names the plugin."""
    record = owner_of(model)
    if record is not None and record.distribution == FIRST_PARTY:
        return model
    owner = (
        f"Plugin {record.label}" if record else f"The model class {type(model).__module__}.{type(model).__qualname__}"
    )
    with plugin_code(f"{owner}: what it says of itself is wrong"):
        _describes_itself(model)
    for name, check in CHECKS.items():
        call = getattr(model, name, None)
        if call is not None:
            setattr(model, name, _checked(model, name, call, check, owner))
    return model


def _checked(model: Model, name: str, call: Callable[..., Any], check: Check, owner: str) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        ours: list[BaseException] = []  # what the caller's own `progress` raises is no fault of the plugin
        progress = kwargs.get("progress")
        if progress is not None:
            kwargs["progress"] = _listening(progress, ours)
        try:
            with plugin_code(f"{owner}: {name} failed"):
                value = call(*args, **kwargs)
        except ZooError as error:
            if ours and error.__cause__ is ours[0]:
                raise ours[0] from None
            if _misbuilt(error):
                raise PluginError(f"{owner}: {name} failed ({told(error)}). {ADVICE}") from error
            raise
        with plugin_code(f"{owner}: what {name} returns is wrong"):
            check(model, value, args, kwargs)
        return value

    return wrapped


def _misbuilt(error: ZooError) -> bool:
    """Whether a map or a style refused what it was made of; other errors of the zoo speak of what the caller asked for."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code = None if trace is None else trace.tb_frame.f_code
    return code in (SemanticMap.__post_init__.__code__, Style.__post_init__.__code__)


def _listening(progress: Callable[..., Any], raised: list[BaseException]) -> Callable[..., Any]:
    def report(*args: Any) -> Any:
        try:
            return progress(*args)
        except BaseException as error:
            raised.append(error)
            raise

    return report


def _describes_itself(model: Model) -> None:
    channels, resolution = model.channels, model.resolution
    if not isinstance(channels, tuple | list) or not all(isinstance(n, str) for n in channels):
        raise TypeError(f"channels should be a tuple of class names, got {channels!r}")
    fits = isinstance(resolution, tuple | list) and len(resolution) == 2
    if not fits or not all(type(side) is int and side > 0 for side in resolution):
        raise TypeError(f"resolution should be (height, width), got {resolution!r}")
    can = model.capabilities()
    if isinstance(model, ImageTranslator) and (not model.targets or not set(model.targets) <= set(channels)):
        raise TypeError(f"targets should be some of its channels, got {model.targets!r}")
    if not isinstance(can, set | frozenset) or not can <= set(CAPABILITIES):
        raise TypeError(f"capabilities() should be a frozenset of names in zoo.registry.capabilities, got {can!r}")


# --- one check for each call --------------------------------------------------------------------------------------


def _map(model: Model, value: Any, count: int | None, size: tuple[int, int] | None) -> None:
    if not isinstance(value, SemanticMap):
        raise TypeError(f"expected a SemanticMap, got {type(value).__name__}")
    if value.space.names != model.label_space.names:
        raise ValueError(f"the map speaks {value.space.name!r}, the model {model.label_space.name!r}")
    if count is not None and len(value) != count:
        raise ValueError(f"{len(value)} maps for {count}")
    if size is not None and value.size != size:
        raise ValueError(f"maps of {value.size[0]} x {value.size[1]} pixels, expected {size[0]} x {size[1]}")


def _images(model: Model, value: Any, count: int | None, size: tuple[int, int] | None = None) -> None:
    height, width = size or model.resolution
    if not isinstance(value, Tensor):
        raise TypeError(f"expected a tensor [B, 3, {height}, {width}], got {type(value).__name__}")
    if value.dim() != 4 or tuple(value.shape[1:]) != (3, height, width) or (count is not None and len(value) != count):
        batch = "B" if count is None else count
        raise ValueError(f"pictures of shape {tuple(value.shape)}, expected ({batch}, 3, {height}, {width})")
    if not value.is_floating_point():
        raise TypeError(f"pictures of {value.dtype}, expected torch.float32 in [0, 1]")
    low, high = (float(x) for x in torch.aminmax(value.detach().float()))
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # false for NaN, too
        raise ValueError(f"pictures with values from {low:.4g} to {high:.4g}, expected 0 to 1")


def _generate(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    conditions = args[0] if args else kwargs.get("conditions")
    count = None if conditions is None else len(conditions)
    if isinstance(model, ImageGenerator):
        _images(model, value, count)
    else:
        _map(model, value, count, (model.resolution[0], model.resolution[1]))


def _own_pictures(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    conditions = args[0] if args else kwargs.get("conditions")
    _images(model, value, None if conditions is None else len(conditions))


def _of_model_size(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    _map(model, value, None, (model.resolution[0], model.resolution[1]))


def _parse(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    images = args[0] if args else kwargs["images"]
    _map(model, value, len(images), (images.shape[-2], images.shape[-1]))


def _synthesize(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    drawn = args[0] if args else kwargs["semantic_map"]
    style = args[1] if len(args) > 1 else kwargs.get("style")
    maps = drawn.semantic_map if isinstance(drawn, Layout) else drawn
    _images(model, value, len(style) if isinstance(style, Style) else len(maps))


def _translate(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    photos, style = args[0] if args else kwargs["photos"], kwargs.get("style")
    if isinstance(photos, Tensor):
        _images(model, value, max(len(photos), len(style or ())), (photos.shape[-2], photos.shape[-1]))


def _render(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    style = args[1] if len(args) > 1 else kwargs["style"]
    _images(model, value, len(style), (value.shape[-2], value.shape[-1]) if isinstance(value, Tensor) else None)


def _size(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    fits = isinstance(value, tuple | list) and len(value) == 2 and all(type(side) is int and side > 0 for side in value)
    if not fits:
        raise TypeError(f"expected (height, width), got {value!r}")


def _layout(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    if not isinstance(value, Layout):
        raise TypeError(f"expected a Layout, got {type(value).__name__}")
    notes: Any = value.notes
    if not isinstance(notes, tuple | list) or not all(isinstance(note, str) for note in notes):
        raise TypeError(f"its notes should be sentences, got {notes!r}")


def _style(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    if not isinstance(value, Style):
        raise TypeError(f"expected a Style, got {type(value).__name__}")
    for name, tensor in value.tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"style tensor {name!r} holds numbers that are not finite")


def _tensors(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(t, Tensor) for t in value.values()):
        raise TypeError(f"expected a dict of tensors, got {type(value).__name__}")


def _layers(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    if not isinstance(value, LayeredMap):
        raise TypeError(f"expected a LayeredMap, got {type(value).__name__}")


def _sets(model: Model, value: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(s, LabelSet) for s in value):
        raise TypeError(f"expected a list of LabelSets, got {type(value).__name__}")
    count = args[0] if args else kwargs["count"]
    if len(value) != count:
        raise ValueError(f"{len(value)} label sets for {count}")


CHECKS: dict[str, Check] = {
    "sample_label_sets": _sets,
    "sample_latents": _tensors,
    "generate": _generate,
    "generate_layers": _layers,
    "generate_pictures": _own_pictures,
    "encode": _tensors,
    "decode": _of_model_size,
    "edit": _of_model_size,
    "layout": _layout,
    "synthesize": _synthesize,
    "sample_style": _style,
    "encode_style": _style,
    "parse": _parse,
    "encode_content": _tensors,
    "render": _render,
    "translate": _translate,
    "size_for": _size,
}
