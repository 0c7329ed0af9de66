"""Rewrites the tables of `benchmarks/REPRODUCED.md` from what `zoo reproduce --out DIR` left.

    python benchmarks/reproduced.py DIR [DIR ...] [--into benchmarks/REPRODUCED.md]

Each DIR/PLUGIN-TABLE/README.md becomes a section: the command (paths as DIR), the table, what decides a run, the claims. Of what differs
from the paper the rest stays in the file that the command wrote. The text before the first section is kept.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

PATH = Path(__file__).parent / "REPRODUCED.md"
KEPT = ("Data: ", "Training: ", "Networks: ", "Seeds: ", "Maps become ")
"""Beginnings of the differences that decide a run."""
PLACES = {"celebamask-hq": "DIR", "ccp": "PEOPLE"}
CLAIMS = ("What the paper claims, in our run:", "Claims of the paper")


def section(text: str) -> str:
    """The section of one table, of the README.md beside its results. Raises ValueError for another file."""
    head = re.match(r"# (?P<table>\S+)\n", text)
    command = re.search(r"^    (zoo\b.*)$", text, re.MULTILINE)
    if head is None or command is None:
        raise ValueError("no README.md of zoo reproduce: it begins with no '# PLUGIN/TABLE' and its command")
    asked = re.sub(r" --out \S+", "", command[1])
    for data, place in PLACES.items():
        asked = re.sub(rf"(--data {data}):\S+", rf"\1:{place}", asked)
    title = head["table"] + (", people" if "--data ccp" in asked and "--data celebamask-hq" not in asked else "")
    parts = [f"## {title}", f"    {asked}"]
    for named, body in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
        table, _, rest = body.partition("The two columns of a metric are not of one protocol.")
        differences, _, claims = rest.partition(CLAIMS[0])
        kept = [line for line in differences.splitlines() if line.startswith(tuple(f"- {k}" for k in KEPT))]
        parts += [f"**{named}**", table.strip()]
        parts.append("The two columns of a metric are not of one protocol (the command prints all that differs).")
        parts += ["\n".join(kept), counted(claims)]
    return "\n\n".join(parts)


def counted(claims: str) -> str:
    """The claims' lines under a line that counts their verdicts."""
    lines = [line for line in claims.splitlines() if line.startswith("- ")]
    judged = {v: sum(f"**{v}**" in line for line in lines) for v in ("agrees", "disagrees", "open")}
    head = (
        f"{CLAIMS[1]}: {judged['agrees']} agree, {judged['disagrees']} disagree, {judged['open']} open"
        " (the interval over seeds holds both)."
    )
    return head + "\n\n" + "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--into", type=Path, default=PATH)
    asked = parser.parse_args()
    found = [
        p
        for folder in asked.folders
        for p in sorted(folder.glob("*/README.md"))
        if (p.parent / "results.json").is_file()
    ]
    if not found:
        parser.error(f"no PLUGIN-TABLE/README.md in {', '.join(map(str, asked.folders))}: give zoo reproduce's --out")
    intro = asked.into.read_text("utf-8").split("\n## ")[0].rstrip()
    sections = [section(path.read_text("utf-8")) for path in found]
    asked.into.write_text("\n\n".join([intro, *sections]) + "\n", encoding="utf-8")
    print(f"{asked.into}: {len(sections)} tables")


if __name__ == "__main__":
    main()
