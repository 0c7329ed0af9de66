"""What is to be said of each data set wherever something made from it is published: its name, its terms, its home. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataFacts:
    """Facts of one data set, as cards state them."""

    title: str
    """Its name in prose."""
    things: str
    """What its pairs show, in the plural."""
    terms: str
    """What its licence allows (`data_license` of a card)."""
    weights: str
    """The licence of weights trained on it (`weights_license` of a card)."""
    url: str | None = None
    """Where it comes from."""


UNKNOWN = DataFacts("unknown", "pairs", "unknown", "unknown")

FACTS: dict[str, DataFacts] = {
    "celebamask-hq": DataFacts(
        title="CelebAMask-HQ",
        things="faces",
        terms="CelebAMask-HQ: non-commercial research only, no redistribution of the pictures",
        weights="non-commercial research only (trained on CelebAMask-HQ)",
        url="https://github.com/switchablenorms/CelebAMask-HQ",
    ),
    "ccp": DataFacts(
        title="Clothing Co-Parsing",
        things="people",
        terms="Clothing Co-Parsing (Yang, Luo, Lin: CVPR 2014): annotations Apache-2.0, to be cited; the rights to the photos"
        " are not stated",
        weights="non-commercial research only (trained on photos of unstated rights, Clothing Co-Parsing)",
        url="https://github.com/bearpaw/clothing-co-parsing",
    ),
    "ade20k": DataFacts(
        title="ADE20K",
        things="scenes",
        terms="ADE20K: annotations BSD-3-Clause; the pictures for non-commercial research and education only",
        weights="non-commercial research only (trained on ADE20K)",
        url="https://groups.csail.mit.edu/vision/datasets/ADE20K",
    ),
    "cityscapes": DataFacts(
        title="Cityscapes",
        things="street scenes",
        terms="Cityscapes: non-commercial research, teaching and evaluation only, no redistribution",
        weights="non-commercial research only (trained on Cityscapes)",
        url="https://www.cityscapes-dataset.com",
    ),
    "coco-stuff": DataFacts(
        title="COCO-Stuff",
        things="scenes",
        terms="COCO-Stuff: annotations CC BY 4.0; each photo under the licence that its Flickr author chose",
        weights="non-commercial research only (trained on photos of many licences, COCO)",
        url="https://github.com/nightrome/cocostuff",
    ),
    "deepfashion": DataFacts(
        title="DeepFashion In-shop",
        things="people",
        terms="DeepFashion: non-commercial research only, no redistribution of the pictures",
        weights="non-commercial research only (trained on DeepFashion)",
        url="https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion.html",
    ),
    "gta5": DataFacts(
        title="GTA-5 (Playing for Data)",
        things="street scenes of a computer game",
        terms="GTA-5 (Playing for Data, ECCV 2016): frames of a commercial game, for research and education only",
        weights="non-commercial research only (trained on frames of GTA-5)",
        url="https://download.visinf.tu-darmstadt.de/data/from_games",
    ),
    "toy-faces": DataFacts(
        # drawn by this program
        title="toy faces",
        things="drawn faces",
        terms="Apache-2.0",
        weights="Apache-2.0",
    ),
}


def facts_of(data_set: str) -> DataFacts:
    """The facts of a data set by its name in `--data`: the core's, or what a plugin's states itself (`Source.facts`);
    `UNKNOWN` for one that nobody described (a folder of one's own)."""
    from zoo.registry import registry

    if data_set in FACTS or data_set not in registry().names("datasets"):
        return FACTS.get(data_set, UNKNOWN)
    facts = getattr(registry().get("datasets", data_set), "facts", None)
    return facts if isinstance(facts, DataFacts) else UNKNOWN
