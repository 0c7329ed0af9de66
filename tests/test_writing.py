"""What we write: maps of 8 bits that readers take for what they are, lines with constant keys, cards, VOC's names, tars."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from fixtures_models import Ran
from readers import READERS, numbers_of, stripes, written

from zoo.composition.folder.labelmap import check_labelmap
from zoo.composition.folder.records import files_of, read_records
from zoo.composition.request.requests import Request
from zoo.data import open_data
from zoo.errors import LabelError, UsageError
from zoo.files.runfiles import LISTS, SINGLE
from zoo.labels import parse_space
from zoo.maps import SemanticMap
from zoo.registry import label_space, registry

Run = Callable[..., Ran]
SPACES = sorted(registry().names("label_spaces"))
AT_HAND = [r for r in READERS if r.package in ("pillow", "torchvision")]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("map_format", ["palette", "grey"])
def test_every_space_has_8_bits_for_every_reader(name: str, map_format: str, tmp_path: Path) -> None:
    path, numbers = written(tmp_path, name, map_format)
    head = path.read_bytes()
    assert head[24] == 8 and head[25] == {"palette": 3, "grey": 0}[map_format]  # bits per pixel and colour type of IHDR
    for reader in AT_HAND:
        assert np.array_equal(reader.read_numbers(path), numbers), reader.numbers
    if map_format == "palette":
        colours = np.array(PIL.Image.open(path).convert("RGB")) / 255
        assert np.allclose(colours, stripes(name).colorize()[0].permute(1, 2, 0).numpy())
    assert torch.equal(SemanticMap.from_png(path, label_space(name)).labels, stripes(name).labels)


def test_another_format_is_refused() -> None:
    with pytest.raises(LabelError, match="palette or grey, not as 'jpeg'"):
        stripes("facades").to_pil(map_format="jpeg")
    with pytest.raises(UsageError, match="map_format must be palette or grey, got 'gray'"):
        Request(map_format="gray")


def command(pair: tuple[str, str], *more: object) -> tuple[object, ...]:
    return ("compose", "+".join(pair), "--labels", "skin,hair,nose", "-n", 3, "--seed", 5, "--device", "cpu", *more)


@pytest.fixture
def made(run: Run, pair: tuple[str, str], tmp_path: Path) -> Path:
    assert run(*command(pair), "--out", tmp_path / "run").code == 0
    return tmp_path / "run"


def test_grey_maps_have_the_same_numbers(run: Run, pair: tuple[str, str], made: Path, tmp_path: Path) -> None:
    assert run(*command(pair, "--map-format", "grey"), "--out", tmp_path / "grey").code == 0
    for a, b in zip(numbers_of(made), numbers_of(tmp_path / "grey"), strict=True):
        assert np.array_equal(a, b) and a.max() > 0
    assert PIL.Image.open(tmp_path / "grey/maps/000000.png").mode == "L"
    assert (tmp_path / "grey/images/000001.png").read_bytes() == (made / "images/000001.png").read_bytes()
    assert (tmp_path / "grey/grid.png").read_bytes() == (made / "grid.png").read_bytes()  # in colours all the same
    requests = [json.loads((f / "manifest.json").read_text())["request"] for f in (made, tmp_path / "grey")]
    assert "map_format" not in requests[0] and requests[1].pop("map_format") == "grey" and requests[0] == requests[1]
    assert run("replay", tmp_path / "grey").out == "6 of 6 files are equal\n"
    other = run(*command(pair), "--out", tmp_path / "grey")
    assert other.code == 2 and "it differs in request (map_format)" in other.err


def test_lines_have_the_same_keys_everywhere(
    run: Run, pair: tuple[str, str], made: Path, inputs: Path, tmp_path: Path
) -> None:
    edited = ("--mask", inputs / "face.png", "--edit", "redraw:hair", "--seed", 1, "--device", "cpu")
    assert run("compose", "+".join(pair), *edited, "--out", tmp_path / "edited").code == 0
    assert run("generate", pair[0], "--seed", 1, "--device", "cpu", "--out", tmp_path / "maps").code == 0
    lines = {
        f: json.loads((tmp_path / f / "metadata.jsonl").read_text().splitlines()[0]) for f in ("run", "edited", "maps")
    }
    keys = ["file_name", "map_file_name", "index", "seed", *LISTS, *SINGLE, "sha256"]
    for line in lines.values():
        assert list(line) == keys and list(line["sha256"]) == ["image", "map"]
        assert all(isinstance(line[k], list) for k in LISTS)
    assert lines["run"]["changed_outside_edits"] is None and lines["edited"]["changed_outside_edits"] >= 0
    assert lines["edited"]["edits"] == ["redraw:hair"] and lines["run"]["edits"] == []
    assert lines["maps"]["file_name"] == lines["maps"]["map_file_name"] == "maps/000000.png"
    assert lines["maps"]["sha256"]["image"] is None


def as_before(folder: Path) -> None:
    """The run folder as version 0.1.0 left it."""
    lines = []
    for record in read_records(folder / "metadata.jsonl"):
        kept = {k: v for k, v in record.items() if v not in ([], None) and k not in ("map_file_name", "sha256")}
        lines.append({**kept, "sha256": files_of(record)})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "README.md").unlink()


def test_folders_of_0_1_0_are_replayed_and_continued(run: Run, pair: tuple[str, str], made: Path) -> None:
    whole = (made / "metadata.jsonl").read_bytes()
    as_before(made)
    old = (made / "metadata.jsonl").read_bytes()
    assert b"map_file_name" not in old and b'"maps/000000.png": ' in old
    assert run("replay", made).out == "6 of 6 files are equal\n"
    again = run(*command(pair), "--out", made)  # finished: nothing is touched
    assert again.code == 0 and (made / "metadata.jsonl").read_bytes() == old and not (made / "README.md").exists()
    manifest = json.loads((made / "manifest.json").read_text())
    del manifest["finished"], manifest["summary"]
    (made / "manifest.json").write_text(json.dumps(manifest))
    (made / "metadata.jsonl").write_bytes(old[: old.index(b"\n", old.index(b'"index": 1')) + 1])
    again = run(*command(pair), "--out", made)
    assert again.code == 0 and "2 of 3 samples are there" in again.err
    assert (made / "metadata.jsonl").read_bytes() == whole


def test_replay_says_why_packed_maps_differ(run: Run, made: Path) -> None:
    path = made / "maps/000001.png"
    image = PIL.Image.fromarray(numbers_of(made)[1] % 2)
    image.putpalette([0, 0, 0, 9, 9, 9])
    image.save(path, bits=4)
    lines = [json.loads(line) for line in (made / "metadata.jsonl").read_text().splitlines()]
    lines[1]["sha256"]["map"] = "0" * 64
    (made / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = run("replay", made)
    assert again.code == 1 and "maps/000001.png: written with fewer than 8 bits per pixel" in again.err


def test_the_card_is_a_data_set_card(run: Run, pair: tuple[str, str], made: Path) -> None:
    import yaml

    head, body = (made / "README.md").read_text().split("---\n", 2)[1:]
    info = yaml.safe_load(head)
    names = [f["name"] for f in info["dataset_info"]["features"]]
    assert names[:2] == ["image", "map"] and names[2:] == ["index", "seed", *LISTS, *SINGLE, "sha256"]
    assert info["configs"][0]["data_files"][0]["path"] == ["metadata.jsonl", "images/*.png", "maps/*.png"]
    assert "| 1 | skin | 204 0 0 |" in body and "mask-vae-celeba" in body and "zoo card" in body


def test_a_readme_of_yours_stays(run: Run, pair: tuple[str, str], made: Path) -> None:
    (made / "README.md").write_text("mine")
    assert run(*command(pair, "--overwrite"), "--out", made).code == 0
    assert (made / "README.md").read_text() == "mine"
    (made / "README.md").unlink()
    assert run(*command(pair, "--overwrite", "--labelmap"), "--out", made).code == 0
    assert (made / "README.md").read_text().startswith("---\n")
    assert run("generate", pair[0], "--seed", 1, "--device", "cpu", "--overwrite", "--out", made).code == 0
    assert sorted(p.name for p in made.iterdir()) == [
        "README.md",
        "grid.png",
        "manifest.json",
        "maps",
        "metadata.jsonl",
    ]


def test_labelmap_of_voc(run: Run, pair: tuple[str, str], made: Path) -> None:
    assert run(*command(pair, "--labelmap"), "--out", made).code == 0
    lines = (made / "labelmap.txt").read_text().splitlines()
    assert lines[2:4] == ["background:0,0,0::", "skin:204,0,0::"] and len(lines) == 2 + 19
    assert (made / "ImageSets/Segmentation/default.txt").read_text() == "000000\n000001\n000002\n"
    assert (made / "SegmentationClass/000001.png").read_bytes() == (made / "maps/000001.png").read_bytes()
    assert (made / "JPEGImages/000001.png").read_bytes() == (made / "images/000001.png").read_bytes()
    assert len(open_data(f"folder:{made}")) == 3


def test_classes_of_one_colour_need_grey() -> None:
    classes: list[dict[str, Any]] = [
        {"name": n, "color": c} for n, c in (("sky", [0, 0, 0]), ("sea", [0, 0, 9]), ("lake", [0, 0, 9]))
    ]
    space = parse_space({"name": "waters", "classes": classes}, "test")
    with pytest.raises(LabelError, match="sea, lake of 'waters' share a colour"):
        check_labelmap(space, "palette")
    check_labelmap(space, "grey")


def test_a_tar(run: Run, made: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.tar"
    assert run("data", "tar", f"folder:{made}", path).out.strip() == str(path)
    first = path.read_bytes()
    assert run("data", "tar", f"folder:{made}", path).code == 2 and path.read_bytes() == first
    assert run("data", "tar", f"folder:{made}", path, "--overwrite").code == 0 and path.read_bytes() == first
    with tarfile.open(path) as tar:
        names = tar.getnames()
        content = {n: tar.extractfile(n).read() for n in names}  # pyright: ignore[reportOptionalMemberAccess]
    assert names[:4] == ["000000.image.png", "000000.map.png", "000000.json", "000001.image.png"] and len(names) == 9
    image = PIL.Image.open(io.BytesIO(content["000001.map.png"]))
    assert image.mode == "L" and np.array_equal(np.array(image), numbers_of(made)[1])
    assert json.loads(content["000002.json"])["label_space"] == "celebamask-hq"


def test_a_run_is_a_dataset_of_torch(made: Path) -> None:
    from torch.utils.data import DataLoader, Dataset

    data = open_data(f"folder:{made}")
    assert isinstance(data, Dataset) and data.resolution == numbers_of(made)[0].shape
    (batch,) = DataLoader(data, batch_size=3)
    assert batch["image"].shape[:2] == (3, 3) and batch["image"].dtype == torch.float32
    assert np.array_equal(batch["map"].numpy(), np.stack(numbers_of(made)))
    assert [s["name"] for s in data] == list(data.names) and torch.equal(data[-1]["map"], batch["map"][2])  # pyright: ignore
    with pytest.raises(IndexError):
        data[3]


def test_previews_of_parsed_photos_are_no_samples(run: Run, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "data/maps"
    ran = run("parse", inputs / "photo.png", "--out", out, "--map-format", "grey", "--device", "cpu")
    assert ran.code == 0 and ran.out.strip() == str(out / "photo.png")
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png")) == ["__colors__/photo.png", "photo.png"]
    assert PIL.Image.open(out / "photo.png").mode == "L"
    assert open_data(f"folder:{tmp_path / 'data'}", space=label_space("celebamask-hq")).names == ("photo",)
