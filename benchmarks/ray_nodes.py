"""A Ray cluster of several nodes on this machine, on 127.0.0.1 alone: python -m benchmarks.ray_nodes --nodes 2 --cpus 2.

Prints one JSON line, {"address": HOST:PORT, "raylets": [process of each node]}, and ends with its standard input, the cluster with it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
"""Ray puts the machine's outward address for 127.0.0.1 without the first; nobody else reaches it, so it needs no token."""


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
        print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)
        sys.stdin.read()
        cluster.shutdown()


if __name__ == "__main__":
    main()
