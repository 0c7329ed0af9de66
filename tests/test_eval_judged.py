"""`zoo eval` beyond pictures and parsers of the zoo: judges of maps, compositions, translators, models of transformers, cards, Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from safetensors.torch import save_file

import zoo
from zoo.cards import read_card
from zoo.data.specs import open_data
from zoo.errors import ConfigError, DataError, UsageError, WeightsError
from zoo.evaluation import extractors, made, perceptual
from zoo.evaluation.carding import command, public_data, with_section
from zoo.evaluation.judged import exchanged
from zoo.evaluation.parsers import open_parser
from zoo.evaluation.run import EvalRequest, Evaluation
from zoo.evaluation.tables import class_rows, figures, markdown, rows
from zoo.files.images import save_image, to_pil
from zoo.maps import SemanticMap
from zoo.metrics.perceptual import unit
from zoo.registry import label_space
from zoo.store.transformers import load_transformers, reduces_labels

pytestmark = pytest.mark.usefixtures("one_thread")
Run = Callable[..., Ran]
DATA = "toy-faces:20#train"


class Stages(torch.nn.Module):
    """Two layers of features of a picture, instead of the network whose wheel may not be here."""

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [images + 0.1, torch.nn.functional.avg_pool2d(images, 4) + 0.1]


def evaluated(subject: object, *metrics: str, data: str = DATA, **more: Any) -> dict[str, Any]:
    return Evaluation(EvalRequest(str(subject), data, metrics, **more)).run()


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """An auto-encoder and a shape predictor with random weights, as folders."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("judges")
    for name in ("mask-autoencoder", "shape-predictor"):
        zoo.save(zoo.create(f"{name}/celeba-128", side=32, width=8), root / name)
    return str(root / "mask-autoencoder"), str(root / "shape-predictor")


# --- judges of maps -----------------------------------------------------------------------------------------------


def test_segvaes_protocols(model_root: Path, judges: tuple[str, str]) -> None:
    names = ("autoencoder_diversity", "reconstruction_error", "compatibility_error")
    found = evaluated(model_root / "mask-vae-celeba", *names, judges=judges, limit=9)["metrics"]
    pairs = found["autoencoder_diversity"]
    assert pairs["protocol"]["pairs"] == 36 and "9 maps make 36 pairs; the paper takes 3000" in pairs["warnings"][0]
    for name in names:
        assert {"drawn", "real"} == set(found[name]["scores"])
        assert all(s["low"] <= s["mean"] <= s["high"] and s["mean"] > 0 for s in found[name]["scores"].values())
        assert len(found[name]["protocol"]["judge"]["sha256"]) == 64
    model, data = zoo.load(judges[1]), open_data(DATA, resolution=32)
    by_hand = model.errors(data.batch(range(9)).maps).mean()  # toy faces show no class that mask-vae lacks
    assert found["compatibility_error"]["scores"]["real"]["mean"] == pytest.approx(float(by_hand), rel=1e-6)
    with pytest.raises(UsageError, match="Two of the judges are shape predictors"):
        evaluated(model_root / "mask-vae-celeba", "compatibility_error", judges=(judges[1], judges[1]))
    with pytest.raises(UsageError, match="no judge of maps"):
        evaluated(model_root / "mask-vae-celeba", "compatibility_error", judges=(str(model_root / "scgan-celeba"),))


def test_a_judge_is_measured_itself(judges: tuple[str, str]) -> None:
    found = evaluated(judges[0], limit=8)["metrics"]["judge"]["scores"]
    assert 0 <= found["told_apart"] <= 1 and found["real"]["n"] == 8 == found["one_part_of_another_map"]["n"]
    space = label_space("celebamask-hq")
    skin, hair, nose = (space.index(n) for n in ("skin", "hair", "nose"))
    one, two = torch.full((1, 4, 4), skin), torch.full((1, 4, 4), skin)
    one[0, 0], two[0, 3] = hair, hair
    one[0, 2, 2] = two[0, 1, 1] = nose
    mixed = exchanged(SemanticMap(torch.cat([one, two]), space)).labels[
        0
    ]  # of skin, hair, nose the second largest: hair
    assert mixed[0].tolist() == [skin] * 4 and mixed[3].tolist() == [hair] * 4 and int(mixed[2, 2]) == nose
    blank = SemanticMap(torch.zeros(2, 4, 4, dtype=torch.long), space)
    assert torch.equal(exchanged(blank).labels, blank.labels)


# --- several pictures of a map ------------------------------------------------------------------------------------


def test_clvaes_protocols(model_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Diversity over all pairs, and the distance of the L1-nearest, are those that one computes by hand from the same pictures."""
    network = perceptual.Perceptual(lambda x: [unit(f) for f in Stages().features(x)], {"name": "stages"})
    monkeypatch.setattr("zoo.evaluation.evidence.open_perceptual", lambda name: network)
    names = ("gt_similarity", "lpips_diversity", "top1_gt_similarity")
    request = EvalRequest(str(model_root / "scgan-celeba"), DATA, names, limit=3, styles=3)
    evaluation = Evaluation(request)
    found = evaluation.run()["metrics"]
    assert found["lpips_diversity"]["protocol"]["pictures_of_a_map"] == 3
    model, batch = zoo.load(model_root / "scgan-celeba"), open_data(DATA, resolution=32).batch(range(3))
    pictures = list(made.styled(model, batch.maps, 0, 3, 0))
    apart = [perceptual_between(pictures[i], pictures[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found["lpips_diversity"]["scores"]["mean"] == pytest.approx(float(torch.stack(apart).mean()), rel=1e-5)
    best = []
    for row in range(3):
        l1 = [float((p[row] - batch.images[row]).abs().mean()) for p in pictures]
        best.append(perceptual_between(pictures[l1.index(min(l1))][row : row + 1], batch.images[row : row + 1]))
    assert found["top1_gt_similarity"]["scores"]["mean"] == pytest.approx(float(torch.cat(best).mean()), rel=1e-5)
    encoded = perceptual_between(evaluation.evidence.pictures["encoded_style"], batch.images)
    assert found["gt_similarity"]["scores"]["encoded_style"]["mean"] == pytest.approx(float(encoded.mean()), rel=1e-5)
    with pytest.raises(UsageError, match="takes two styles of a map or more"):
        evaluated(model_root / "scgan-celeba", "lpips_diversity", styles=1)


def perceptual_between(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(len(a))
    for x, y in zip(Stages().features(a), Stages().features(b), strict=True):
        normed = [v / v.norm(dim=1, keepdim=True) for v in (x, y)]
        total += (normed[0] - normed[1]).square().sum(1).mean((1, 2))
    return total


def test_weights_that_are_not_here_are_one_line(
    run: Run, model_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched and no other network takes the place of the one that was asked for."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    scgan = model_root / "scgan-celeba"
    for words, said in (
        (("gt_similarity",), "The backbone's weights of LPIPS (alex) are not here"),
        (("lpips_diversity", "--lpips", "vgg"), "feature_diversity"),
        (("inception_score",), "classifier are not here"),
        (("kid", "--extractor", "inceptoin"), "No extractor 'inceptoin'; did you mean 'inception'"),
    ):
        ran = run("eval", scgan, "--data", DATA, "--limit", 2, "--metrics", *words)
        assert ran.code == 2 and said in ran.err and ran.err.count("\n") == 1 and not ran.out, ran
    pytest.importorskip("pytorch_fid")
    ran = run("eval", scgan, "--data", DATA, "--limit", 2, "--metrics", "fid")
    assert ran.code == 2 and "fetch them once" in ran.err and "--extractor mobilenet-v2" in ran.err
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / extractors.FID_WEIGHTS).write_bytes(b"another file")
    with pytest.raises(WeightsError, match="not the file that is known"):
        extractors.open_extractor("inception")


# --- compositions and translators ---------------------------------------------------------------------------------


class Means(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean((2, 3)), x.std((2, 3))], 1)


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "mobilenet_v2", Means)


def test_a_composition(means: None, model_root: Path) -> None:
    """Its pictures are those of `zoo compose` for the label sets of the real maps, and its own maps are what they should show."""
    pair = f"{model_root / 'mask-vae-celeba'}+{model_root / 'scgan-celeba'}"
    parser = str(model_root / "face-parser-celeba")
    request = EvalRequest(pair, DATA, ("kid", "parser_agreement"), limit=6, extractor="mobilenet-v2", parser=parser)
    evaluation = Evaluation(request)
    found = evaluation.run()
    assert found["kind"] == "composition" and found["subject"] == "mask-vae-celeba+scgan-celeba" and not found["paired"]
    assert (
        set(found["metrics"]["kid"]["scores"]) == {"image"} and "real" in found["metrics"]["parser_agreement"]["scores"]
    )
    first = open_data(DATA, resolution=32).batch([0]).maps.label_sets()[0]
    names = [n for n in first.names if n != "background"]
    made = zoo.compose(pair, device="cpu")(labels=names, n=1, seed=0)
    torch.testing.assert_close(evaluation.evidence.pictures["image"][0], made.images[0], atol=1e-3, rtol=0)
    assert float((evaluation.evidence.shown.labels[0] == made.maps.labels[0]).float().mean()) > 0.99
    with pytest.raises(UsageError, match="l1 compares each picture"):
        evaluated(pair, "l1")


def test_a_translator(means: None, tmp_path: Path) -> None:
    """Photos of each other domain translated, beside the photos of the target."""
    for domain, shade in (("A", 0.2), ("B", 0.8)):
        (tmp_path / "photos" / domain).mkdir(parents=True)
        for i in range(3):
            save_image(to_pil(torch.full((3, 32, 32), shade + i / 50)), tmp_path / f"photos/{domain}/{i}.png")
    torch.manual_seed(0)
    model = zoo.create("munit/small-64", dim=4, mlp_dim=8, n_res=1)
    zoo.save(model, tmp_path / "munit")
    found = evaluated(tmp_path / "munit", data=f"domains:{tmp_path / 'photos'}", extractor="mobilenet-v2")
    assert found["kind"] == "translator" and set(found["metrics"]["kid"]["scores"]) == {"to A", "to B"}
    assert found["metrics"]["fid"]["protocol"]["photos"] == {"to A": 3, "to B": 3}
    assert found["metrics"]["fid"]["scores"]["to A"] != found["metrics"]["fid"]["scores"]["to B"]


# --- models of transformers ---------------------------------------------------------------------------------------


def segformer(folder: Path, names: list[str], processor: dict[str, Any]) -> Path:
    """A tiny SegFormer as transformers itself writes it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 8], patch_sizes=[7, 3], strides=[4, 2],
        num_attention_heads=[1, 1], mlp_ratios=[1, 1], decoder_hidden_size=8, num_labels=len(names),
        id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)},
    )  # fmt: skip
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    written = {
        "image_processor_type": "SegformerImageProcessor",
        "size": {"height": 32, "width": 32},
        "do_resize": True,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps({**written, **processor}))
    return folder


def test_a_model_of_transformers_judges_by_the_names_of_its_classes(run: Run, model_root: Path, tmp_path: Path) -> None:
    space = label_space("celebamask-hq")
    names = [*reversed(space.names[1:]), "background", "unicorn"]
    folder = segformer(tmp_path / "segformer", names, {})
    parser = open_parser(str(folder), space)
    photos = open_data(DATA, resolution=32).batch(range(3)).images
    assert photos is not None
    parsed = parser.parse(photos)
    assert parsed.space.names == tuple(names) and parsed.labels.shape == (3, 32, 32)
    from transformers import AutoImageProcessor, SegformerForSemanticSegmentation

    network, processor = (
        SegformerForSemanticSegmentation.from_pretrained(folder),
        AutoImageProcessor.from_pretrained(folder),
    )
    pixels = list((photos * 255).round().byte().permute(0, 2, 3, 1).numpy())
    with torch.no_grad():
        outputs = network(**processor(images=pixels, return_tensors="pt", input_data_format="channels_last"))
    expected = torch.stack(processor.post_process_semantic_segmentation(outputs, target_sizes=[(32, 32)] * 3))
    assert torch.equal(parsed.labels, expected)
    hits = parsed.to_space(space).labels
    assert torch.equal(hits == space.index("hair"), parsed.labels == names.index("hair"))
    found = evaluated(model_root / "scgan-celeba", "parser_agreement", limit=3, parser=str(folder))
    assert found["metrics"]["parser_agreement"]["protocol"]["parser"]["name"] == "segformer"
    as_subject = evaluated(folder, limit=3)
    assert as_subject["kind"] == "parser" and "segmentation" in as_subject["metrics"]
    save_image(to_pil(photos[0]), tmp_path / "me.png")
    ran = run("parse", tmp_path / "me.png", "--parser", folder, "--space", "celebamask-hq", "--out", tmp_path / "maps")
    assert ran.code == 0 and (tmp_path / "maps/me.png").is_file(), ran


@pytest.mark.parametrize("key", ["do_reduce_labels", "reduce_labels"])
def test_reduced_labels_shift_classes_without_names(key: str, tmp_path: Path) -> None:
    """`reduce_labels` of older files is not read by transformers; its classes lie one below those of the data just the same."""
    space = label_space("camvid")
    folder = segformer(tmp_path / "reduced", [f"LABEL_{i}" for i in range(len(space) - 1)], {key: True})
    assert reduces_labels(folder) and load_transformers(folder, space).channels == space.names[1:]
    with pytest.raises(UsageError, match=r"has 19 with 1 left out: write them into id2label"):
        load_transformers(folder, label_space("celebamask-hq"))
    with pytest.raises(UsageError, match="no label space says them"):
        zoo.load(folder)
    whole = segformer(tmp_path / "whole", [f"LABEL_{i}" for i in range(len(space))], {key: False})
    assert load_transformers(whole, space).channels == space.names


def test_folders_of_transformers_that_are_no_parsers(tmp_path: Path) -> None:
    folder = segformer(tmp_path / "model", ["a", "b"], {})
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "architectures": ["SegformerForImageClassification"]}))
    with pytest.raises(UsageError, match="no semantic segmentation"):
        zoo.load(folder)
    (folder / "config.json").write_text(json.dumps({**values, "id2label": {"x": "a"}}))
    with pytest.raises(ConfigError, match="keys of id2label are no numbers"):
        zoo.load(folder)
    (folder / "config.json").write_text(json.dumps(values))
    save_file({"nothing": torch.zeros(1)}, folder / "model.safetensors")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be loaded by transformers"):
        zoo.load(folder)


def test_a_model_that_the_hubs_own_tool_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hf:owner/repo` of transformers comes from the client's cache; without it one line says how to get it."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    storage = tmp_path / "models--somebody--faces"
    segformer(storage / "snapshots" / ("a" * 40), ["background", "skin", "hair"], {})
    (storage / "refs").mkdir()
    (storage / "refs/main").write_text("a" * 40)
    assert zoo.load("hf:somebody/faces").channels == ("background", "skin", "hair")
    with pytest.raises(WeightsError, match="a model of transformers: hf download somebody/else"):
        zoo.load("hf:somebody/else")


# --- tables and cards ---------------------------------------------------------------------------------------------


def test_markdown_and_the_card(run: Run, model_root: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "face-parser-celeba"
    shutil.copytree(model_root / "face-parser-celeba", folder)
    text, out = tmp_path / "results.md", tmp_path / "results.json"
    words = ("eval", folder, "--data", DATA, "--limit", 12, "--markdown", text, "--out", out, "--card")
    ran = run(*words)
    assert ran.code == 0 and "Written into" in ran.err, ran
    document = json.loads(out.read_text())
    told = text.read_text()
    assert (
        told == markdown(document)
        and "| segmentation | accuracy | " in told
        and "by class" in told
        and "nan" not in told
    )
    card = read_card(folder)
    assert card is not None and card.facts["scores"] == figures(document)
    index = card.front["model-index"][0]["results"][0]
    assert {m["type"]: m["value"] for m in index["metrics"]} == figures(document) and index["dataset"][
        "type"
    ] == "toy-faces"
    assert "zoo eval face-parser-celeba --data 'toy-faces:20#train' --limit 12" in card.body
    assert str(tmp_path) not in (folder / "README.md").read_text()
    before = card.body
    assert run(*words).code == 0
    again = read_card(folder)
    assert again is not None and again.body == before and zoo.load(folder)
    no_card = run("eval", model_root / "scgan-celeba", "--data", DATA, "--card", "--metrics", "l1", "--limit", 1)
    assert no_card.code in (0, 2)
    composed = run("eval", f"{model_root / 'mask-vae-celeba'}+{model_root / 'scgan-celeba'}", "--data", DATA, "--card")
    assert composed.code == 2 and "has no card" in composed.err


def test_tables_say_whose_figures_they_are() -> None:
    scores = {"image": {"mean": 1.5, "low": None, "high": None, "n": 1}}
    document = {
        "metrics": {
            "fid": {"scores": {"image": 3.0}, "protocol": {"extractor": {"name": "mobilenet-v2"}}, "warnings": []},
            "kid": {"scores": scores, "protocol": {"extractor": {"name": "inception"}}, "warnings": []},
            "segmentation": {
                "scores": {
                    "miou": 0.5,
                    "accuracy": None,
                    "intervals": {"miou": [0.4, 0.6]},
                    "iou": {"a": 0.5},
                    "class_accuracy": {},
                },
                "protocol": {},
                "warnings": [],
            },
        }
    }
    assert list(rows(document)) == [
        ("fid [mobilenet-v2]", "image", "3.0000", ""),
        ("kid", "image", "1.5000", ""),
        ("segmentation", "miou", "0.5000", "0.4000 to 0.6000"),
        ("segmentation", "accuracy", "-", ""),
    ]
    assert figures(document) == {"fid.image": 3.0, "kid.image": 1.5, "segmentation.miou": 0.5}
    assert list(class_rows(document)) == [("segmentation", ["class", "IoU", "accuracy"], [["a", "0.5000", "-"]])]
    assert not any(math.isnan(v) for v in figures(document).values())


def test_what_a_card_says_of_data_and_command() -> None:
    assert public_data("celebamask-hq:/home/me/faces#test") == "celebamask-hq:DIR#test"
    assert public_data("ccp:/data/ccp,crop=person,pad=mirror#test") == "ccp:DIR,crop=person,pad=mirror#test"
    document = {
        "data": "celebamask-hq:/x#test",
        "asked": ["kid"],
        "request": {"limit": None, "extractor": "mobilenet-v2", "judges": ["a"]},
    }
    assert (
        command(document, "m")
        == "zoo eval m --data 'celebamask-hq:DIR#test' --metrics kid --judges a --extractor mobilenet-v2"
    )
    body = "# Title\n\n## Measured\n\nold\n\n### a table\n\n## After\n\nkept\n"
    made = with_section(body, "## Measured\n\nnew\n")
    assert (
        made == "# Title\n\n## Measured\n\nnew\n\n## After\n\nkept\n"
        and with_section(made, "## Measured\n\nnew\n") == made
    )
    assert with_section("# Title\n", "## Measured\n\nnew\n").endswith("# Title\n\n## Measured\n\nnew\n")


def test_pictures_of_a_bad_extractor_are_an_error(
    means: None, model_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Means, "forward", lambda self, x: x.mean((2, 3)) * math.nan)
    with pytest.raises(DataError, match="NaN or infinity"):
        evaluated(model_root / "scgan-celeba", "kid", limit=3, extractor="mobilenet-v2")


def test_a_parser_reads_a_window(run: Run, model_root: Path, tmp_path: Path) -> None:
    """The window's map is that of the cut photo, background lies around it; windows that do not lie in the photo are refused."""
    parser = zoo.load(model_root / "face-parser-celeba")
    photo = open_data(DATA, resolution=64).batch([0]).images
    assert photo is not None
    found = zoo.parse(photo, parser=parser, crop=(10, 4, 40, 50))
    assert torch.equal(found.labels[:, 4:54, 10:50], parser.parse(photo[..., 4:54, 10:50]).labels)
    around = found.labels.clone()
    around[:, 4:54, 10:50] = parser.label_space.background_index
    assert bool((around == parser.label_space.background_index).all()) and found.size == (64, 64)
    save_image(to_pil(photo[0]), tmp_path / "me.png")
    words = ("parse", tmp_path / "me.png", "--parser", model_root / "face-parser-celeba", "--out", tmp_path / "maps")
    assert run(*words, "--crop", "10,4,40,50").code == 0
    assert torch.equal(SemanticMap.from_png(tmp_path / "maps/me.png", parser.label_space).labels, found.labels)
    for crop, said in (
        ("10,4,60,50", "does not lie in the photo of 64 x 64"),
        ("1,2,3", "expected x,y,width,height"),
        ("0,0,0,5", "does not lie"),
    ):
        ran = run(*words, "--overwrite", "--crop", crop)
        assert ran.code == 2 and said in ran.err, ran
