"""SemanticMap and LayeredMap in memory: shapes, resizing, changing the label space, flattening."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch

import zoo
from zoo.errors import LabelError
from zoo.labels import LabelClass, LabelSpace, numbered_space
from zoo.maps import LayeredMap, SemanticMap

FACES = zoo.label_space("celebamask-hq")


def face(values: object, space: LabelSpace = FACES) -> SemanticMap:
    return SemanticMap(torch.tensor(values), space)


def ignoring(count: int) -> LabelSpace:
    return LabelSpace("ignoring", numbered_space(count).classes, "label_0", ignore=True)


def test_labels_become_int64_and_the_size_is_height_by_width() -> None:
    found = SemanticMap(torch.zeros(2, 3, 5, dtype=torch.uint8), FACES)
    assert found.labels.dtype == torch.int64 and found.size == (3, 5) and len(found) == 2


@pytest.mark.parametrize(
    "labels", [torch.zeros(3, 4, dtype=torch.long), torch.zeros(1, 3, 4), torch.zeros(1, 1, 3, 4, dtype=torch.long)]
)
def test_floats_and_wrong_ranks_are_refused(labels: torch.Tensor) -> None:
    with pytest.raises(LabelError, match=r"integer tensor \[B, H, W\]"):
        SemanticMap(labels, FACES)


@pytest.mark.parametrize("value", [19, -1, 255])
def test_values_outside_the_space_are_refused(value: int) -> None:
    with pytest.raises(LabelError, match=rf"\[{value}\] are no classes of 'celebamask-hq' \(valid: 0..18\)"):
        face([[[0, value]]])


def test_255_is_legal_only_where_the_space_says_so() -> None:
    found = face([[[0, 255]]], ignoring(3))
    assert found.present().tolist() == [[True, False, False]]
    with pytest.raises(LabelError, match="254"):
        face([[[0, 254]]], ignoring(3))


def test_instances_must_have_the_labels_shape() -> None:
    with pytest.raises(LabelError, match=r"\(1, 2, 2\), the labels \(1, 1, 2\)"):
        SemanticMap(torch.zeros(1, 1, 2, dtype=torch.long), FACES, torch.zeros(1, 2, 2, dtype=torch.long))


def test_indexing_repeating_and_joining_keep_labels_and_instances_together() -> None:
    labels = torch.arange(3).reshape(3, 1, 1)
    found = SemanticMap(labels, FACES, labels * 10)
    assert found[2].labels.tolist() == [[[2]]] and found[-1].instances is not None
    assert found[[2, 0]].instances.tolist() == [[[20]], [[0]]]  # type: ignore[union-attr]
    twice = found.repeat_interleave(2)
    assert twice.labels.flatten().tolist() == [0, 0, 1, 1, 2, 2] and twice.instances is not None
    joined = SemanticMap.cat([found[0], found[2]])
    assert joined.labels.flatten().tolist() == [0, 2] and joined.instances is not None
    assert SemanticMap.cat([found[0], face([[[5]]])]).instances is None


def test_maps_of_other_spaces_or_sizes_do_not_join() -> None:
    with pytest.raises(LabelError, match="different label spaces"):
        SemanticMap.cat([face([[[1]]]), face([[[1]]], zoo.label_space("atr"))])
    with pytest.raises(LabelError, match="sizes"):
        SemanticMap.cat([face([[[1]]]), face([[[1, 1]]])])


@pytest.mark.parametrize("size", [(5, 3), (31, 29), (7, 50), (48, 9)])
def test_resize_takes_the_pixel_under_the_centre(size: tuple[int, int]) -> None:
    found = SemanticMap(torch.randint(0, 19, (1, 16, 20), generator=torch.Generator().manual_seed(0)), FACES)
    rows, columns = ([(2 * i + 1) * a // (2 * b) for i in range(b)] for a, b in zip(found.size, size, strict=True))
    assert torch.equal(found.resize(size).labels[0], found.labels[0][rows][:, columns])


@pytest.mark.parametrize("size", [(8, 10), (32, 80), (64, 12)])
def test_resize_is_pillows_nearest_where_no_centre_lies_between_pixels(size: tuple[int, int]) -> None:
    labels = torch.randint(0, 19, (2, 16, 20), generator=torch.Generator().manual_seed(0))
    resized = SemanticMap(labels, FACES, labels + (1 << 33)).resize(size)
    for row in range(2):
        image = PIL.Image.fromarray(labels[row].numpy().astype(np.uint8)).resize(
            size[::-1], PIL.Image.Resampling.NEAREST
        )
        assert torch.equal(resized.labels[row], torch.from_numpy(np.asarray(image).astype(np.int64)))
    assert resized.instances is not None and torch.equal(resized.instances, resized.labels + (1 << 33))


def test_enlarged_outlines_have_no_steps() -> None:
    """A slanted edge is nearer to the true one than that of nearest neighbours; a line of one pixel stays whole."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    found = SemanticMap((3 * rows + 2 * columns > 70).long()[None] * 5, FACES)
    small, exact = found.enlarge((128, 128)).labels[0], found.resize((128, 128)).labels[0]
    wanted = (3 * torch.arange(128)[:, None] + 2 * torch.arange(128) > 4 * 70.5 + 7.5).long() * 5
    assert set(small.unique().tolist()) == {0, 5}
    assert int((small != wanted).sum()) < 0.6 * int((exact != wanted).sum())
    assert float((small != exact).float().mean()) < 0.05
    line = torch.zeros(1, 9, 9, dtype=torch.long)
    line[0, 4] = 7
    assert bool((SemanticMap(line, FACES).enlarge((18, 18)).labels[0, 8:10] == 7).all())


@pytest.mark.parametrize("size", [(16, 20), (20, 26), (8, 10), (64, 25)])
def test_maps_that_hardly_grow_are_resized(size: tuple[int, int]) -> None:
    labels = torch.randint(0, 19, (2, 16, 20), generator=torch.Generator().manual_seed(0))
    found = SemanticMap(labels, FACES)
    assert torch.equal(found.enlarge(size).labels, found.resize(size).labels)
    counted = SemanticMap(labels, FACES, labels)
    assert torch.equal(counted.enlarge((64, 80)).labels, counted.resize((64, 80)).labels)
    assert found[:0].enlarge((64, 80)).labels.shape == (0, 64, 80)
    flat = SemanticMap(torch.full((1, 4, 4), 7), FACES).enlarge((9, 8))
    assert flat.labels.shape == (1, 9, 8) and bool((flat.labels == 7).all()) and flat.labels.dtype == torch.int64


def test_to_space_renumbers_by_name_and_keeps_instances() -> None:
    found = SemanticMap(torch.tensor([[[0, 2, 13, 18]]]), FACES, torch.tensor([[[0, 1, 2, 3]]]))
    other = found.to_space(zoo.label_space("face-parsing"))
    assert other.labels.tolist() == [[[0, 10, 17, 16]]] and other.space.name == "face-parsing"
    assert other.instances is not None and other.instances.tolist() == [[[0, 1, 2, 3]]]
    assert torch.equal(other.to_space(FACES).labels, found.labels)


def test_to_space_turns_dropped_classes_into_background_or_refuses() -> None:
    found = face([[[1, 2, 13]]])
    assert found.to_space(zoo.label_space("atr")).labels.tolist() == [[[11, 11, 2]]]  # a nose lies on skin, atr's face
    bare = LabelSpace("bare", (LabelClass("hair", (1, 1, 1)), LabelClass("skin", (2, 2, 2))))
    assert face([[[1, 13]]]).to_space(bare).labels.tolist() == [[[1, 0]]]
    assert found.to_space(bare).labels.tolist() == [[[1, 1, 0]]]
    with pytest.raises(LabelError, match=r"shows hat, which 'bare' lacks, and it has no background"):
        face([[[1, 14]]]).to_space(bare)


@pytest.mark.parametrize("renumbered", [False, True])
def test_unlabeled_pixels_become_background_where_the_target_has_no_255(renumbered: bool) -> None:
    classes = ignoring(3).classes
    plain = LabelSpace("plain", classes[::-1] if renumbered else classes, "label_0")
    found = face([[[0, 1, 255]]], ignoring(3)).to_space(plain)
    assert [plain.names[v] for v in found.labels.flatten().tolist()] == ["label_0", "label_1", "label_0"]
    back = face([[[0, 1, 255]]], ignoring(3)).to_space(LabelSpace("x", classes[::-1], "label_0", ignore=True))
    assert back.labels.tolist() == [[[2, 1, 255]]]


def test_label_sets_colours_and_comparison() -> None:
    found = face([[[0, 13]], [[2, 2]]])
    assert [s.names for s in found.label_sets()] == [("background", "hair"), ("nose",)]
    assert found.label_set(1).names == ("nose",)
    colors = found.colorize()
    assert colors.dtype == torch.float32 and colors.shape == (2, 3, 1, 2)
    assert (colors[0, :, 0, 1] * 255).round().tolist() == list(FACES.palette[13])
    assert found.same_as(face([[[0, 1]], [[2, 3]]])).tolist() == [[[True, False]], [[True, False]]]
    with pytest.raises(LabelError, match="cannot be compared"):
        found.same_as(found.to_space(zoo.label_space("atr")))


# --- soft layers --------------------------------------------------------------------------------------------------


def layers(**parts: list[float]) -> LayeredMap:
    pixels = len(next(iter(parts.values())))
    found = torch.zeros(1, 19, 1, pixels)
    for name, row in parts.items():
        found[0, FACES.index(name), 0] = torch.tensor(row)
    return LayeredMap(found, FACES)


def test_layers_need_one_plane_per_class() -> None:
    with pytest.raises(LabelError, match=r"\[B, 19, H, W\], got \(1, 18, 2, 2\)"):
        LayeredMap(torch.zeros(1, 18, 2, 2), FACES)


def test_painter_puts_later_parts_on_top_and_keeps_faint_foreground() -> None:
    #                 under nose | faint skin | two halves | nothing
    found = layers(skin=[0.9, 0.45, 0.2, 0.1], nose=[0.6, 0.0, 0.3, 0.2])
    named = [FACES.names[v] for v in found.flatten().labels.flatten().tolist()]
    assert named == ["nose", "skin", "nose", "background"]


def test_painters_order_decides_what_lies_on_top() -> None:
    found = layers(skin=[0.9], nose=[0.6])
    assert found.flatten(["skin", "nose"]).labels.item() == FACES.index("nose")
    assert found.flatten(["nose", "skin"]).labels.item() == FACES.index("skin")


def test_argmax_takes_the_strongest_part_above_the_threshold() -> None:
    found = layers(skin=[0.9, 0.25, 0.2], nose=[0.6, 0.2, 0.1], background=[1.0, 1.0, 1.0])
    named = [FACES.names[v] for v in found.flatten(rule="argmax").labels.flatten().tolist()]
    assert named == ["skin", "skin", "background"]
    with pytest.raises(LabelError, match="'painter' or 'argmax'"):
        found.flatten(rule="mean")  # type: ignore[arg-type]


def test_without_background_every_pixel_gets_the_strongest_part() -> None:
    space = numbered_space(2)
    found = LayeredMap(torch.tensor([[[[0.1, 0.05]], [[0.05, 0.1]]]]), space)
    assert found.flatten(rule="argmax").labels.tolist() == found.flatten().labels.tolist() == [[[0, 1]]]


@pytest.mark.parametrize("rule", ["painter", "argmax"])
def test_a_flat_map_survives_layers_and_back(rule: str) -> None:
    found = SemanticMap(torch.randint(0, 19, (2, 6, 6), generator=torch.Generator().manual_seed(1)), FACES)
    assert torch.equal(LayeredMap.from_map(found).flatten(rule=rule).labels, found.labels)  # type: ignore[arg-type]
    unlabeled = LayeredMap.from_map(face([[[1, 255]]], ignoring(3)))
    assert unlabeled.layers.sum(1).tolist() == [[[1.0, 0.0]]]
