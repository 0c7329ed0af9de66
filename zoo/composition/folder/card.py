"""`README.md`: the data set card of a run folder, so that the folder put on the Hub is a data set that loads. No torch at import.

The head is what the library `datasets` reads: which files are samples, and the type of each column of `metadata.jsonl`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.composition.folder.records import CARD, CARD_MARK, METADATA, image_ending
from zoo.composition.folder.target import is_our_card
from zoo.files.writing import write_text

if TYPE_CHECKING:
    from zoo.labels import LabelSpace

TRANSLATOR = "translator"
"""The role of the one model of a run of `zoo translate`."""
_WHOLE = {"dtype": "int64"}
_SHARE = {"dtype": "float64"}
_TEXT = {"dtype": "string"}


def write_card(
    folder: Path, manifest: dict[str, Any], records: list[dict[str, Any]], space: LabelSpace | None = None
) -> None:
    """Write the card of a finished run; a README that somebody else put there stays. space: of the maps."""
    path = folder / CARD
    if not path.exists() or is_our_card(path):
        write_text(path, card(manifest, records, space))


def card(manifest: dict[str, Any], records: list[dict[str, Any]], space: LabelSpace | None = None) -> str:
    """The text of the card."""
    import yaml

    head = {
        "pretty_name": f"{manifest['composition']}, seed {manifest['request']['seed']}",
        "task_categories": _tasks(manifest),
        "tags": ["synthetic", "maskzoo"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": _samples(manifest)}]}],
        "dataset_info": {"features": features(manifest, records)},
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---\n{CARD_MARK}\n\n{_body(manifest, len(records), space)}"


def _tasks(manifest: dict[str, Any]) -> list[str]:
    if TRANSLATOR in manifest["models"]:
        return ["image-to-image"]
    return [*(["image-segmentation"] if manifest["maps"] else []), "unconditional-image-generation"]


def _samples(manifest: dict[str, Any]) -> list[str]:
    """The files that are samples: not the grid, not the inputs."""
    endings = {"images": image_ending(manifest["request"]), "maps": ".png"}
    return [METADATA, *(f"{name}/*{ending}" for name, ending in endings.items() if manifest[name])]


def features(manifest: dict[str, Any], records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The columns in the form of `dataset_info`, in the order of a line."""
    types: dict[str, dict[str, Any]] = {
        "index": _WHOLE,
        "seed": _WHOLE,
        "tries": _WHOLE,
        "redrawn": _WHOLE,
        "exhausted": {"dtype": "bool"},
        "changed_outside_edits": _SHARE,
        "style_change": {
            "struct": [
                {"name": "classes", "list": "string"},
                {"name": "reach", **_WHOLE},
                *({"name": name, **_SHARE} for name in ("inside", "outside", "ratio")),
            ]
        },
        "pasted_file_name": _TEXT,
        "pasted_sha256": _TEXT,
        "sha256": {"struct": [{"name": name, **_TEXT} for name in ("image", "map")]},
    }
    pictures = [{"name": "image", "dtype": "image"}]
    pictures += (
        [{"name": "map", "dtype": "image"}] if manifest["maps"] else [{"name": "map_file_name", "dtype": "null"}]
    )
    columns = [key for key in (records[0] if records else {}) if key not in ("file_name", "map_file_name")]
    return [*pictures, *({"name": key, **types.get(key, {"list": "string"})} for key in columns)]


def _body(manifest: dict[str, Any], samples: int, space: LabelSpace | None) -> str:
    models = [f"- {role}: `{model['id']}`" for role, model in manifest["models"].items()]
    what = " and ".join(name for name in ("maps", "images") if manifest[name])
    command = "zoo translate" if TRANSLATOR in manifest["models"] else "zoo compose"
    parts = [
        f"# {manifest['composition']}, seed {manifest['request']['seed']}",
        f"{samples} samples ({what}, {manifest['size'][0]} x {manifest['size'][1]} pixels, height x width) that `{command}` made with",
        "\n".join(models),
        "The terms of these models, and of the data they learned from, hold for what they made: `zoo card ID` tells them."
        " `manifest.json` holds the request; `zoo replay manifest.json` makes the same files again.",
    ]
    if manifest["maps"]:
        kind = manifest["request"].get("map_format", "palette")
        parts += [
            f"A pixel of a map is its class number in the label space `{manifest['label_space']}`; the maps are {kind} PNGs of 8 bits.",
            _table(space),
            '```python\nimport numpy as np\nfrom datasets import load_dataset\n\nsample = load_dataset("FOLDER", split="train")[0]\n'
            'numbers = np.array(sample["map"])  # uint8 [H, W]\n```',
        ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(space: LabelSpace | None) -> str:
    if space is None:
        return ""
    rows = [
        f"| {value} | {name} | {' '.join(map(str, color))} |"
        for value, (name, color) in enumerate(zip(space.names, space.palette, strict=True))
    ]
    if space.ignore:
        rows.append("| 255 | (unlabeled) | 0 0 0 |")
    return "\n".join(["| number | class | colour |", "|---|---|---|", *rows])
