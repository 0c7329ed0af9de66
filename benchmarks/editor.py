"""From a stroke to its picture, over a real server: `python benchmarks/editor.py [--strokes N] [MODEL…]`.

Starts `zoo ui` as a user does, draws a layout, paints strokes across it, and asks for a picture after each. Wall time is the page's: from the
request to the decoded answer. CPU time is the server's, user and system, of all its threads (Linux): what the wall time is on cores
that nobody else uses, where one thread computes.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image

MODELS = ("scgan-celeba", "clvae-celeba", "sean-celeba", "spade-celeba", "oasis-celeba")
LABELS = ("skin", "hair", "nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip", "neck", "cloth")
HAIR = 13


def cpu_seconds(pid: int) -> float:
    """User and system time of a process; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/api/run", json=job)
    last = httpx.Response(200, content=answer.text.splitlines()[-1]).json()
    return last["result"]


def strokes(labels: np.ndarray, count: int) -> list[np.ndarray]:
    """The layout after each of so many strokes of the hair, six pixels wide, one below the other."""
    found = []
    height, width = labels.shape
    for i in range(count):
        labels = labels.copy()
        top = height // 6 + (i * 5) % (height // 2)
        labels[top : top + 6, width // 6 : width // 2] = HAIR
        found.append(labels)
    return found


def measure(client: httpx.Client, pid: int, name: str, labels: np.ndarray, count: int) -> None:
    facts = client.get("/api/facts").json()
    model = next(m for m in facts["synthesizers"] if m["id"] == name)
    base = {"kind": "seed", "seed": 1} if "style:prior" in model["can"] else {"kind": "mean"}
    wall, cpu = [], []
    for painted in strokes(labels, count + 2):
        entry = {
            "width": 128,
            "height": 128,
            "space": "celebamask-hq",
            "labels": base64.b64encode(painted.tobytes()).decode(),
        }
        job = {
            "kind": "render",
            "synthesizer": name,
            "map": entry,
            "style": {"base": base, "parts": [], "mix": None},
            "seed": 0,
        }
        began, used = time.perf_counter(), cpu_seconds(pid)
        made = ask(client, job)
        PIL.Image.open(io.BytesIO(base64.b64decode(made["image"]))).load()
        wall.append(time.perf_counter() - began)
        cpu.append(cpu_seconds(pid) - used)
    wall, cpu = wall[2:], cpu[2:]  # the first loads the model, the second has memory still to find
    print(
        f"{name}: wall {statistics.median(wall):.3f} s (fastest {min(wall):.3f}), server's CPU {statistics.mean(cpu):.3f} s a stroke"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--strokes", type=int, default=15)
    given = parser.parse_args()
    env = {**os.environ, "ZOO_UI_TOKEN": "benchmark-benchmark"}
    command = [sys.executable, "-m", "zoo", "ui", "--no-browser", "--port", "0", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as server:
        assert server.stdout is not None
        url = server.stdout.readline().partition("?")[0].strip()
        headers = {"Authorization": "Bearer benchmark-benchmark", "X-Zoo-Session": "benchmark"}
        with httpx.Client(base_url=url, headers=headers, timeout=600, trust_env=False) as client:
            drawn = ask(
                client, {"kind": "generate", "generator": "mask-vae-celeba", "labels": list(LABELS), "seed": 3, "n": 1}
            )
            labels = np.frombuffer(base64.b64decode(drawn["maps"][0]["labels"]), np.uint8).reshape(128, 128)
            for name in given.models:
                measure(client, server.pid, name, labels, given.strokes)
        server.terminate()


if __name__ == "__main__":
    main()
