"""Parts that overlap: what lies on what, packed layers, and their way through resizing, mirroring, batches and label spaces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from zoo.data import Augment, Batch, PairData, Source, layers_of
from zoo.data.files import (
    LabelArray,
    LayerArray,
    PhotoArray,
    merged,
    moved_layers,
    pack_layers,
    resize_labels,
    resize_layers,
)
from zoo.data.specs import open_data, open_source
from zoo.errors import DataError, LabelError
from zoo.labels import LabelClass, LabelSpace, numbered_space, parse_space
from zoo.maps import LayeredMap, SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo.training.session import Relabelled

FACES = label_space("celebamask-hq")
SKIN, NOSE, L_EYE, R_EYE, NECK_L, NECK = (FACES.index(n) for n in ("skin", "nose", "l_eye", "r_eye", "neck_l", "neck"))


def space_of(**on: str | None) -> LabelSpace:
    return LabelSpace("test", tuple(LabelClass(n, (0, 0, 0), on=lower) for n, lower in on.items()), next(iter(on)))


class Overlapping(Source):
    """Random parts that overlap everywhere; the flat map is what lies on top."""

    has_layers = True

    def __init__(self, count: int = 6, side: int = 24) -> None:
        self.label_space = FACES
        self.names = tuple(f"{i}" for i in range(count))
        rng = np.random.default_rng(0)
        self.packed = [
            pack_layers({v: rng.random((side, side)) < 0.2 for v in range(1, len(FACES))}, (side, side))
            for _ in range(count)
        ]

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        return None, merged(self.packed[index])

    def read_layers(self, index: int, size: tuple[int, int] | None = None) -> LayerArray:
        return self.packed[index]


# --- what lies on what ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["celebamask-hq", "face-parsing"])
def test_features_lie_on_skin_and_the_necklace_on_the_neck(name: str) -> None:
    space = label_space(name)
    on = {c.name: c.on for c in space.classes if c.on}
    features = ("nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")
    assert on == {**dict.fromkeys(features, "skin"), "neck_l": "neck"}
    assert space.under[space.index("nose")] == (space.index("skin"),) and space.under[space.index("hair")] == ()
    assert sorted(space.paint_order) == sorted(space.names)
    assert space.paint_order.index("neck") < space.paint_order.index("neck_l")
    assert parse_space(space.to_json(), "here") == space


def test_paint_order_keeps_the_spaces_order_where_it_can() -> None:
    assert space_of(a=None, b="d", c=None, d="e", e=None).paint_order == ("a", "c", "e", "d", "b")
    assert space_of(a=None, b="d", c=None, d="e", e=None).under[1] == (3, 4)
    assert label_space("atr").paint_order == label_space("atr").names


def test_wrong_lower_classes_are_refused() -> None:
    with pytest.raises(LabelError, match="'b' lies on 'skim', which is not one of its classes; did you mean 'skin'"):
        space_of(skin=None, b="skim")
    with pytest.raises(LabelError, match="in a circle: a on b on a"):
        space_of(a="b", b="a")
    with pytest.raises(LabelError, match="in a circle: c on c"):
        space_of(a=None, c="c")
    with pytest.raises(LabelError, match="on is the name of the class"):
        parse_space({"classes": [{"name": "a", "on": 3}]}, "here")


def test_filled_layers_painted_from_below_give_the_map_back() -> None:
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, 19, (3, 40, 40)))
    found = SemanticMap(labels, FACES)
    filled, flat = LayeredMap.from_map(found, fill=True), LayeredMap.from_map(found)
    assert torch.equal(filled.flatten(FACES.paint_order).labels, labels)
    assert torch.equal(filled.flatten().labels, labels)
    nose, eyes = labels == NOSE, labels == L_EYE
    assert bool(filled.layers[:, SKIN][nose].all()) and bool(filled.layers[:, SKIN][eyes].all())
    assert float(flat.layers[:, SKIN][nose].sum()) == 0 and torch.equal(flat.layers.sum(1), torch.ones(3, 40, 40))
    assert torch.equal(filled.layers[:, FACES.index("hair")], flat.layers[:, FACES.index("hair")])


def test_layers_pack_into_bits() -> None:
    layers = LayeredMap((torch.rand(2, 19, 5, 4, generator=torch.Generator().manual_seed(0)) > 0.5).float(), FACES)
    bits = layers.bits()
    assert bits.dtype == torch.int64 and torch.equal(LayeredMap.from_bits(bits, FACES).layers, layers.layers)
    widest = LayeredMap(torch.ones(1, 62, 1, 1), numbered_space(62))
    assert widest.bits().item() == 2**62 - 1
    with pytest.raises(LabelError, match="63 classes; packed layers hold at most 62"):
        LayeredMap(torch.ones(1, 63, 1, 1), numbered_space(63)).bits()
    with pytest.raises(LabelError, match="beyond the 19 classes"):
        LayeredMap.from_bits(torch.full((1, 1, 1), 1 << 19), FACES)
    with pytest.raises(LabelError, match=r"int64 \[B, H, W\]"):
        LayeredMap.from_bits(torch.zeros(1, 1, 1), FACES)


# --- arrays ---------------------------------------------------------------------------------------------------------


def test_the_highest_value_lies_on_top() -> None:
    bits = np.array([[0, 1, 2, 3, 2**18 + 2**17 + 6, 2**54 - 1, 2**62 - 1]], dtype=np.int64)
    assert merged(bits).tolist() == [[0, 0, 1, 1, 18, 53, 61]]
    masks = {v: np.arange(19) >= v for v in range(1, 19)}
    assert merged(pack_layers({v: m[None] for v, m in masks.items()}, (1, 19))).tolist() == [list(range(19))]


@pytest.mark.parametrize("target", [(7, 5), (16, 128), (33, 47), (300, 211)])
@pytest.mark.parametrize("box", [None, (1.3, 2.7, 40.2, 33.9), (0, 0, 50, 40.5)])
def test_layers_are_resized_like_labels(target: tuple[int, int], box: tuple[float, float, float, float] | None) -> None:
    labels = np.random.default_rng(2).integers(0, 200, (41, 50)).astype(np.uint8)
    height, width = target
    expected = np.asarray(PIL.Image.fromarray(labels).resize((width, height), PIL.Image.Resampling.NEAREST, box=box))
    assert np.array_equal(resize_layers(labels.astype(np.int64), target, box), expected)


def test_layers_move_to_other_classes() -> None:
    assert moved_layers(np.array([[0b1011]]), [0, 3, 2, -1]).tolist() == [[0b1001]]
    swapped = moved_layers(np.array([[1 << L_EYE | 1 << SKIN]]), FACES.mirror_table)
    assert swapped.tolist() == [[1 << R_EYE | 1 << SKIN]]


# --- batches --------------------------------------------------------------------------------------------------------


def test_batches_carry_the_layers() -> None:
    source = Overlapping()
    data = PairData(source, 16)
    batch = data.batch([0, 3])
    assert batch.layers is not None and batch.layers.dtype == torch.int64
    expected = [resize_layers(source.packed[i], (16, 16)) for i in (0, 3)]
    assert np.array_equal(batch.layers.numpy(), np.stack(expected))
    assert np.array_equal(batch.maps.labels.numpy(), np.stack([merged(e) for e in expected]))
    moved = batch.to("cpu").layers
    assert moved is not None and torch.equal(moved, batch.layers)
    layers = layers_of(batch).layers
    assert torch.equal(layers[:, SKIN].long(), (batch.layers >> SKIN) & 1) and float(layers.sum(1).max()) > 1
    assert data.fingerprint() != PairData(Flat(), 16).fingerprint()


class Flat(Overlapping):
    """The same maps without their layers."""

    has_layers = False
    read_layers = Source.read_layers


def test_flat_data_has_no_layers_and_is_filled() -> None:
    batch = PairData(Flat(), 16).batch([0, 1])
    assert batch.layers is None
    assert torch.equal(layers_of(batch).layers, LayeredMap.from_map(batch.maps, fill=True).layers)
    with pytest.raises(DataError, match="no overlapping parts"):
        Flat().read_layers(0)


def test_augmented_layers_stay_with_the_map() -> None:
    data = PairData(Overlapping(), 16, load_size=24)
    batch = data.batch(range(6), Augment(flip=True, zoom=0.5), Rng(3, range(6)))
    assert batch.layers is not None
    # with zoom alone the top layer is the map; mirroring swaps sides after the map was merged
    top = torch.from_numpy(np.stack([merged(b.numpy()) for b in batch.layers]))
    swap = torch.tensor(FACES.mirror_table)
    for bits, labels, highest in zip(batch.layers, batch.maps.labels, top, strict=True):
        assert bool(((bits >> labels) & 1).all())  # the class of every pixel lies there
        unmirrored = torch.from_numpy(merged(moved_layers(bits.numpy(), FACES.mirror_table))).long()
        assert torch.equal(labels, highest.long()) or torch.equal(labels, swap[unmirrored])
    alone = data.batch([4], Augment(flip=True, zoom=0.5), Rng(3, [4]))
    assert alone.layers is not None and torch.equal(alone.layers[0], batch.layers[4])


def test_flips_mirror_the_layers_and_swap_sides() -> None:
    data = PairData(Overlapping(), 24)
    plain, flipped = data.batch(range(6)).layers, data.batch(range(6), Augment(flip=True), Rng(0, range(6))).layers
    assert plain is not None and flipped is not None
    kinds = set()
    for a, b in zip(plain, flipped, strict=True):
        mirrored = torch.from_numpy(moved_layers(a.numpy()[:, ::-1], FACES.mirror_table))
        kinds.add("same" if torch.equal(a, b) else "mirrored")
        assert torch.equal(a, b) or torch.equal(b, mirrored)
    assert kinds == {"same", "mirrored"}


def test_layers_in_another_label_space() -> None:
    source, parser = Overlapping(), label_space("face-parsing")
    other = Relabelled(source, FACES.mapping_to(parser))
    assert other.has_layers
    moved = PairData(other, 16).batch([0])
    own = PairData(source, 16).batch([0])
    assert moved.layers is not None and own.layers is not None
    for name in FACES.names:
        a, b = (own.layers >> FACES.index(name)) & 1, (moved.layers >> parser.index(name)) & 1
        assert torch.equal(a, b), name
    people = Relabelled(source, FACES.mapping_to(label_space("atr")))
    bits = people.read_layers(0)
    assert (bits != 0).all() and not ((bits & 1) & (bits >> 1)).any()  # background only where nothing else lies
    assert not Relabelled(source, FACES.mapping_to(_wide())).has_layers


def _wide() -> LabelSpace:
    return LabelSpace("wide", (*FACES.classes, *(LabelClass(f"more_{i}", (0, 0, 0)) for i in range(50))), "background")


def test_a_batch_of_old_form_has_no_layers() -> None:
    maps = SemanticMap(torch.zeros(1, 2, 2, dtype=torch.int64), FACES)
    assert Batch(None, maps, ("a",)).layers is None and Batch(None, maps, ("a",)).to("cpu").layers is None
    assert (
        not open_source("toy-faces:2").has_layers and open_data("toy-faces:2", resolution=16).batch([0]).layers is None
    )


def test_real_maps_are_given_back(faces: Path) -> None:
    data = open_data(f"celebamask-hq:{faces}#test", resolution=256)
    batch = data.batch(range(20))
    filled = layers_of(batch)
    assert torch.equal(filled.flatten(FACES.paint_order).labels, batch.maps.labels)
    assert int(filled.layers[:, SKIN].sum()) > int((batch.maps.labels == SKIN).sum())
    assert np.array_equal(resize_labels(batch.maps.labels[0].numpy().astype(np.uint8), (64, 64)).shape, (64, 64))
