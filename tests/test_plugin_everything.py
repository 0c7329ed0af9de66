"""A third-party plugin (`tests/pets`) that brings everything a plugin can bring, used through the real command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from thirdparty import write_metadata

PETS = Path(__file__).parent / "pets"
TRAIN = """
from zoo.cli import main
for name in ("pet-maps", "pet-paint"):
    try:
        main(["train", name, "--data", "drawn-pets:6", "--out", f"run-{name}", "--device", "cpu"])
    except SystemExit as stop:
        assert not stop.code
"""
"""Both in one process, which spares an import of torch."""


class Site:
    """A folder on the path with the plugin as pip leaves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(PETS, folder / "pets", ignore=shutil.ignore_patterns("__pycache__"))
        write_metadata(folder, "thirdparty-pets", "pets", more="License-Expression: MIT\n")

    def python(self, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """A Python that finds the plugin, in the folder."""
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        result = subprocess.run(
            [sys.executable, *(str(a) for a in arguments)],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            timeout=600,
            check=False,
        )
        assert result.returncode == code and "Traceback" not in result.stderr, result.stdout + result.stderr
        return result

    def zoo(self, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """The command line."""
        return self.python("-m", "zoo", *arguments, code=code)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The plugin with both its models: trained on its data with its trainers, published among its cards."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.python("-c", TRAIN)
    for name in ("pet-maps", "pet-paint"):
        shutil.copytree(site.folder / f"run-{name}/model", site.folder / f"pets/cards/{name}-drawn")
    return site


def test_it_is_listed_with_all_that_it_brings(site: Site) -> None:
    found = next(r for r in json.loads(site.zoo("plugins", "--json").stdout) if r["distribution"] == "thirdparty-pets")
    assert found["state"] == "ok" and not found["notes"]
    assert found["registers"] == {
        "architectures": ["pet-maps", "pet-paint"],
        "trainers": ["pet-maps", "pet-paint"],
        "converters": ["pet-maps"],
        "networks": ["pets.planes"],
        "losses": ["pets.colors"],
        "label_spaces": ["pets"],
        "datasets": ["drawn-pets"],
        "metrics": ["pets.hits"],
        "tables": ["thirdparty-pets-entry/table1"],
        "cards": ["pet-maps-drawn", "pet-paint-drawn"],
    }


def test_its_cards_state_its_data_sets_terms_and_its_own_licence(site: Site) -> None:
    assert {"pet-maps-drawn", "pet-paint-drawn"} <= {c["id"] for c in json.loads(site.zoo("list", "--json").stdout)}
    card = json.loads(site.zoo("card", "pet-maps-drawn", "--json").stdout)["zoo"]
    assert (card["code_license"], card["data_license"], card["weights_license"]) == ("MIT", "CC0-1.0", "CC0-1.0")
    assert card["scores"]["hits"] > 0.8, "its metric scored what its trainer trained"
    assert card["label_space"] == "pets"


def test_its_label_space_is_listed_and_maps_to_others_by_name(site: Site) -> None:
    assert "pets" in {s["name"] for s in json.loads(site.zoo("labels", "--json").stdout)}
    assert "aliases" in site.zoo("labels", "pets", "--json").stdout
    code = (
        "import zoo; m = zoo.label_space('pets').mapping_to(zoo.label_space('celebamask-hq'));"
        "print(dict(m.pairs), m.dropped)"
    )
    pairs = site.python("-c", code).stdout
    assert "'face': 'skin'" in pairs and "'fur': 'hair'" in pairs and "('body',)" in pairs


def test_its_data_set_is_checked_like_any_other(site: Site) -> None:
    report = json.loads(site.zoo("data", "check", "drawn-pets:5#val", "--json").stdout)
    assert report["pairs"] == 5 and report["label_space"] == "pets"
    failed = site.zoo("train", "pet-maps", "--data", "drawn-pet:3", "--out", "x", code=2)
    assert "did you mean 'drawn-pets'" in failed.stderr


def test_its_systems_compose_with_each_other_and_with_the_zoos(site: Site) -> None:
    site.zoo("compose", "pet-maps+pet-paint", "-n", 2, "--seed", 0, "--out", "pets-out", "--device", "cpu")
    from PIL import Image

    picture = torch.from_numpy(
        np.array(Image.open(site.folder / "pets-out/images/000000.png").convert("RGB")).reshape(-1, 3)
    )
    red, blue = torch.tensor([200.0, 40.0, 40.0]), torch.tensor([40.0, 40.0, 200.0])
    assert all(int(((picture.float() - color).norm(dim=1) < 60).sum()) > 20 for color in (red, blue))
    report = site.zoo("compose", "pet-maps+scgan", "--labels", "face,fur", "--out", "zoo-out", "--device", "cpu")
    assert report.stdout.strip() == "zoo-out" and (site.folder / "zoo-out/images/000000.png").is_file()


def test_its_loss_metric_and_network_come_by_name(site: Site) -> None:
    code = (
        "import torch; from zoo.registry import registry as r; g = r().get\n"
        "assert float(g('losses', 'pets.colors')(torch.ones(2), torch.zeros(2))) == 3\n"
        "assert g('metrics', 'thirdparty-pets:pets.hits')(torch.ones(2), torch.ones(2)) == 1\n"
        "assert g('networks', 'pets.planes')(4, 8).scores.shape == (4, 8, 8)\n"
    )
    site.python("-c", code)


def test_its_converter_recognises_a_checkpoint_and_converts_it(site: Site) -> None:
    scores = torch.zeros(4, 16, 16)
    scores[2] = 1
    torch.save({"pet_map": scores}, site.folder / "official.pth")
    found = site.zoo("identify", "official.pth")
    assert "pet-maps" in found.stdout
    site.zoo("convert", "official.pth", "--out", "converted")
    site.zoo("generate", "./converted", "--labels", "face", "--out", "from-converted", "--device", "cpu")
    assert (site.folder / "from-converted/maps/000000.png").is_file()


def test_without_it_all_is_gone(site: Site) -> None:
    """The last test of the module."""
    shutil.rmtree(next(site.folder.glob("*.dist-info")))
    assert "pet" not in site.zoo("list").stdout
    assert "No model 'pet-maps'" in site.zoo("compose", "pet-maps+pet-paint", code=2).stderr
