"""Chromium, a host of plain files, and a static page with tiny models."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.errors import UsageError
from zoo.rng import Rng

TINY = ("mask-vae-celeba", "scgan-celeba", "clvae-tiny")
"""Of `ui_models`, those that the static page can hold, but for the parser."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; skips where it, or Playwright, is absent."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra ui-test)")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed: the page is tested in it")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def axe() -> Path:
    """axe-core's script. `npm i axe-core`, then ZOO_AXE=…/node_modules/axe-core/axe.min.js."""
    named = os.environ.get("ZOO_AXE")
    if not named or not Path(named).is_file():
        pytest.skip("ZOO_AXE names no axe.min.js of axe-core: accessibility is not checked")
    return Path(named)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A host of plain files, as dumb as any."""

    extensions_map = {  # noqa: RUF012 (as its base)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Host(http.server.ThreadingHTTPServer):
    daemon_threads = True


@contextmanager
def hosted(folder: Path, port: int = 0) -> Iterator[str]:
    """The address of a folder, as long as it is served."""
    server = Host(("127.0.0.1", port), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def runtime_files() -> Path:
    """onnxruntime-web of the cache; skips where it or what exports models is absent (tests fetch nothing)."""
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library, reason=f"{library} is not installed (extra onnx)")
    from zoo.web.exported import cache
    from zoo.web.runtime import PACKAGE, VERSION, runtime

    kept = cache() / f"{PACKAGE}-{VERSION}"
    try:
        return runtime(kept, print)
    except UsageError as error:
        pytest.skip(f"{error} (zoo ui --static fetches them)")


@pytest.fixture(scope="session")
def seeing_parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny parser with random weights that sees several classes in `seen_photo`."""
    import torch
    from fixtures_models import PARSER, shake

    image = seen_photo()
    for seed in range(100):
        model: Any = zoo.create("face-parser/celeba-128", **PARSER)
        shake(model, 6.0, seed)
        with torch.inference_mode():
            shares = model.eval().parse(image).labels.flatten().bincount(minlength=19)[1:] / image[0, 0].numel()
        if (shares > 0.1).sum() >= 2:
            return zoo.save(model, tmp_path_factory.mktemp("parser") / "face-parser-tiny")
    raise AssertionError("none of them sees anything")


def seen_photo() -> Any:
    """A smooth made-up picture, float32 [1, 3, 32, 32] in 0..1."""
    import torch

    noise = Rng(3).uniform("photo", shape=(3, 4, 4)).float()
    return torch.nn.functional.interpolate(noise, size=(32, 32), mode="bicubic").clamp(0, 1)


@pytest.fixture(scope="session")
def tiny_site(
    runtime_files: Path, ui_models: dict[str, Path], seeing_parser: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of `zoo ui --static` with tiny models."""
    from zoo.web.site import build_site

    root = tmp_path_factory.mktemp("tiny-site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(root / "cache"))  # exports of tests are nothing to keep
        return build_site(
            root / "page",
            [str(p) for p in (*(ui_models[name] for name in TINY), seeing_parser)],
            runtime_folder=runtime_files,
        )
