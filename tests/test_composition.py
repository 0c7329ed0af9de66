"""Compositions in Python: what a sample depends on, the join by names, streams, progress, saving."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fixtures_models import SCGAN, drawn_face

import zoo
from zoo.composition.folder.results import Result
from zoo.errors import LabelError, UsageError
from zoo.labels import LabelClass, LabelSpace
from zoo.rng import Rng

SKIN = ["skin", "hair", "nose"]


def same_pictures(a: Result, b: Result) -> None:
    """Equal to one grey level in the samples whose maps agree; at least half of them must."""
    agree = a.maps.same_as(b.maps).flatten(1).all(1)
    assert agree.float().mean() >= 0.5
    assert (a.images - b.images)[agree].abs().max() <= 1 / 255


def test_a_result(pipe: zoo.Composition) -> None:
    result = pipe(labels=SKIN, n=5, seed=3, batch_size=2)
    assert len(result) == 5 and result.maps.size == pipe.resolution
    assert result.images.shape == (5, 3, *pipe.resolution) and result.images.dtype == torch.float32
    assert result.images.min() >= 0 and result.images.max() <= 1
    assert len(result.styles) == 5 and len(result.pil()) == 5
    report = result.report
    assert report["seed"] == 3 and [r["index"] for r in report["samples"]] == list(range(5))
    assert set(report["requested"]) == set(SKIN) and report["requested"]["skin"]["asked"] == 5
    for record, shown in zip(report["samples"], result.maps.label_sets(), strict=True):
        assert record["labels"] == list(shown.names)
        assert record["empty"] == [n for n in ("skin", "nose", "hair") if n not in shown.names]


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("prior", ["fitted", "normal"])
def test_nothing_depends_on_the_batch(pipe: zoo.Composition, size: int, prior: str) -> None:
    whole = pipe(n=8, seed=1, batch_size=8, prior=prior if prior == "normal" else None)
    parts = pipe(n=8, seed=1, batch_size=size, prior=prior if prior == "normal" else None)
    assert torch.equal(whole.styles.tensors["z"], parts.styles.tensors["z"])
    assert [r["requested"] for r in whole.report["samples"]] == [r["requested"] for r in parts.report["samples"]]
    same_pictures(whole, parts)

    generator = pipe.generator
    sets = generator.sample_label_sets(8, Rng(1, range(8)).within("map"))
    latents = generator.sample_latents(sets, Rng(1, range(8)).within("map"), prior=prior)
    for start in range(0, 8, size):
        rows = list(range(start, min(start + size, 8)))
        some = generator.sample_latents([sets[i] for i in rows], Rng(1, rows).within("map"), prior=prior)
        assert all(torch.equal(some[k], latents[k][rows]) for k in latents)


def test_a_sample_does_not_depend_on_how_many_there_are(pipe: zoo.Composition) -> None:
    few, many = pipe(n=3, seed=9, batch_size=4), pipe(n=7, seed=9, batch_size=4)
    assert torch.equal(few.maps.labels, many.maps.labels[:3])
    same_pictures(few, replace(many, maps=many.maps[list(range(3))], images=many.images[:3]))


def test_edits_do_not_depend_on_the_batch(pipe: zoo.Composition, inputs: Path) -> None:
    maps = [inputs / "face.png", inputs / "other.png"]
    calls = [pipe(maps=maps, n=3, seed=2, edits=["redraw:hair", "perturb:nose=2"], batch_size=b) for b in (1, 4, 6)]
    for other in calls[1:]:
        assert torch.equal(calls[0].styles.tensors["z"], other.styles.tensors["z"])
        same_pictures(calls[0], other)


def test_one_maps_lack_is_not_its_neighbours(pipe: zoo.Composition) -> None:
    bald = drawn_face()
    bald[bald == pipe.space.index("nose")] = pipe.space.index("skin")
    maps = zoo.SemanticMap(torch.cat([drawn_face(), bald]), pipe.space)
    apart = pipe(maps=maps, seed=2, edits="redraw:nose", batch_size=1)
    together = pipe(maps=maps, seed=2, edits="redraw:nose", batch_size=2)
    assert torch.equal(apart.maps.labels, together.maps.labels)
    with pytest.raises(UsageError, match="add:nose"):
        pipe(maps=maps[1], seed=2, edits="redraw:nose")


def test_keyed_classes(pipe: zoo.Composition) -> None:
    """Another class in the label set changes no other part's code."""
    generator, rng = pipe.generator, Rng(4, range(3)).within("map")
    space = generator.label_space
    plain, more = ([space.label_set(names)] * 3 for names in (SKIN, [*SKIN, "hat"]))
    a, b = (generator.sample_latents(s, rng, prior="normal")["z"] for s in (plain, more))
    hat = generator.channels.index("hat")
    others = [i for i in range(len(generator.channels)) if i != hat]
    assert torch.equal(a[:, others], b[:, others]) and not torch.equal(a[:, hat], b[:, hat])


def test_keep_rest(pipe: zoo.Composition, inputs: Path) -> None:
    request = {"maps": inputs / "face.png", "edits": "redraw:hair", "seed": 0, "n": 4}
    free, kept = pipe(**request), pipe(**request, keep_rest=True)
    old = pipe(maps=inputs / "face.png", seed=0).maps.labels
    hair = pipe.space.index("hair")
    new = free.maps.labels
    outside = (old != hair) & (new != hair)
    assert torch.equal(kept.maps.labels, torch.where(outside, old, new))
    for row, record in enumerate(free.report["samples"]):
        share = ((old[0] != new[row]) & outside[row]).float().mean()
        assert record["changed_outside_edits"] == pytest.approx(float(share), abs=1e-6)
    assert [r["changed_outside_edits"] for r in kept.report["samples"]] == [
        r["changed_outside_edits"] for r in free.report["samples"]
    ]


def test_every_edit_and_its_written_form(pipe: zoo.Composition, inputs: Path) -> None:
    from zoo.edits import Add, Interpolate, Perturb, Redraw, Remove

    other = zoo.SemanticMap.from_png(inputs / "other.png", pipe.space)
    edits = [
        Add(("hat",)),
        Remove(("nose",)),
        Redraw(("hair",)),
        Perturb(("mouth",), 0.5),
        Interpolate(("skin",), other, 0.3),
    ]
    written = [
        "add:hat",
        "remove:nose",
        "redraw:hair",
        "perturb:mouth=0.5",
        f"interpolate:skin={inputs / 'other.png'}@0.3",
    ]
    a, b = (pipe(maps=inputs / "face.png", seed=1, edits=e, n=2) for e in (edits, written))
    assert torch.equal(a.maps.labels, b.maps.labels) and torch.equal(a.images, b.images)
    assert "nose" not in a.maps.label_set().names


def test_one_map_is_laid_out_once(pipe: zoo.Composition, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = [inputs / "face.png", inputs / "other.png"]
    sizes: list[int] = []
    layout = type(pipe.synthesizer).layout
    monkeypatch.setattr(
        type(pipe.synthesizer), "layout", lambda self, m, **k: (sizes.append(len(m)), layout(self, m, **k))[1]
    )
    shared, mixed = (pipe(maps=maps, n=4, seed=0, batch_size=b) for b in (2, 8))
    assert sizes == [1, 1, 8]
    assert torch.equal(shared.maps.labels, mixed.maps.labels)
    assert torch.allclose(shared.images, mixed.images, atol=1e-4)


def test_maps_of_another_space(pipe: zoo.Composition, inputs: Path) -> None:
    """Values differ, names agree: the same picture, in memory and from files, and a saved run repeats it."""
    parsing = zoo.label_space("face-parsing")
    face = zoo.SemanticMap(drawn_face(), pipe.space)
    theirs = face.to_space(parsing)
    assert not torch.equal(theirs.labels, face.labels)
    a, b = pipe(maps=face, seed=5, n=2), pipe(maps=theirs, seed=5, n=2)
    assert torch.equal(a.maps.labels, b.maps.labels) and torch.equal(a.images, b.images)


def test_dropped_classes_are_reported(pipe: zoo.Composition) -> None:
    classes = (*pipe.space.classes, LabelClass("beard", (1, 2, 3)))
    space = LabelSpace("bearded", classes, background="background")
    labels = drawn_face()
    labels[0, 42:44, 12:36] = 19
    result = pipe(maps=zoo.SemanticMap(labels, space), seed=0)
    assert result.report["samples"][0]["dropped"] == ["beard"] and result.report["dropped"] == {"beard": 1}
    assert result.report["mappings"][0]["dropped"] == ["beard"]


def test_models_without_a_class_in_common_are_refused(pair: tuple[str, str]) -> None:
    space = LabelSpace("streets", (LabelClass("road", (1, 1, 1)), LabelClass("car", (2, 2, 2))))
    streets = zoo.create("scgan/celeba-128", space=space, **SCGAN)
    with pytest.raises(LabelError, match="no class in common"):
        zoo.compose((pair[0], streets))


def test_dropped_without_a_background_is_refused(pair: tuple[str, str]) -> None:
    celeba = zoo.label_space("celebamask-hq")
    some = LabelSpace("parts", tuple(c for c in celeba.classes if c.name in SKIN))
    pipe = zoo.compose((pair[0], zoo.create("scgan/celeba-128", space=some, **SCGAN)), device="cpu")
    with pytest.raises(LabelError, match="no background"):
        pipe(labels=["skin", "hat"])


def test_one_half_alone(pair: tuple[str, str], inputs: Path) -> None:
    maps = zoo.compose((pair[0], None), device="cpu")(n=2, seed=0)
    assert maps.images is None and maps.styles is None and len(maps.pil()) == 2
    synth = zoo.compose((None, pair[1]), device="cpu")
    assert synth(maps=inputs / "face.png", n=2, seed=0).images.shape[0] == 2
    with pytest.raises(UsageError, match="from maps"):
        synth(n=2)
    with pytest.raises(UsageError, match="generator"):
        synth(maps=inputs / "face.png", edits="redraw:hair")
    with pytest.raises(UsageError, match="an image-synthesizer, and a mask-generator"):
        zoo.compose((pair[1], pair[0]))


def test_streams_and_progress(pipe: zoo.Composition) -> None:
    whole = pipe(n=5, seed=6, batch_size=2)
    parts = list(pipe.stream(n=5, seed=6, batch_size=2))
    assert [p.start for p in parts] == [0, 2, 4] and torch.equal(torch.cat([p.images for p in parts]), whole.images)
    with pytest.raises(UsageError):
        pipe.stream(n=0)  # at once, not at the first batch
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if done >= 4:
            raise zoo.Cancelled("enough")

    with pytest.raises(zoo.Cancelled):
        pipe(n=8, seed=6, batch_size=2, progress=stop)
    assert seen == [(2, 8), (4, 8)]


def test_saving_writes_the_folder(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    result = pipe(maps=inputs / "face.png", n=3, seed=0, edits="perturb:nose", batch_size=2)
    folder = result.save(tmp_path / "out")
    assert folder == result.save(tmp_path / "out")  # the same run: nothing to do
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert [r["index"] for r in lines] == [0, 1, 2] and len(list((folder / "inputs").iterdir())) == 1
    assert torch.equal(
        zoo.SemanticMap.from_png(folder / "maps/000001.png", pipe.space).labels[0], result.maps.labels[1]
    )
    with pytest.raises(UsageError, match="another run"):
        pipe(n=1, seed=1).save(folder)
    pipe(n=1, seed=1).save(folder, overwrite=True)
    assert len((folder / "metadata.jsonl").read_text().splitlines()) == 1 and not (folder / "maps/000001.png").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"labels": ["noze"]}, "did you mean 'nose'"),
        ({"labels": []}, "label set is empty"),
        ({"maps": []}, "no map"),
        ({"photos": []}, "no photo"),
        ({"maps": [3]}, "got int"),
        ({"photos": torch.zeros(3, 4, 4, dtype=torch.uint8)}, "float tensor"),
        ({"n": 2, "stylo": "prior"}, "No option 'stylo'"),
        ({"maps": "nowhere.png"}, "no label map nowhere.png"),
        ({"edits": [3], "maps": "x.png"}, "An edit is"),
    ],
)
def test_wrong_arguments(pipe: zoo.Composition, arguments: dict, part: str) -> None:
    with pytest.raises(zoo.ZooError) as caught:
        pipe(**arguments)
    assert part in str(caught.value)
