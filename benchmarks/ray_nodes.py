"""A Ray cluster of several nodes on this machine, on 127.0.0.1 alone: python -m benchmarks.ray_nodes --nodes 2 --cpus 2.

Prints one JSON line, {"address": HOST:PORT, "raylets": [process of each node], "place": RAY_TMPDIR of theirs}, and ends with its standard
input, the cluster with it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
"""Ray puts the machine's outward address for 127.0.0.1 without the first; nobody else reaches it, so it needs no token."""


@contextmanager
def cluster(nodes: int = 2, cpus: int = 2) -> Iterator[dict[str, Any]]:
    """Such a cluster while the block lasts, in a process of its own: what that prints, and the `environment` of its drivers."""
    command = [sys.executable, "-m", "benchmarks.ray_nodes", "--nodes", str(nodes), "--cpus", str(cpus)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield {**json.loads(process.stdout.readline()), "environment": {**os.environ, **ENVIRONMENT}}
        finally:
            process.stdin.close()
            process.wait()


def workers(raylets: Collection[int], *, at_work: bool = False) -> list[int]:
    """Processes of the zoo's actors on these nodes; at_work: those that are making a shard. Linux alone."""
    wanted = b"ray::ShardWorker.make" if at_work else b"ray::ShardWorker"
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            title = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        if title.startswith(wanted) and parent in raylets:
            found.append(int(entry.name))
    return found


def main() -> None:
    """Start, tell, wait."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--cpus", type=int, default=2, help="of each node, as its scheduler counts them")
    parser.add_argument("--gpus", type=int, default=0, help="of each node, which need not be there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as place:
        os.environ.update(ENVIRONMENT, RAY_TMPDIR=place)  # before Ray is imported
        from ray.cluster_utils import Cluster

        options = {
            "num_cpus": asked.cpus,
            "num_gpus": asked.gpus,
            "object_store_memory": 80 << 20,
            "include_dashboard": False,
        }
        Path(place, "ray").mkdir()  # where the address is written, which a first node takes for granted
        cluster = Cluster()
        nodes = [cluster.add_node(**options) for _ in range(asked.nodes)]
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
        print(json.dumps({"address": cluster.address, "raylets": raylets, "place": place}), flush=True)
        sys.stdin.read()
        cluster.shutdown()


if __name__ == "__main__":
    main()
