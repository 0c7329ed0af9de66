"""Styles: alignment by name in take, lerp and fill, batches, and the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from zoo.errors import UsageError, WeightsError
from zoo.rng import Rng
from zoo.style import Style

AXES = {
    "z": ("sample", "channel"),
    "codes": ("sample", "class", "channel"),
    "deep": ("sample", "layer", "class", "channel"),
    "scale": ("sample", "layer"),
}


def style(
    seed: int,
    *,
    n: int = 1,
    classes: tuple[str, ...] = ("skin", "hair", "nose"),
    layers: tuple[str, ...] = ("coarse", "fine"),
    **masks,
) -> Style:
    sizes = {"sample": n, "class": len(classes), "layer": len(layers), "channel": 4}
    rng = Rng(seed, range(n))
    return Style(
        {k: rng.normal(k, shape=tuple(sizes[a] for a in axes[1:])) for k, axes in AXES.items()},
        AXES,
        classes,
        layers,
        **masks,
    )


def same(one: Style, two: Style) -> bool:
    masks = all(
        (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))
        for a, b in ((one.present, two.present), (one.visible, two.visible))
    )
    return (
        masks
        and all(torch.equal(one.tensors[k], two.tensors[k]) for k in AXES)
        and (one.axes, one.classes, one.layers) == (two.axes, two.classes, two.layers)
    )


A, B = style(1), style(2)


def test_take_of_everything_is_the_other_style() -> None:
    assert same(A.take(B), B) and not same(A, B)


def test_take_of_a_class_changes_that_class_only() -> None:
    mixed = A.take(B, classes=["hair"])
    assert torch.equal(mixed.tensors["codes"][:, 1], B.tensors["codes"][:, 1])
    assert torch.equal(mixed.tensors["deep"][:, :, 1], B.tensors["deep"][:, :, 1])
    for kept in (0, 2):
        assert torch.equal(mixed.tensors["codes"][:, kept], A.tensors["codes"][:, kept])
        assert torch.equal(mixed.tensors["deep"][:, :, kept], A.tensors["deep"][:, :, kept])
    assert torch.equal(mixed.tensors["z"], A.tensors["z"]), "a tensor without classes belongs to no class"
    assert torch.equal(mixed.tensors["scale"], A.tensors["scale"])
    assert same(A, style(1)), "take changed the style in place"


def test_take_of_a_class_at_a_layer_changes_their_crossing_only() -> None:
    mixed = A.take(B, classes=["nose"], layers=["fine"])
    changed = (mixed.tensors["deep"] != A.tensors["deep"]).any(-1)[0]
    assert changed.tolist() == [[False, False, False], [False, False, True]]
    assert torch.equal(mixed.tensors["deep"][0, 1, 2], B.tensors["deep"][0, 1, 2])
    assert all(torch.equal(mixed.tensors[k], A.tensors[k]) for k in ("z", "codes", "scale"))


def test_take_of_a_layer_changes_all_classes_there() -> None:
    mixed = A.take(B, layers=["coarse"])
    assert torch.equal(mixed.tensors["deep"][:, 0], B.tensors["deep"][:, 0]) and torch.equal(
        mixed.tensors["deep"][:, 1], A.tensors["deep"][:, 1]
    )
    assert torch.equal(mixed.tensors["scale"][:, 0], B.tensors["scale"][:, 0]) and torch.equal(
        mixed.tensors["codes"], A.tensors["codes"]
    )


def test_names_are_aligned_not_positions() -> None:
    other = style(3, classes=("nose", "hat", "hair"), layers=("fine", "coarse"))
    mixed = A.take(other, classes=["hair", "nose"], layers=["coarse"])
    assert torch.equal(mixed.tensors["deep"][0, 0, 1], other.tensors["deep"][0, 1, 2])
    assert torch.equal(mixed.tensors["deep"][0, 0, 2], other.tensors["deep"][0, 1, 0])
    assert torch.equal(mixed.tensors["deep"][0, 0, 0], A.tensors["deep"][0, 0, 0])
    assert torch.equal(mixed.tensors["deep"][0, 1], A.tensors["deep"][0, 1])


def test_lerp_mixes_linearly_and_its_ends_are_exact() -> None:
    half = A.lerp(B, 0.25, classes=["skin"])
    torch.testing.assert_close(
        half.tensors["codes"][:, 0], 0.75 * A.tensors["codes"][:, 0] + 0.25 * B.tensors["codes"][:, 0]
    )
    assert torch.equal(half.tensors["codes"][:, 1:], A.tensors["codes"][:, 1:])
    assert same(A.lerp(B, 0.0), A) and same(A.lerp(B, 1.0), B)


def test_one_style_serves_a_batch_and_a_wrong_count_is_refused() -> None:
    batch = style(4, n=3)
    mixed = batch.take(A, classes=["skin"])
    assert len(mixed) == 3 and torch.equal(mixed.tensors["codes"][2, 0], A.tensors["codes"][0, 0])
    assert torch.equal(mixed.tensors["codes"][:, 1:], batch.tensors["codes"][:, 1:])
    with pytest.raises(UsageError, match="2 samples does not fit 3 maps"):
        batch.take(style(5, n=2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: A.take(B, classes=["har"]), r"No style class 'har'; did you mean 'hair'.*skin, hair, nose"),
        (lambda: A.take(B, layers=["3"]), r"No style layer '3' \(here: coarse, fine\)"),
        (lambda: A.take(style(1, classes=("skin",)), classes=["hair"]), "No style class 'hair'"),
        (lambda: Style({"z": torch.zeros(1, 2)}, {"z": ("sample", "channel")}).take(B), "different models"),
        (
            lambda: Style({"z": torch.zeros(1, 2)}, {"z": ("sample", "channel")}).take(
                Style({"z": torch.ones(1, 2)}, {"z": ("sample", "channel")}), classes=["a"]
            ),
            "no class axis",
        ),
    ],
)
def test_what_cannot_be_taken_is_refused(call, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize(
    ("shape", "axes", "classes"),
    [
        ((1, 2), ("sample",), ()),
        ((1, 2), ("channel", "sample"), ()),
        ((1, 2), ("sample", "colour"), ()),
        ((1, 2), ("sample", "class"), ("skin",)),
    ],
)
def test_axes_must_describe_the_tensor(shape: tuple[int, ...], axes: tuple[str, ...], classes: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="Style tensor 'z'"):
        Style({"z": torch.zeros(shape)}, {"z": axes}, classes)


def test_fill_replaces_absent_classes_only() -> None:
    present = torch.tensor([[True, False, True], [False, True, True]])
    found = style(6, n=2, present=present)
    prior = style(7, classes=("nose", "hair", "skin"))
    filled = found.fill(prior)
    assert filled.present is not None and bool(filled.present.all())
    assert torch.equal(filled.tensors["codes"][0, 1], prior.tensors["codes"][0, 1])
    assert torch.equal(filled.tensors["codes"][1, 0], prior.tensors["codes"][0, 2])
    assert torch.equal(filled.tensors["deep"][1, :, 0], prior.tensors["deep"][0, [0, 1], 2])
    kept = present[..., None].expand(2, 3, 4)
    assert torch.equal(filled.tensors["codes"][kept], found.tensors["codes"][kept])
    assert torch.equal(filled.tensors["z"], found.tensors["z"])
    assert A.fill(prior) is A


def test_taking_classes_makes_them_present() -> None:
    mixed = style(1, present=torch.tensor([[False, False, True]])).take(B, classes=["hair"])
    assert mixed.present is not None and mixed.present.tolist() == [[False, True, True]]
    gone = style(1, present=torch.ones(1, 3, dtype=torch.bool)).take(
        style(2, present=torch.tensor([[False, True, True]])), classes=["skin"]
    )
    assert gone.present is not None and gone.present.tolist() == [[False, True, True]]


def test_rows_of_a_batch() -> None:
    batch = style(8, n=3, present=torch.eye(3, dtype=torch.bool))
    assert len(batch[1]) == 1 and torch.equal(batch[1].tensors["z"][0], batch.tensors["z"][1])
    assert batch[[2, 0]].present is not None and batch[[2, 0]].present.tolist() == [
        [False, False, True],
        [True, False, False],
    ]  # type: ignore[union-attr]
    assert torch.equal(batch.repeat_interleave(2).tensors["z"], batch.tensors["z"][[0, 0, 1, 1, 2, 2]])
    assert same(Style.cat([batch[0], batch[1:]]), batch)


def test_joining_styles_with_and_without_absent_classes_keeps_both() -> None:
    partial = style(9, present=torch.tensor([[True, False, True]]), visible=torch.zeros(1, 3, 2, dtype=torch.bool))
    for order, expected in (
        ((A, partial), [[True] * 3, [True, False, True]]),
        ((partial, A), [[True, False, True], [True] * 3]),
    ):
        joined = Style.cat(order)
        assert joined.present is not None and joined.present.tolist() == expected
        assert joined.visible is not None and joined.visible.any(2).all(1).tolist() == [s is A for s in order]


# --- the file -----------------------------------------------------------------------------------------------------


def test_a_saved_style_is_the_same_and_so_are_its_bytes(tmp_path: Path) -> None:
    found = style(
        1, n=2, present=torch.tensor([[True, False, True]] * 2), visible=torch.ones(2, 3, 2, dtype=torch.bool)
    )
    found.save(tmp_path / "a.safetensors")
    loaded = Style.load(tmp_path / "a.safetensors")
    assert same(loaded, found)
    assert (
        (tmp_path / "a.safetensors").read_bytes()
        == loaded.to_bytes()
        == style(1, n=2, present=found.present, visible=found.visible).to_bytes()
    )
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_bytes_do_not_depend_on_the_order_of_the_tensors() -> None:
    backwards = dict(reversed(list(A.tensors.items()))), dict(reversed(list(A.axes.items())))
    assert Style(*backwards, A.classes, A.layers).to_bytes() == A.to_bytes()


def test_shared_memory_and_views_can_be_saved(tmp_path: Path) -> None:
    A.expand(4)._map(lambda t: t.transpose(0, -1).transpose(0, -1)).save(tmp_path / "a.safetensors")
    base = torch.arange(8.0).reshape(1, 8)
    Style({"a": base[:, :4], "b": base[:, 2:6]}, {"a": ("sample", "channel"), "b": ("sample", "channel")}).save(
        tmp_path / "b.safetensors"
    )
    assert Style.load(tmp_path / "b.safetensors").tensors["b"].tolist() == [[2, 3, 4, 5]]


def test_files_that_are_no_style_are_refused(tmp_path: Path) -> None:
    A.save(tmp_path / "whole.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:-9])
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"w": torch.zeros(2)}, tmp_path / "weights.safetensors")
    z = {"style.z": torch.zeros(1, 2)}
    save_file(z, tmp_path / "axes.safetensors", {"zoo": '{"axes": {"z": ["sample"]}, "classes": [], "layers": []}'})
    save_file(z, tmp_path / "list.safetensors", {"zoo": '{"axes": [], "classes": [], "layers": []}'})
    for name in ("cut", "text", "weights", "axes", "list"):
        with pytest.raises(WeightsError, match=rf"{name}.safetensors is not a style file"):
            Style.load(tmp_path / f"{name}.safetensors")
    with pytest.raises(WeightsError, match="no style file"):
        Style.load(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="is a folder"):
        Style.load(tmp_path)


def test_a_partial_change_leaves_classes_alone_that_one_of_the_two_lacks() -> None:
    mine = style(1, present=torch.tensor([[True, False, True]]))
    other = style(2, present=torch.tensor([[True, True, False]]))
    by_layer = mine.take(other, layers=[mine.layers[0]])
    changed_by_layer = [n for n, axes in mine.axes.items() if "layer" in axes]
    for mixed in (mine.lerp(other, 0.5), by_layer):
        assert mixed.present is not None and mixed.present.tolist() == [[True, False, True]]
        for name, tensor in mine.tensors.items():
            if "class" in mine.axes[name]:
                axis = mine.axes[name].index("class")
                changed = (mixed.tensors[name] != tensor).movedim(axis, 0).flatten(1).any(1)
                untouched = name not in changed_by_layer and mixed is by_layer
                assert changed.tolist() == [not untouched, False, False]
