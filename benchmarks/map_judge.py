"""What the judge of label maps says of real faces and people in every known order, off by one, multiplied, turned and mirrored.

    python benchmarks/map_judge.py FACES PEOPLE [--every N] [--processes N]

FACES: a folder of CelebAMask-HQ maps, PEOPLE: one of ATR maps. Each map is given the other orders by the names of its
classes. Prints a Markdown table: how often the judge was right, silent and wrong; and how many of the rules hold of right
maps (also of tilted ones and profiles) and of maps in orders that nobody knows. About five minutes for 2,000 maps on one core.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image

from zoo.files.mapguess import FACES, PEOPLE, SUBJECTS, Subject, readings
from zoo.files.mapjudge import inspected, judge
from zoo.files.mapkinds import factor_of
from zoo.labels import LabelSpace
from zoo.registry import label_space

SIDE = 160
"""About the shorter side, in pixels, at which maps are looked at."""
Change = Callable[[np.ndarray, int], np.ndarray]
SHIFTS: dict[str, tuple[int, Change]] = {
    "+1": (1, lambda v, n: v + 1),
    "-1, background 255": (-1, lambda v, n: np.where(v == 0, 255, v - 1)),
    "-1, background 0": (-1, lambda v, n: np.maximum(v - 1, 0)),
    "-1, background last": (-1, lambda v, n: np.where(v == 0, n - 1, v - 1)),
}
TURNS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "mirrored": (0, lambda v: v[:, ::-1]),
    "a quarter to the left": (3, lambda v: np.rot90(v)),
    "a quarter to the right": (1, lambda v: np.rot90(v, 3)),
    "upside down": (2, lambda v: np.rot90(v, 2)),
    "top to bottom": (2, lambda v: v[::-1]),
    "tilted by 15 degrees": (0, lambda v: tilted(v, 15)),
    "tilted by 30 degrees": (0, lambda v: tilted(v, -30)),
    "tilted by 45 degrees": (0, lambda v: tilted(v, 45)),
}


def tilted(values: np.ndarray, degrees: float) -> np.ndarray:
    """The map turned about its middle, the corners background."""
    return np.asarray(PIL.Image.fromarray(np.ascontiguousarray(values).astype(np.uint8)).rotate(degrees)).astype(
        np.int64
    )


def variants(values: np.ndarray, space: LabelSpace) -> dict[str, tuple[int, int, np.ndarray]]:
    """What is done to a map: by name the offset, the turn that undoes it, and the numbers."""
    found = {"as it is": (0, 0, values), "x 13": (0, 0, values * 13)}
    found |= {name: (offset, 0, change(values, len(space))) for name, (offset, change) in SHIFTS.items()}
    return found | {name: (0, back, change(values)) for name, (back, change) in TURNS.items()}


@dataclass
class Counts:
    """What some maps gave."""

    maps: int = 0
    asked: int = 0
    refused: int = 0
    warned: int = 0
    tally: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    shares: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, other: Counts) -> None:
        """Take in the counts of other maps."""
        self.maps, self.asked = self.maps + other.maps, self.asked + other.asked
        self.refused, self.warned = self.refused + other.refused, self.warned + other.warned
        for name, counts in other.tally.items():
            self.tally[name].update(counts)
        for name, shares in other.shares.items():
            self.shares[name] += shares


def count(paths: Sequence[Path], kind: int) -> Counts:
    """Look at maps of the subject SUBJECTS[kind]. The first of its orders is that of the files."""
    subject = SUBJECTS[kind]
    spaces, known = [label_space(n) for n in subject.orders], [label_space(n) for n in (*FACES, *PEOPLE)]
    own, found, rng = spaces[0], Counts(len(paths)), np.random.default_rng(0)
    for path in paths:
        labels = np.asarray(PIL.Image.open(path)).astype(np.int64)
        step = max(1, min(labels.shape) // SIDE)
        labels = labels[::step, ::step]
        for space in spaces:
            mapped = np.array(own.mapping_to(space).table)[labels]
            for name, (offset, turn, values) in variants(mapped, space).items():
                factor = factor_of(values) or 1
                if (factor == 13) != (name == "x 13"):
                    found.tally[name]["wrong" if factor > 1 else "silent"] += 1
                    continue
                guess = inspected(values // factor, known)
                right = guess is not None and space.name in (guess.space, *guess.also)
                right = right and guess is not None and (guess.offset, guess.turn) == (offset, turn)
                found.tally[name]["silent" if guess is None else "right" if right else "wrong"] += 1
                share = share_of(values, space, subject) if offset == 0 and factor == 1 else None
                if share is not None:
                    found.shares[name].append(share)
                    if name == "as it is" and "nose" in space.names and one_sided(mapped, space):
                        found.shares["profiles (one eye or brow)"].append(share)
            verdict = judge(mapped, space, known)
            found.asked += 1
            found.refused += verdict is not None and verdict.refused
            found.warned += verdict is not None and not verdict.refused
        for table in strange(own, rng):
            share = share_of(table[labels], own, subject)
            if share is not None:
                found.shares["in no known order"].append(share)
    return found


def measure(paths: Sequence[Path], kind: int, processes: int) -> None:
    """Print the tables of the subject SUBJECTS[kind]."""
    subject, found = SUBJECTS[kind], Counts()
    with ProcessPoolExecutor(processes) as pool:
        for part in pool.map(count, [paths[i::processes] for i in range(processes)], [kind] * processes):
            found.add(part)
    print(f"\n{found.maps} maps in {len(subject.orders)} orders ({', '.join(subject.orders)})\n")
    print("| done to it | right | silent | wrong |\n|---|---:|---:|---:|")
    for name, counts in found.tally.items():
        print(f"| {name} | {counts['right']} | {counts['silent']} | {counts['wrong']} |")
    print(f"\nRight maps asked of their own order: {found.asked}, refused {found.refused}, warned of {found.warned}.")
    print(f"\n| maps | rules hold: least, median, most | below {subject.few} |\n|---|---:|---:|")
    for name, shares in found.shares.items():
        low, middle, high = np.quantile(shares, (0, 0.5, 1))
        print(
            f"| {name} | {low:.2f}, {middle:.2f}, {high:.2f} | {sum(s < subject.few for s in shares)} of {len(shares)} |"
        )


def share_of(values: np.ndarray, space: LabelSpace, subject: Subject) -> float | None:
    """The share of the rules that hold of a map as it stands in a space; None where too few can be asked."""
    reading = next((r for r in readings(values, [space], turns=False) if not r.offset), None)
    return None if reading is None or reading.asked < subject.asked else reading.share


def one_sided(values: np.ndarray, space: LabelSpace) -> bool:
    """True of a face that shows one eye or one brow only."""
    shown = [int((values == space.index(name)).any()) for name in ("l_eye", "r_eye", "l_brow", "r_brow")]
    return sum(shown[:2]) == 1 or sum(shown[2:]) == 1


def strange(space: LabelSpace, rng: np.random.Generator) -> list[np.ndarray]:
    """Tables to orders that nobody knows: by name, by name behind the background (labelme), by chance."""
    by_name, behind = sorted(space.names), sorted(space.names[1:])
    return [
        np.array([by_name.index(n) for n in space.names]),
        np.array([0, *(1 + behind.index(n) for n in space.names[1:])]),
        rng.permutation(len(space)),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("people", type=Path)
    parser.add_argument("--every", type=int, default=1, help="every how many-th map [default: 1]")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    for i, folder in enumerate((options.faces, options.people)):
        measure(sorted(folder.glob("*.png"))[:: options.every], i, options.processes)
