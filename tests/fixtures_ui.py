"""A real `zoo ui` on the loopback, with tiny models, and what a page does with it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest

import zoo

TOKEN = "a-token-of-the-tests-0123456789"
STEPS = 20_000
"""Of the slow model: more than a test ever waits for."""
ENOUGH = 300
"""Seconds after which something hangs; a loaded machine needs many."""
SEEN = re.compile(r"^http://[^/]+:(\d+)/(?:\?token=(.+))?$")


class Editor:
    """One server process. url: without the token."""

    def __init__(self, *arguments: object, token: str | None = TOKEN, port: int = 0) -> None:
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        env.pop("ZOO_UI_TOKEN", None)
        if token is not None:
            env["ZOO_UI_TOKEN"] = token
        command = [sys.executable, "-m", "zoo", "ui", "--no-browser", "--port", str(port), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().strip()
        found = SEEN.match(self.line)
        if found is None:
            raise AssertionError(f"no address: {self.line!r} {self.stop()}")
        self.port, self.token = int(found[1]), found[2]
        self.url = f"http://127.0.0.1:{self.port}"

    def client(self, session: str = "tab-of-the-tests", **headers: str) -> httpx.Client:
        """What a page sends with every request."""
        own = {"X-Zoo-Session": session, **({"Authorization": f"Bearer {self.token}"} if self.token else {}), **headers}
        return httpx.Client(base_url=self.url, headers=own, timeout=ENOUGH, trust_env=False)

    def stop(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Exit code, the rest of stdout, stderr."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            out, err = self.process.communicate(timeout=ENOUGH)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, out, err


def ask(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    """A job's last line; an answer without lines as it is, with its status."""
    response = client.post("/api/run", json=job)
    if response.status_code != 200:
        return {"status": response.status_code, **response.json()}
    return json.loads(response.text.splitlines()[-1])


def result(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    """The result of a job that goes well."""
    line = ask(client, job)
    assert "result" in line, line
    return line["result"]


def wire(labels: Any, space: str = "celebamask-hq") -> dict[str, Any]:
    """A map as the page writes it, of integers [H, W]."""
    values = np.asarray(labels, np.uint8)
    content = base64.b64encode(values.tobytes()).decode()
    return {"width": values.shape[1], "height": values.shape[0], "space": space, "labels": content}


def labels_of(entry: dict[str, Any]) -> np.ndarray:
    """uint8 [H, W] of a map on the wire."""
    return np.frombuffer(base64.b64decode(entry["labels"]), np.uint8).reshape(entry["height"], entry["width"])


def pixels_of(made: dict[str, Any]) -> np.ndarray:
    """uint8 [H, W, 3] of a rendered picture."""
    return np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(made["image"]))).convert("RGB"))


def styled(*parts: dict[str, Any], base: dict[str, Any] | None = None, mix: Any = None) -> dict[str, Any]:
    """A StyleSpec."""
    return {"base": base or {"kind": "seed", "seed": 3}, "parts": list(parts), "mix": mix}


def part(source: dict[str, Any], *names: str, layers: Any = None, locked: bool = False) -> dict[str, Any]:
    """A part of a StyleSpec."""
    return {"labels": list(names) or None, "layers": layers, "source": source, "locked": locked}


@pytest.fixture(scope="session")
def ui_models(model_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models by id: those of `model_root`, a synthesizer with styles per class and layer, and one that takes very many steps."""
    from clvae_tiny import model_of
    from test_sdm import sdm

    root = tmp_path_factory.mktemp("ui-models")
    zoo.save(model_of(), root / "clvae-tiny")
    zoo.save(sdm(diffusion_steps=STEPS), root / "sdm-tiny")
    return {p.name: p for p in [*model_root.iterdir(), *root.iterdir()]}


@pytest.fixture(scope="session")
def ui_arguments(ui_models: dict[str, Path]) -> list[str]:
    """The models for the command line."""
    return [text for path in ui_models.values() for text in ("--models", str(path))]


@pytest.fixture(scope="session")
def editor(ui_arguments: list[str]) -> Iterator[Editor]:
    """A server that tests share."""
    served = Editor(*ui_arguments)
    yield served
    code, out, err = served.stop()
    assert (code, out) == (130, "") and "Traceback" not in err, err


@pytest.fixture
def face(inputs: Path) -> np.ndarray:
    """The drawn face, uint8 [48, 48]."""
    return np.asarray(PIL.Image.open(inputs / "face.png"))
