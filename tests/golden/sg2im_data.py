"""The recorded loaders of sg2im. Loaded by file path, so it imports nothing from its own folder."""

from __future__ import annotations

import json
import random
import re
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from zoo_plugins.sg2im import coco, visual_genome
from zoo_plugins.sg2im.graphs import encode
from zoo_plugins.sg2im.scenes import WHOLE, Scene, relations

Tensors = dict[str, Tensor]


def _beside(name: str) -> Any:
    """The names of a module of this folder, run by its path."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py"))))


recorded, shared = _beside("recorded"), _beside("clade_units")


def draws(rng: random.Random, count: int) -> tuple[list[float], list[float]]:
    """Python's draws for so many objects, as numbers that choose the same partners and sides."""
    partners, sides = [], []
    for _ in range(count):
        partners.append((rng.choice(range(count - 1)) + 0.5) / (count - 1))
        sides.append(rng.random())
    return partners, sides


def triples(scene: Scene, related: Sequence[Any]) -> Tensor:
    return encode([(scene.values, related)]).triples


def pair_predicates(scene: Scene) -> Tensor:
    """The predicate of every ordered pair, by choosing the draws."""
    count = len(scene)
    table = torch.full((count, count), -1)
    for step in range(count - 1):
        for subject, predicate, other in relations(scene, [(step + 0.5) / (count - 1)] * count, [1.0] * count):
            table[subject, other] = predicate
    return table


def smoothed(region: Tensor, side: int) -> Tensor:
    """A small mask as today's scikit-image makes it where nobody says otherwise: a Gaussian in front. Ours has none."""
    planes = region.double()
    for _ in range(2):
        cells = planes.shape[0]
        sigma = max(0.0, (cells / side - 1) / 2)
        if sigma > 0:
            radius = int(4 * sigma + 0.5)
            places = torch.arange(-radius, radius + 1, dtype=torch.float64)
            kernel = torch.exp(-0.5 / sigma**2 * places**2)
            padded = torch.nn.functional.pad(planes.T[:, None], (radius, radius))
            planes = torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])[:, 0].T
        places = (torch.arange(side, dtype=torch.float64) + 0.5) * cells / side - 0.5
        weights = (1 - (places[:, None] - torch.arange(cells, dtype=torch.float64)).abs()).clamp_min(0)
        planes = (weights @ planes).T
    return (planes * 255 > 128).float()


def with_smoothing(scene: Scene, annotations: Sequence[Mapping[str, Any]], side: int) -> Scene:
    masks = []
    for annotation in annotations:
        region = torch.from_numpy(coco.decode(annotation["segmentation"]).copy())
        x, y, w, h = annotation["bbox"]
        left, top = round(x), round(y)
        masks.append(smoothed(region[top : max(top + 1, round(y + h)), left : max(left + 1, round(x + w))], side))
    return Scene(scene.values, scene.boxes, torch.stack(masks))


def whole(scene: Scene) -> Tensors:
    """With the picture's own object behind the others."""
    side = scene.masks.shape[-1]
    return {
        "objs": torch.tensor([*scene.values, 0]),
        "boxes": torch.cat([scene.boxes, torch.tensor([WHOLE])]),
        "masks": torch.cat([scene.masks, torch.ones(1, side, side)]),
    }


def run_coco(case: Mapping[str, Any], folder: Path, io: Tensors, values: Mapping[str, Any]) -> Tensors:
    instances, stuff = (json.loads((folder / f"{n}.json").read_text()) for n in ("instances", "stuff"))
    out, side = run_filters(instances, stuff, values), case["mask_size"]
    images = coco.admitted(instances, stuff, coco.Admission())
    sizes = {i["id"]: (i["width"], i["height"]) for i in instances["images"]}
    scenes = {i: coco.scene(objects, sizes[i], side) for i, objects in images.items()}
    bits = differ = 0
    for image, scene in scenes.items():
        name = f"coco/{image}"
        seen = whole(scene)
        for key, masked in (("off", scene), ("on", with_smoothing(scene, images[image], side))):
            seen[f"masks_aa_{key}"] = whole(masked)["masks"]
            seen[f"pair_predicates_aa_{key}"] = pair_predicates(masked)
            related = relations(masked, *draws(random.Random(case["seed"]), len(masked)))
            seen[f"triples_aa_{key}"] = triples(masked, related)
        bits += seen["masks_aa_off"].numel()
        differ += int((seen["masks_aa_off"] != seen["masks_aa_on"]).sum())
        with recorded.where_held():
            seen["image_u8"] = photo(folder, image, tuple(case["image_size"]))
        out |= {f"{name}/{k}": v for k, v in seen.items() if k != "masks"}
    out |= {"mask_resize/bits": torch.tensor(bits), "mask_resize/on_vs_off": torch.tensor(differ)}
    rng = random.Random(case["seed"] + 1)
    batch = [(s.values, relations(s, *draws(rng, len(s)))) for s in scenes.values()]
    graphs = encode(batch)
    out |= {
        "coco_batch/objs": graphs.objects,
        "coco_batch/triples": graphs.triples,
        "coco_batch/obj_to_img": graphs.images,
    }
    out["coco_batch/boxes"] = torch.cat([whole(s)["boxes"] for s in scenes.values()])
    out["coco_batch/triple_to_img"] = graphs.images[graphs.triples[:, 0]]
    first = next(iter(scenes.values()))
    out["coco_norel/triples"] = triples(first, [])
    return out


def run_filters(instances: Mapping[str, Any], stuff: Mapping[str, Any], values: Mapping[str, Any]) -> Tensors:
    names = {"max_objects_per_image": "max_objects", "min_objects_per_image": "min_objects"}
    out: Tensors = {}
    for name, about in values.items():
        if not name.startswith("filter/"):
            continue
        given: dict[str, Any] = {
            str(names.get(k, k)): tuple(v) if isinstance(v, list) else v for k, v in about["options"].items()
        }
        found = coco.admitted(instances, stuff, coco.Admission(**given))
        assert list(found) == about["image_ids"], (name, list(found))
        out |= {f"{name}/image_ids/{i}": torch.tensor(image) for i, image in enumerate(found)}
        out |= {f"{name}/objects_per_image/{image}": torch.tensor(len(o)) for image, o in found.items()}
        out[f"{name}/total_objects"] = torch.tensor(sum(map(len, found.values())))
        out[f"{name}/vocab_len"] = torch.tensor(len(coco.vocabulary(instances, stuff)))
    if "vocab_object_idx_to_name" in values:
        assert coco.vocabulary(instances, stuff) == values["vocab_object_idx_to_name"]
    return out


def photo(folder: Path, image: int, size: tuple[int, int]) -> Tensor:
    """The photo as bytes [3, H, W]; PIL's bilinear resize, whatever its aspect. Raises Lacking where the shared data are not there."""
    samples = shared.samples_of(folder)
    found = sorted((samples or Path()).rglob(f"{image:012d}.jpg")) if samples is not None else []
    if not found:
        raise recorded.Lacking(str(image))
    with PIL.Image.open(found[0]) as opened:
        small = opened.convert("RGB").resize((size[1], size[0]), PIL.Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small).transpose(2, 0, 1).copy())


# --- Visual Genome ----------------------------------------------------------------------------------------------------


def run_vg(case: Mapping[str, Any], folder: Path, io: Tensors, values: Mapping[str, Any]) -> Tensors:
    images = {i["id"]: (i["width"], i["height"]) for i in json.loads((folder / "instances.json").read_text())["images"]}
    sizes = [images[int(Path(name).stem)] for name in values["vg_files"]]
    table = recorded.held(io, "vg/h5/")
    out: Tensors = {}
    for name in dict.fromkeys(m[1] for k in io if (m := re.fullmatch(r"vg/(?!h5/)([^/]+)/\d+/objs", k))):
        rng = random.Random(case["seed"])
        most = re.search(r"max(\d+)", name)
        options = {
            "max_objects": int(most[1]) if most else 10,
            "orphans": "no_orphans" not in name,
            "related": "norel" not in name,
        }
        for row, size in enumerate(sizes):
            count, related = int(table["objects_per_image"][row]), int(table["relationships_per_image"][row])
            rows = (table[f"relationship_{k}"][row, :related].tolist() for k in ("subjects", "predicates", "objects"))
            scene = visual_genome.scene(
                table["object_names"][row, :count].tolist(), table["object_boxes"][row, :count].tolist(),
                list(zip(*rows, strict=True)), size, lambda values, n: rng.sample(values, n), **options,  # noqa: B023
            )  # fmt: skip
            out[f"vg/{name}/{row}/objs"] = torch.tensor([*scene.classes, 0])
            out[f"vg/{name}/{row}/boxes"] = torch.cat([scene.boxes, torch.tensor([WHOLE])])
            out[f"vg/{name}/{row}/triples"] = encode([(scene.classes, scene.relations)]).triples
    return out


def run_vg_preprocess(values: Mapping[str, Any]) -> Tensors:
    given = values["vg_preprocess/in"]
    limits = visual_genome.Thresholds(**given["thresholds"])
    found = visual_genome.clean(
        given["images"], given["objects"], given["relationships"], given["splits"],
        visual_genome.aliases(given["object_aliases"]), visual_genome.aliases(given["relationship_aliases"]), limits,
    )  # fmt: skip
    out: dict[str, Any] = {"splits": found.splits, "vocab": {
        "object_name_to_idx": {n: i for i, n in enumerate(found.objects)},
        "pred_name_to_idx": {n: i for i, n in enumerate(found.predicates)},
    }, "arrays": {}}  # fmt: skip
    for split, rows in found.images.items():
        width, most = limits.max_objects_per_image, limits.max_relationships_per_image

        def pad(items: list[Any], n: int, empty: Any = -1) -> list[Any]:
            return [*items, *[empty] * (n - len(items))]

        out["arrays"][split] = {
            "image_ids": [r.image for r in rows],
            "object_ids": [pad([o[0] for o in r.objects], width) for r in rows],
            "object_names": [pad([found.objects.index(o[1]) for o in r.objects], width) for r in rows],  # pyright: ignore[reportArgumentType]
            "object_boxes": [pad([list(o[2]) for o in r.objects], width, [-1] * 4) for r in rows],
            "objects_per_image": [len(r.objects) for r in rows],
            "relationship_ids": [pad([x[0] for x in r.relations], most) for r in rows],
            "relationship_subjects": [pad([x[1] for x in r.relations], most) for r in rows],
            "relationship_predicates": [pad([x[2] for x in r.relations], most) for r in rows],
            "relationship_objects": [pad([x[3] for x in r.relations], most) for r in rows],
            "relationships_per_image": [len(r.relations) for r in rows],
        }
    return numbers("vg_preprocess/out", out)


def numbers(path: str, value: Any) -> Tensors:
    """All numbers of a nested value by their paths."""
    if not isinstance(value, dict | list):
        return {path: torch.tensor(value)}
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, inner in parts for k, v in numbers(f"{path}/{key}", inner).items()}


def run_data(case: Mapping[str, Any], folder: Path) -> Tensors:
    """Both loaders and the preparation of Visual Genome."""
    io = recorded.load(folder / "io.safetensors")
    values = json.loads((folder / "values.json").read_text())
    out = run_coco(case, folder, io, values)
    with recorded.where_held():
        out |= run_vg(case, folder, io, values)
    if "vg_preprocess/in" in values:
        out |= run_vg_preprocess(values)
    return {k: v.to(io[k].dtype) if k in io else v for k, v in out.items()}
