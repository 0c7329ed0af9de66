"""sg2im: graphs, boxes and masks, scenes of maps, training, the command line; the parts of the zoo that know scene graphs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from fixtures_models import Ran
from test_outputs import tree
from test_training_cli import zoo as command

import zoo
from zoo.composition.request.scenegraphs import WantedGraph, read_graphs
from zoo.data import PairData
from zoo.data.specs import open_source, parse_spec
from zoo.errors import ConfigError, DataError, LabelError, PluginError, UsageError, ZooError
from zoo.graphs import scene_graph
from zoo.interfaces.models import Model
from zoo.labels import LabelClass, LabelSpace, voc_color
from zoo.maps import SemanticMap
from zoo.registry import Plugin, label_space, registry
from zoo.registry.discovery import _checked as checked_plugin
from zoo.rng import Rng
from zoo_plugins.sg2im import official
from zoo_plugins.sg2im.config import Sg2imConfig, Sg2imOptions, Sg2imTraining
from zoo_plugins.sg2im.layers import build_layers
from zoo_plugins.sg2im.layouts import draw_boxes
from zoo_plugins.sg2im.model import Sg2im
from zoo_plugins.sg2im.placing import spread
from zoo_plugins.sg2im.scenes import ABOVE, BELOW, INSIDE, LEFT, RIGHT, SURROUNDING, predicate, relations, scenes_of
from zoo_plugins.sg2im.synthesizer import Sg2imPainter
from zoo_plugins.sg2im.trainer import Sg2imTrainer

Run = Callable[..., Ran]
SPACE = label_space("celebamask-hq")
SMALL: dict[str, Any] = {
    "height": 32, "width": 32, "mask_size": 8, "embedding_dim": 12, "gconv_dim": 16, "gconv_hidden_dim": 24, "gconv_layers": 3,
    "refinement_dims": (12, 8), "noise_dim": 3,
}  # fmt: skip
JUDGES = {"d_object": "C4-4-2,C4-6-2", "d_picture": "C4-4-2,C4-6-2"}
GRAPH = {"objects": ["skin", "hair", "nose", "nose"], "relationships": [[1, "surrounding", 0], [2, "left of", 3]]}

pytestmark = pytest.mark.usefixtures("one_thread")


def small(name: str = "sg2im/celeba", seed: int = 0, **fields: Any) -> Any:
    """A tiny model with large embeddings and masks that are seen, whose batch norms have seen a batch."""
    torch.manual_seed(seed)
    model: Any = zoo.create(name, **{**SMALL, **fields})
    with torch.no_grad():
        model.generator.obj_embeddings.weight.mul_(3)
        if model.generator.mask_net is not None:
            model.generator.mask_net[-1].bias.fill_(1.0)
        model.generator.box_net[-2].bias.copy_(torch.tensor([0.2, 0.2, 0.8, 0.8]))
        model.train()
        graphs, _ = model.vocabulary.encode([graph(), SPACE.label_set(["skin", "hat"])])
        for i in range(30):
            noise = Rng(i, [0, 1]).normal("noise", shape=(3, 32, 32))
            whole = torch.tensor([[0.1, 0.1, 0.9, 0.9]]).expand(len(graphs.objects), 4)
            model.generator(graphs, noise if model.config.noise_dim else None, boxes=whole)
    return model.eval().requires_grad_(False)


def graph(**changes: Any) -> zoo.LabelSet:
    values = {**GRAPH, **changes}
    return scene_graph(SPACE, values["objects"], values["relationships"])


# --- networks -----------------------------------------------------------------------------------------------------


def test_masks_lie_in_their_boxes_as_grid_sample_lays_them() -> None:
    masks, boxes = (
        torch.rand(3, 6, 6),
        torch.tensor([[0.1, 0.2, 0.7, 0.9], [0.8, 0.1, 0.3, 0.6], [-0.2, 0.0, 1.3, 1.0]]),
    )
    x, y = (torch.linspace(0, 1, n) for n in (23, 17))
    for align in (True, False):
        u = (x - boxes[:, :1]) / (boxes[:, 2:3] - boxes[:, :1])
        v = (y - boxes[:, 1:2]) / (boxes[:, 3:] - boxes[:, 1:2])
        grid = 2 * torch.stack([u[:, None].expand(-1, 17, -1), v[:, :, None].expand(-1, -1, 23)], 3) - 1
        expected = torch.nn.functional.grid_sample(masks[:, None], grid, align_corners=align)[:, 0]
        torch.testing.assert_close(spread(masks, boxes, (17, 23), align_corners=align), expected, atol=1e-5, rtol=0)
    flat = torch.tensor([[0.2, 0.2, 0.2, 0.9]])
    assert bool(spread(masks[:1], flat, (4, 4)).isnan().all())
    assert not bool(spread(masks[:1], flat, (4, 4), degenerate="drop").any())


def test_relations_change_boxes_and_objects_of_one_kind_are_equal() -> None:
    model = small()
    read = [model.generator.read(model.vocabulary.encode([g])[0]) for g in (graph(), graph(relationships=[]))]
    assert not torch.allclose(read[0].boxes[0], read[1].boxes[0])
    assert not torch.equal(read[0].boxes[2], read[0].boxes[3])  # two noses, told apart by their relation
    assert torch.equal(read[1].boxes[2], read[1].boxes[3]) and torch.equal(read[1].masks[2], read[1].masks[3])


def test_a_graph_does_not_depend_on_its_batch_nor_a_label_set_on_its_order() -> None:
    model = small()
    alone = model.generate([graph()], rng=0).labels
    together = model.generate([SPACE.label_set(["hat"]), graph(), graph(relationships=[])], rng=0).labels
    assert torch.equal(alone[0], together[1]) and not torch.equal(together[1], together[2])
    one, other = (
        model.generate([SPACE.label_set(names)], rng=0).labels for names in (["skin", "hair"], ["hair", "skin"])
    )
    assert torch.equal(one, other)


def test_both_readings_and_all_recipes_give_maps() -> None:
    maps = {
        (align, rule): small(align_corners=align).generate([graph()], rng=0, options=Sg2imOptions(rule)).labels
        for align in (True, False)
        for rule in ("painter", "argmax", "sum")
    }
    assert all(set(m.unique().tolist()) <= {0, *(SPACE.index(n) for n in GRAPH["objects"])} for m in maps.values())
    assert any((maps[True, r] != maps[False, r]).any() for r in ("painter", "argmax", "sum"))


def test_without_masks_noise_and_relations() -> None:
    """Boxes as masks, no noise, a linear layer for the graph network."""
    model = small(mask_size=0, noise_dim=0, gconv_layers=0)
    pictures = [model.generate_pictures([graph()], rng=seed) for seed in (0, 1)]
    assert torch.equal(*pictures) and pictures[0].shape == (1, 3, 32, 32)
    assert len(model.generate([graph()], rng=0).labels.unique()) > 1


def test_without_a_background_every_pixel_is_some_object() -> None:
    space = LabelSpace("two", (LabelClass("sky", voc_color(1)), LabelClass("sea", voc_color(2))))
    model = Sg2im(Sg2imConfig(**{**SMALL, "label_space": "two"}), space).eval()
    assert model.channels == ("sky", "sea")
    assert set(model.generate([space.label_set(["sea"])], rng=0).labels.unique().tolist()) <= {0, 1}


@pytest.mark.parametrize("fields", [{}, {"norm": "instance"}, {"norm": "none", "mlp_norm": "batch"}, {"mask_size": 0}])
def test_the_inference_form_is_equal(fields: dict[str, Any]) -> None:
    model = small(**fields)
    conditions = [graph(), SPACE.label_set(["skin", "hair", "nose"])]
    fast = model.optimized()
    for ask in (
        lambda m: m.generate_layers(conditions, rng=0).layers,
        lambda m: m.generate_pictures(conditions, rng=0),
    ):
        torch.testing.assert_close(ask(fast), ask(model), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"mask_size": 12}, "mask_size must be 0 or a power of 2"),
        ({"height": 36}, "multiples of 32"),
        ({"refinement_dims": ()}, "1 to 12 widths"),
        ({"gconv_dim": 0}, "at least 1"),
        ({"slope": 1.0}, "slope"),
        ({"norm": "layer"}, "norm must be one of batch"),
        ({"predicates": ("on", "on")}, "predicates must be distinct"),
    ],
)
def test_a_bad_config_is_refused(fields: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        Sg2imConfig(**fields)


@pytest.mark.parametrize("arch", ["", "X3-4", "C3-4,", "C0-4", "C4-6-2,FC-3", "R"])
def test_a_text_that_is_no_network_is_refused(arch: str) -> None:
    with pytest.raises(ConfigError, match=r"The network"):
        build_layers(arch, padding="valid")
    with pytest.raises(ConfigError, match="odd side"):
        build_layers("C4-8")


def test_wrong_conditions_are_refused() -> None:
    model = small()
    for conditions, kind, part in (
        ([], UsageError, "at least one"),
        ([graph(relationships=[[0, "over", 1]])], LabelError, "no predicate 'over'.*left of"),
    ):
        with pytest.raises(kind, match=part):
            model.generate(conditions, rng=0)
    with pytest.raises(ConfigError, match="besides the background"):
        zoo.create("sg2im/celeba", channels=("skin", "background"))
    with pytest.raises(UsageError, match=r"latents are 'boxes'"):
        model.generate([graph()], latents={"z": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"take latents boxes \[1, 18, 4\]"):
        model.generate([graph()], latents={"boxes": torch.zeros(2, 18, 4)})
    with pytest.raises(UsageError, match="keeps no boxes"):
        model.sample_latents([graph()], 0, prior="fitted")


# --- boxes of label sets ------------------------------------------------------------------------------------------


def test_boxes_are_those_of_one_training_map_that_has_the_classes() -> None:
    """Else of a map for each class; none where no map has it."""
    asset = torch.zeros(3, 4, 4)
    asset[0, :2], asset[1, :2], asset[2, 2] = torch.tensor([0.1, 0.1, 0.4, 0.4]), torch.tensor([0.5, 0.5, 0.9, 0.9]), torch.tensor([0.2, 0.2, 0.3, 0.3])  # fmt: skip
    drawn = draw_boxes(asset, [[0, 1]] * 40 + [[0, 2, 3]], Rng(0, range(41)))
    assert all(torch.equal(row[0], row[1]) for row in drawn[:40]) and len(drawn[:40, 0].unique(dim=0)) == 2
    assert bool(drawn[40, 0].any()) and torch.equal(drawn[40, 2], asset[2, 2]) and not bool(drawn[40, 3].any())


def test_maps_of_one_label_set_differ_by_their_boxes() -> None:
    model = small()
    asset = torch.zeros(2, 18, 4)
    asset[0], asset[1] = torch.tensor([0.0, 0.0, 0.5, 0.5]), torch.tensor([0.4, 0.4, 1.0, 1.0])
    model.assets["layouts"] = {"boxes": asset}
    sets = [SPACE.label_set(["skin"])] * 8
    maps = model.generate(sets, rng=Rng(0, range(8))).labels
    assert len(maps.unique(dim=0)) == 2
    own = model.generate(sets, latents=model.sample_latents(sets, 0, prior="normal")).labels
    assert len(own.unique(dim=0)) == 1
    again = model.generate([graph()], rng=1).labels
    assert torch.equal(again, model.generate([graph()], rng=2).labels)  # a graph's boxes are its own


# --- scenes -------------------------------------------------------------------------------------------------------


def test_predicates_by_hand() -> None:
    big, inner, left, low = (0.0, 0.0, 1.0, 1.0), (0.4, 0.4, 0.6, 0.6), (0.0, 0.4, 0.2, 0.6), (0.4, 0.8, 0.6, 1.0)
    assert predicate(big, inner, (0, 0)) == SURROUNDING and predicate(inner, big, (0, 0)) == INSIDE
    assert predicate(left, inner, (-0.4, 0)) == LEFT and predicate(inner, left, (0.4, 0)) == RIGHT
    assert predicate(low, inner, (0, 0.4)) == BELOW and predicate(inner, low, (0, -0.4)) == ABOVE
    assert predicate(big, big, (0, 0)) == RIGHT  # equal boxes: neither lies strictly in the other


def test_scenes_of_a_map_with_and_without_instances() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, :4, :4], labels[0, :4, 6:], labels[0, 6, 3] = 1, 1, 2
    numbers = torch.zeros_like(labels)
    numbers[0, :4, 6:] = 5
    classes, instances = (
        scenes_of(SemanticMap(labels, SPACE, numbers), (1, 2), 4, objects=o)[0] for o in ("classes", "instances")
    )
    assert classes.values == (1, 2) and instances.values == (1, 1, 2)
    assert classes.boxes.tolist()[0] == [0, 0, 1, 0.5] and instances.boxes.tolist()[:2] == [
        [0, 0, 0.5, 0.5],
        [0.75, 0, 1, 0.5],
    ]
    assert bool(instances.masks[0].all()) and classes.masks[0].tolist()[0] == [1, 1, 0, 1]
    small_ones = scenes_of(SemanticMap(labels, SPACE), (1, 2), 4, min_size=1 / 64)[0]
    assert small_ones.values == (1,)  # a box of just that share is left out
    related = relations(instances, [0.0, 0.0, 0.99], [1.0, 0.0, 1.0])
    assert related == [(0, LEFT, 1), (0, LEFT, 1), (2, BELOW, 1)] and relations(classes.take([0]), [0.0], [1.0]) == []


# --- training -----------------------------------------------------------------------------------------------------


def toy(count: int = 12) -> PairData:
    return PairData(open_source(parse_spec(f"toy-faces:{count}")), 32)


def trainer_of(model: Any = None, **options: Any) -> Sg2imTrainer:
    given = {
        "batch_size": 4,
        "steps": 10,
        "lr": 2e-3,
        "min_objects": 1,
        "max_objects": 0,
        "min_object_size": 0.0,
        "lambda_mask": 1.0,
    }
    return Sg2imTrainer(
        zoo.create("sg2im/celeba", **SMALL) if model is None else model, Sg2imTraining(**{**given, **JUDGES, **options})
    )


def learn(trainer: Sg2imTrainer, steps: int, start: int = 0) -> list[dict[str, float]]:
    """The loop's work on one batch."""
    batch, found = toy().batch(range(4)), []
    for step in range(start, start + steps):
        seen: dict[str, float] = {}
        for update in trainer.updates(batch, Rng(0, range(4)), step):
            (name,) = update.optimizers
            optimizer = trainer.optimizers()[name]
            optimizer.zero_grad()
            torch.stack(list(update.losses.values())).sum().backward()
            optimizer.step()
            seen |= {k: float(v) for k, v in update.losses.items()}
        found.append(seen)
    return found


def test_it_learns_boxes_masks_and_pictures() -> None:
    torch.manual_seed(0)
    trainer = trainer_of()
    trainer.model.train()
    losses = learn(trainer, 60)
    assert {"pixel", "box", "mask", "class", "gan_object", "gan_picture", "d_object", "d_class_real", "d_class_fake", "d_picture"} == set(losses[0])  # fmt: skip
    for name in ("pixel", "box", "mask", "d_class_real"):
        assert losses[-1][name] < 0.8 * losses[0][name], (name, losses[0][name], losses[-1][name])
    scores = trainer.validate(toy())
    assert set(scores) == {"mask_iou", "box_iou", "l1"} and scores["mask_iou"] > 0.3


def test_after_eval_mode_after_the_norms_stand_still_and_adam_is_fresh() -> None:
    trainer = trainer_of(eval_mode_after=1)
    norm: Any = trainer.model.generator.refinement_net.refinement_modules.get_submodule("0.net.1")
    trainer.model.train()
    learn(trainer, 1)
    mean, weight = norm.running_mean.clone(), norm.weight.clone()
    learn(trainer, 2, start=1)
    assert torch.equal(norm.running_mean, mean) and not torch.equal(norm.weight, weight)
    assert int(trainer.optimizers()["generator"].state[norm.weight]["step"]) == 2  # not 3: it began anew


def test_pictures_with_too_few_or_many_objects_are_left_out() -> None:
    data = toy()
    counts = [len(s) for s in trainer_of()._all(data.batch(range(len(data))))]
    most = max(counts) - 1
    order = trainer_of(min_objects=1, max_objects=most).epoch_order(0, data)
    assert order is not None and sorted(order) == [i for i, c in enumerate(counts) if c <= most]
    with pytest.raises(DataError, match="set min_objects, max_objects"):
        trainer_of(min_objects=100).epoch_order(0, data)
    kept = trainer_of(max_objects=3).scenes(data.batch(range(2)))
    assert [len(s) for s in kept] == [3, 3]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"crop_size": 4}, "d_object=.*does not fit pictures of 4 x 4"),
        ({"d_picture": "X"}, "The network 'X'"),
        ({"gan_mode": "hinge"}, "gan_mode must be"),
        ({"min_objects": 9, "max_objects": 8}, "max_objects"),
        ({"min_object_size": 1.0}, "share"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        trainer_of(**options)


def test_other_predicates_cannot_be_drawn() -> None:
    model = zoo.create("sg2im/celeba", **SMALL, predicates=("on", "under"))
    with pytest.raises(ConfigError, match="relations=false"):
        trainer_of(model)
    assert trainer_of(model, relations=False).options.relations is False


# --- files of the authors -----------------------------------------------------------------------------------------


def test_a_file_tells_its_vocabulary() -> None:
    names = ["__image__", "sky", "NONE", "tree"]
    kwargs = {
        "image_size": (32, 64),
        "activation": "relu",
        "vocab": {"object_idx_to_name": names, "pred_idx_to_name": ["__in_image__", "on"]},
    }
    fields, space = official.told({"model_kwargs": kwargs})
    assert fields == {"height": 32, "width": 64, "slope": 0.01, "predicates": ("on",), "spare_objects": 0}
    assert space is not None and space.names == ("background", "sky", "unused 2", "tree")
    assert official.told({"model_state": {}}) == ({}, None) == official.told([1])
    coco = ["__image__", *label_space("coco-stuff").names[:-1], "other"]
    fields, space = official.told({"model_kwargs": {"vocab": {"object_idx_to_name": coco}}})
    assert space is not None and space.name == "coco-stuff" and fields["spare_objects"] == 1


def test_files_without_counters_of_norms_are_read() -> None:
    state = small().generator.state_dict()
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    match = official.detect({k: tuple(v.shape) for k, v in old.items()})
    assert match is not None and match.complete
    converted = official.convert({"generator": old})
    assert set(converted) == {f"generator.{k}" for k in state}
    with pytest.raises(ZooError, match="no network 'netG'"):
        official.convert({"netG": old})


# --- graphs in requests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("no json", "not readable JSON"),
        ("3", "scene graphs are written"),
        ("[]", "scene graphs are written"),
        ("[3]", "graph 0: a scene graph is written"),
        ('{"objects": []}', '"objects" is a list'),
        ('{"objects": ["skin", 3]}', "object 1 is no class name"),
        ('{"objects": ["skin"], "relations": []}', "did you mean 'relationships'"),
        ('{"objects": ["skin"], "relationships": {}}', '"relationships" is a list'),
        ('{"objects": ["skin"], "relationships": [[0, "above"]]}', "relationship 0 is no"),
        ('{"objects": ["skin"], "relationships": [[0, 1, 0]]}', "predicate of relationship 0"),
        ('{"objects": ["skin"], "relationships": [[0, "above", 1]]}', "names object 1"),
        ('{"objects": ["skin"], "relationships": [[true, "above", 0]]}', "names object true"),
        ('{"objects": ["skin", "__image__"]}', "added by the model"),
        ('{"objects": ["skin"], "relationships": [[0, "__in_image__", 0]]}', "added by the model"),
    ],
)
def test_bad_graph_files_are_refused(tmp_path: Path, content: str, part: str) -> None:
    (tmp_path / "graph.json").write_text(content)
    with pytest.raises(UsageError) as error:
        read_graphs(tmp_path / "graph.json")
    assert part in str(error.value) and "graph.json" in str(error.value)


def test_graphs_of_python_are_read() -> None:
    wanted = WantedGraph(("skin", "hair"), ((0, "above", 1),))
    assert read_graphs(wanted.to_json()) == read_graphs([wanted]) == (wanted,)
    with pytest.raises(TypeError):
        read_graphs([3])
    with pytest.raises(UsageError, match="1 to 10000"):
        read_graphs([])


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps; the masks are then raised so that its maps show something."""
    run = tmp_path_factory.mktemp("sg2im") / "run"
    sets: dict[str, Any] = {
        **SMALL,
        **JUDGES,
        "refinement_dims": "12,8",
        "steps": 4,
        "batch_size": 4,
        "validate_every": 2,
        "preview_every": 2,
    }
    changes = [x for k, v in sets.items() for x in ("--set", f"{k}={v}")]
    assert command("train", "sg2im/celeba", "--data", "toy-faces:16", "--device", "cpu", "--out", run, *changes) == 0
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.save(small(), tmp_path_factory.mktemp("models") / "sg2im-tiny")


@pytest.fixture
def graphs(tmp_path: Path) -> Path:
    path = tmp_path / "graphs.json"
    path.write_text(json.dumps([GRAPH, {"objects": ["skin", "hat"], "relationships": []}]))
    return path


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def test_a_run_ends_in_a_model_of_both_places(trained: Path, run: Run, tmp_path: Path) -> None:
    """Maps and own pictures of label sets as the training data had them; then the same folder paints these maps."""
    model = zoo.load(trained / "model")
    assert isinstance(model, Sg2im) and set(model.assets) == {"label_sets", "layouts"}
    assert model.capabilities() == {"graphs", "pictures", "layers", "options"}
    made = run("generate", trained, "-n", 3, "--seed", 1, "--device", "cpu", "--out", tmp_path / "made")
    assert made.code == 0 and len(tree(tmp_path / "made/images")) == len(tree(tmp_path / "made/maps")) == 3
    painted = run(
        "synth", trained, tmp_path / "made/maps", "-n", 2, "--seed", 1, "--device", "cpu", "--out", tmp_path / "painted"
    )
    assert painted.code == 0 and "Nothing is random" not in painted.err
    assert len({r["sha256"]["image"] for r in lines(tmp_path / "painted")}) == 6
    for out, files in (("made", 6), ("painted", 12)):
        assert run("replay", tmp_path / out).out == f"{files} of {files} files are equal\n"


def test_graphs_to_maps_and_pictures_and_back(
    run: Run, folder: Path, pair: tuple[str, str], graphs: Path, tmp_path: Path
) -> None:
    """Samples by graph; another synthesizer; an own picture of each map; all of it again from the manifest, without the file."""
    for models, out in ((f"{folder}+{pair[1]}", "joined"), (f"{folder}+{folder}", "both")):
        ran = run(
            "compose", models, "--graph", graphs, "-n", 2, "--seed", 3, "--device", "cpu", "--out", tmp_path / out
        )
        assert ran.code == 0, ran.err
        found = lines(tmp_path / out)
        assert [set(r["requested"]) for r in found] == [{"skin", "hair", "nose"}] * 2 + [{"skin", "hat"}] * 2
        assert found[0]["sha256"]["map"] == found[1]["sha256"]["map"] != found[2]["sha256"]["map"]
    alone = run(
        "generate", folder, "--graph", graphs, "-n", 2, "--seed", 3, "--device", "cpu", "--out", tmp_path / "alone"
    )
    assert alone.code == 0 and "Nothing is random" not in alone.err
    found = lines(tmp_path / "alone")
    assert len({r["sha256"]["image"] for r in found}) == 4 and len({r["sha256"]["map"] for r in found}) == 2
    graphs.unlink()
    for out in ("joined", "both", "alone"):
        assert run("replay", tmp_path / out).out == "8 of 8 files are equal\n"
    manifest = json.loads((tmp_path / "alone/manifest.json").read_text())
    assert manifest["request"]["graphs"][0] == GRAPH and manifest["images"] and manifest["maps"]
    # required classes: drawn again, so that no picture would fit
    needed = run(
        "generate",
        folder,
        "--labels",
        "skin,hair",
        "--require",
        "hair",
        "--tries",
        2,
        "--seed",
        1,
        "--device",
        "cpu",
        "--out",
        tmp_path / "n",
    )
    assert needed.code == 0 and not (tmp_path / "n/images").exists()


def test_own_pictures_are_of_the_maps(folder: Path) -> None:
    """From Python; batches change nothing."""
    pipe = zoo.compose((str(folder), None), device="cpu")
    whole = pipe(graphs=GRAPH, n=3, seed=5)
    parts = pipe(graphs=[GRAPH], n=3, seed=5, batch_size=1)
    assert whole.images is not None and parts.images is not None
    torch.testing.assert_close(whole.images, parts.images, atol=2e-5, rtol=0)
    assert torch.equal(whole.maps.labels, parts.maps.labels)  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"objects": ["skin", "noze"]}, "did you mean 'nose'"),
        ({"objects": ["skin", "hair"], "relationships": [[0, "abov", 1]]}, "did you mean 'above'"),
        ({"objects": ["skin", "background"]}, "no object of a scene graph"),
    ],
)
def test_what_a_model_does_not_know_is_said_before_anything_is_written(
    run: Run, folder: Path, tmp_path: Path, content: Any, part: str
) -> None:
    (tmp_path / "graph.json").write_text(json.dumps(content))
    refused = run("generate", folder, "--graph", tmp_path / "graph.json", "--out", tmp_path / "out")
    assert refused.code == 2 and part in refused.err and not (tmp_path / "out").exists()


def test_graphs_are_for_generators_that_take_them(
    run: Run, pair: tuple[str, str], folder: Path, graphs: Path, inputs: Path, tmp_path: Path
) -> None:
    refused = run("compose", f"{pair[0]}+{pair[1]}", "--graph", graphs, "--out", tmp_path / "out")
    assert refused.code == 2 and "label sets, not scene graphs" in refused.err
    with pytest.raises(UsageError, match="label sets, not scene graphs"):
        zoo.compose((pair[0], None), device="cpu")(graphs=GRAPH)
    for more in (("--labels", "skin"), ("--mask", inputs / "face.png", "--edit", "redraw:hair")):
        refused = run("generate", folder, "--graph", graphs, *more, "--out", tmp_path / "out")
        assert refused.code == 2 and "--graph" in refused.err, more
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("generator", ["mask-vae", "segvae"])
def test_maps_of_others_are_painted(generator: str, folder: Path) -> None:
    torch.manual_seed(0)
    fields: dict[str, Any] = {"size": 16, "ngf": 4, "shape_dim": 12, "hidden_dim": 8, "z_dim": 6}
    if generator == "mask-vae":
        fields = {
            "latent": 16,
            "encoder_side": 16,
            "encoder_widths": (32, 24),
            "decoder_width": 16,
            "decoder_widths": (16, 8),
            "groups": 4,
        }
    other = zoo.create(f"{generator}/celeba", **fields).eval()
    painter = small("sg2im-image/celeba")
    assert isinstance(painter, Sg2imPainter)
    result = zoo.compose((other, painter), device="cpu")(labels="skin,hair,nose", n=2, seed=0)
    assert result.images is not None and result.images.shape == (2, 3, 32, 32) and bool(result.images.isfinite().all())


def test_a_map_without_objects_is_painted_and_styles_are_refused() -> None:
    painter = cast(Sg2imPainter, small("sg2im-image/celeba"))
    empty = SemanticMap(torch.zeros(1, 32, 32, dtype=torch.long), SPACE)
    assert bool(painter.synthesize(empty, rng=0).isfinite().all())
    with pytest.raises(UsageError, match="no style"):
        painter.synthesize(empty, cast(Any, object()), rng=0)


def test_folders_serve_in_the_other_place_and_no_third(run: Run, folder: Path, tmp_path: Path) -> None:
    assert registry().architecture("sg2im").also == ("sg2im-image",) and registry().architecture(
        "sg2im-image"
    ).also == ("sg2im",)
    painter: Model = small("sg2im-image/celeba")
    place = zoo.save(painter, tmp_path / "painter")
    ran = run("generate", place, "--labels", "skin,hair", "--seed", 1, "--device", "cpu", "--out", tmp_path / "maps")
    assert ran.code == 0 and len(tree(tmp_path / "maps/maps")) == 1
    refused = run("parse", tmp_path / "maps/images/000000.png", "--parser", folder, "--out", tmp_path / "parsed")
    assert refused.code == 2 and "mask-parser is needed" in refused.err


@pytest.mark.parametrize("also", ["sg2im", (3,)])
def test_a_plugin_whose_also_is_no_list_of_names_is_refused(also: Any) -> None:
    arch = dataclasses.replace(registry().architecture("sg2im"), also=also)
    with pytest.raises(PluginError, match="also should be a tuple of architecture names"):
        checked_plugin(Plugin(architectures=[arch]))
