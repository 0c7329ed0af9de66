"""Measures the embedded models again, each by the `zoo eval` command that stands in its card, and writes the figures there.

    python benchmarks/cards.py celebamask-hq=DIR ccp=DIR [--only mask-vae-celeba …] [--without clvae-celeba …] [--results FOLDER] [--keep]

The command is that of the section "Measured"; DIR in it becomes the place given here. What was measured lies in the folder of results, so
that an interrupted run goes on. `--keep` leaves the cards as they are. Prints the processor's seconds of each model and of all.
"""

from __future__ import annotations

import argparse
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from zoo.cards import Card, all_cards
from zoo.evaluation.carding import HEADING


def words_of(card: Card, places: Mapping[str, str]) -> list[str] | None:
    """The arguments of a card's command after `zoo`, with the data at their place here; None for a card without one, or a place that is not
    known."""
    section = card.body.partition(f"{HEADING}\n")[2]
    found = re.search(r"^zoo (eval .*--data '?([\w-]+):DIR.*)$", section, re.MULTILINE)
    if found is None or found[2] not in places:
        return None
    return [word.replace(f"{found[2]}:DIR", f"{found[2]}:{places[found[2]]}") for word in shlex.split(found[1])]


def measured(words: list[str], out: Path, write: bool) -> tuple[int, float]:
    """Run the command; its exit status, and the processor's seconds that it took."""
    command = [
        sys.executable,
        "-m",
        "zoo",
        *words,
        "--device",
        "cpu",
        "--out",
        str(out),
        *(["--card"] if write else []),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return status, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(argv: list[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("places", nargs="+", metavar="NAME=DIR", help="where each data set lies")
    arguments.add_argument("--only", nargs="+", default=[], metavar="MODEL")
    arguments.add_argument("--without", nargs="+", default=[], metavar="MODEL")
    arguments.add_argument("--results", type=Path, default=Path("card-results"))
    arguments.add_argument("--keep", action="store_true", help="measure alone, the cards stay as they are")
    given = arguments.parse_args(argv)
    places = dict(place.split("=", 1) for place in given.places if "=" in place)
    given.results.mkdir(parents=True, exist_ok=True)
    total, failed = 0.0, list[str]()
    for model, card in all_cards().items():
        if not card.embedded or model in given.without or (given.only and model not in given.only):
            continue
        words = words_of(card, places)
        if words is None:
            print(f"{model}: left out, its card has no command on data of {', '.join(places) or 'none'}")
            continue
        status, seconds = measured(words, given.results / f"{model}.json", not given.keep)
        total += seconds
        failed += [model] if status else []
        print(f"{model}: {seconds:.0f} s" + (f", failed with {status}" if status else ""), flush=True)
    print(f"all: {total:.0f} s" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
