"""How faces are framed in a data set, by the detector of `--frame auto` (extra `faces`): where its landmarks lie, and the frames it gives.

    python benchmarks/framing.py --data celebamask-hq:DIR#train [--limit 100]

A photo of the set is itself the frame that is wanted. Prints one JSON document: faces found, the median of each landmark and its spread as
shares of the side (the medians are `zoo.files.faces.POINTS`), and quantiles of the frames' side, angle and middle.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from zoo.data.specs import open_data
from zoo.files.faces import find_faces

SHARES = (1, 5, 25, 50, 75, 95, 99)


def measured(data: str, limit: int | None, side: int = 512) -> dict[str, object]:
    """The document. side: at which the photos are searched."""
    pairs = open_data(data, resolution=side)
    count = len(pairs) if limit is None else min(limit, len(pairs))
    faces = []
    for i in range(count):
        photo = pairs.pair(i, (side, side))[0]
        if photo is not None and (found := find_faces(photo, turned=False)):
            faces.append(found[0])
    frames = np.array([[f.frame.side / side, f.frame.angle, *(c / side for c in f.frame.centre)] for f in faces])
    points = np.array([f.points for f in faces]) / side
    columns = zip(("side", "angle", "middle_x", "middle_y"), frames.T, strict=True)
    return {
        "data": data,
        "photos": count,
        "found": len(faces),
        "landmarks": {"median": np.median(points, 0).round(4).tolist(), "std": points.std(0).round(4).tolist()},
        "frames": {
            name: dict(zip(map(str, SHARES), np.percentile(v, SHARES).round(3).tolist(), strict=True))
            for name, v in columns
        },
    }


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--limit", type=int, help="the first photos only")
    given = arguments.parse_args(argv)
    print(json.dumps(measured(given.data, given.limit), indent=2))


if __name__ == "__main__":
    main()
