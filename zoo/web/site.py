"""`zoo ui --static`: the page as a folder that any host of plain files serves, with the models in it.

index.html      the page, its engine chosen by a meta tag, a content policy in another
static/         the page's own files
site.json       what the engine is told: facts, where each model's description lies, how label spaces are joined
models/ID/      what `zoo export --half` writes
vendor/         onnxruntime-web, and whose it is
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from zoo import cards
from zoo.errors import DataError, UsageError, ZooError, plain
from zoo.export.tracing import require_onnx
from zoo.files.folders import whole_folder
from zoo.files.jsonfiles import read_json
from zoo.labels import LabelSpace
from zoo.registry.kinds import of_role
from zoo.web.exported import exported
from zoo.web.facts import StyleForm, facts
from zoo.web.limits import MIB, Limits
from zoo.web.offers import Offer, Offers, gather
from zoo.web.runtime import FILES, PACKAGE, VERSION, runtime

LIMITS = Limits(upload=32 * MIB, pixels=50_000_000)
CONTENT = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' blob: data:; base-uri 'none'; form-action 'none'"
)
"""Of the page; WebAssembly is compiled from the folder's own file."""
MARK = "site.json"
CREDITS = f"""{PACKAGE} {VERSION} (files ort*): MIT licence, Copyright (c) Microsoft Corporation.
https://github.com/microsoft/onnxruntime/blob/main/LICENSE

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions: The above copyright notice and this permission notice shall be included in all copies or substantial portions
of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH
THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def build_site(
    folder: Path,
    references: Sequence[str] = (),
    *,
    overwrite: bool = False,
    runtime_folder: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write the folder; returns it. references: models (none: those that come with the package).

    A model that cannot be exported stands on the page with the reason. overwrite: replace a folder that this wrote; files of others in
    it stay. Raises UsageError for another folder with something in it, for missing libraries, and where no model of a picture or map
    can be exported; DataError for a runtime that cannot be fetched or differs, and a folder that cannot be written.
    """
    require_onnx()
    _check_target(folder, overwrite)
    vendor = runtime(runtime_folder, say)
    offers = gather(references or _embedded())
    made: dict[str, tuple[Path, dict[str, Any]]] = {}
    reasons: dict[str, str] = {}
    for offer in offers.models.values():
        if offer.folder is None:
            continue
        try:
            made[offer.id] = exported(offer, say)
        except UsageError as error:
            reasons[offer.id] = plain(str(error))
            say(f"{offer.id}: {reasons[offer.id]}")
    if not any(offers.models[name].role in ("generator", "synthesizer") for name in made):
        raise UsageError(f"None of these models can be exported: {' '.join(reasons.values())}")
    site = _site(offers, {n: d for n, (_, d) in made.items()}, reasons)
    with whole_folder(folder, replaces=_ours if overwrite else None) as part:
        _write(part, site, {n: f for n, (f, _) in made.items()}, vendor)
        for name in made:
            _card(offers.models[name], part / "models" / name)
    return folder


def _embedded() -> list[str]:
    """The models whose weights come with the package."""
    kinds = of_role("generator", "synthesizer", "parser")
    return [c.model_id for c in cards.search("*") if c.embedded and c.facts.get("kind") in kinds]


def _check_target(folder: Path, overwrite: bool) -> None:
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name a folder.")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise UsageError(f"{folder} holds something else: name an empty folder, or one that does not exist.")
        if not overwrite:
            raise UsageError(f"{folder} holds a page already: <<overwrite>> replaces it.")


def _ours(name: str) -> bool:
    return name in ("index.html", MARK) or name.split("/", 1)[0] in ("static", "models", "vendor")


# --- what the engine is told --------------------------------------------------------------------------------------


def _site(offers: Offers, described: dict[str, dict[str, Any]], reasons: dict[str, str]) -> dict[str, Any]:
    told = facts(offers, LIMITS, lambda offer: _form(offer, described.get(offer.id)))
    told["engine"] = "static"
    for kind in ("generators", "synthesizers", "parsers"):
        told[kind] = [_narrowed(model, described.get(model["id"]), reasons) for model in told[kind]]
    return {
        "facts": told,
        "models": {name: f"models/{name}/model.json" for name in described},
        "labelSets": {n: sets for n in described if (sets := _label_sets(offers.models[n]))},
        "mappings": _mappings(offers.spaces),
    }


def _form(offer: Offer, described: dict[str, Any] | None) -> StyleForm | None:
    style = described["recipe"].get("style") if described else None
    return None if not style else StyleForm(tuple(style["classes"]), tuple(style["layers"]), offer.can)


def _narrowed(model: dict[str, Any], described: dict[str, Any] | None, reasons: dict[str, str]) -> dict[str, Any]:
    """What a model can do on this page: what its graphs can."""
    if described is None:
        reason = model["reason"] or reasons.get(model["id"]) or "It is not in this page."
        return {**model, "available": False, "reason": reason, "default": False}
    recipe, graphs = described["recipe"], described["graphs"]
    can = {
        c
        for c in model["can"]
        if not c.startswith(("edit:", "style:")) and c not in ("options", "reconstruct", "graphs", "pictures")
    }
    can |= {f"edit:{kind}" for kind in recipe.get("edits", ())}
    if style := recipe.get("style"):
        there = {"prior": "prior" in graphs, "mean": style.get("mean") is not None, "photo": "photo" in graphs}
        can |= {f"style:{name}" for name, is_there in there.items() if is_there}
        can |= {"style:partial"} if "style:partial" in model["can"] else set()
    return {**model, "can": sorted(can), "priors": recipe.get("priors", model["priors"]), "options": []}


def _label_sets(offer: Offer) -> list[dict[str, Any]]:
    path = offer.folder / "assets" / "label_sets.json" if offer.folder is not None else None
    return read_json(path, list) if path is not None and path.is_file() else []


def _mappings(spaces: dict[str, LabelSpace]) -> dict[str, dict[str, Any]]:
    """How maps of one space become maps of another, where they do."""
    made: dict[str, dict[str, Any]] = {}
    for source in spaces.values():
        for target in spaces.values():
            if source.name == target.name:
                continue
            try:
                mapping = source.mapping_to(target)
            except ZooError:
                continue
            made[f"{source.name}>{target.name}"] = {"table": list(mapping.table), "dropped": list(mapping.dropped)}
    return made


# --- the folder ---------------------------------------------------------------------------------------------------


def _write(part: Path, site: dict[str, Any], models: dict[str, Path], vendor: Path) -> None:
    own = Path(str(files("zoo.web").joinpath("static")))
    page = own / "index.html"
    if not page.is_file():
        raise DataError(f"The page itself ({page}) is missing from this installation: install maskzoo again.")
    shutil.copytree(own, part / "static", ignore=shutil.ignore_patterns("index.html", "*.map", "jsconfig.json"))
    (part / "index.html").write_text(_page(page.read_text(encoding="utf-8")), encoding="utf-8")
    (part / MARK).write_text(json.dumps(site, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, folder in models.items():
        shutil.copytree(folder, part / "models" / name)
    (part / "vendor").mkdir()
    for name in FILES:
        shutil.copyfile(vendor / name, part / "vendor" / name)
    (part / "vendor" / "LICENSES.txt").write_text(CREDITS, encoding="utf-8")


def _card(offer: Offer, target: Path) -> None:
    """A model's card, which says whose it is and under what licence, beside its files."""
    if offer.folder is not None and (card := offer.folder / cards.README).is_file():
        shutil.copyfile(card, target / cards.README)


def _page(text: str) -> str:
    """index.html with the engine of this folder, and what a server would say in headers."""
    text, count = re.subn(r'(<meta name="zoo-engine" content=")[^"]*(")', r"\1static\2", text)
    if count != 1:
        raise DataError("The page of this installation names no engine: install maskzoo again.")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{CONTENT}">'
    return text.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n  {policy}', 1)
