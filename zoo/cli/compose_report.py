"""What a user should know of a finished run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.cli.show import say

if TYPE_CHECKING:
    from zoo.composition.folder.outputs import OutputFolder

TOLD_SETS = 8


def report(output: OutputFolder) -> None:
    """Tell what its summary holds."""
    summary = output.manifest.get("summary", {})
    say(f"{output.done} samples, seed {output.manifest['request']['seed']}")
    missed = {n: c for n, c in summary.get("requested", {}).items() if c["appeared"] < c["asked"]}
    if missed:
        say(
            "Asked for and empty: "
            + ", ".join(f"{n} in {c['asked'] - c['appeared']} of {c['asked']}" for n, c in missed.items())
        )
    if summary.get("dropped"):
        say(f"Without a counterpart, became background: {_counts(summary['dropped'])}")
    if "label_sets" in summary:
        say(_label_sets(summary["label_sets"]))
    if "balance" in summary:
        say(_balance(summary["balance"]))
    if "reject_empty" in summary:
        say(_rejected(summary["reject_empty"]))
    if "require" in summary:
        say(_required(summary["require"], output.manifest["request"]))
    for note in summary.get("notes", ()):
        say(note)
    if summary.get("style_from_prior"):
        say(f"Not in the style's photo or file, taken from the prior: {_counts(summary['style_from_prior'])}")
    if "style_change" in summary:
        say(_style_change(summary["style_change"]))
    if "changed_outside_edits" in summary:
        changed = summary["changed_outside_edits"]
        kept = output.manifest["request"]["keep_rest"]
        hint = " and were put back" if kept else " (--keep-rest puts the old ones back)"
        say(f"Outside the edited classes {changed:.2%} of the pixels changed{hint if changed else ''}.")


def _counts(samples: dict[str, int]) -> str:
    """In how many samples each class is meant."""
    return ", ".join(f"{name} in {count}" for name, count in samples.items())


def _label_sets(sets: list[dict[str, Any]]) -> str:
    """How often each label set was drawn and came out, the most frequent first."""
    told = [
        f"{','.join(s['labels'])} in {s['asked']}"
        + ("" if s["complete"] is None else f" (complete in {s['complete']})")
        for s in sets[:TOLD_SETS]
    ]
    more = f"; and {len(sets) - TOLD_SETS} other sets" if len(sets) > TOLD_SETS else ""
    return f"Label sets: {'; '.join(told)}{more}."


def _balance(balance: dict[str, Any]) -> str:
    """The shares of classes as they were wanted, asked for and came out."""
    told = [
        f"{name} wanted in {share['wanted']:.1%}, asked for in {share['asked']:.1%}"
        + ("" if share["got"] is None else f", shown by {share['got']:.1%}")
        for name, share in balance.items()
    ]
    return f"Shares of samples: {'; '.join(told)}."


def _rejected(rejected: dict[str, Any]) -> str:
    """What it took to get the classes that were asked for."""
    if not rejected["redrawn"] and not rejected["exhausted"]:
        return "No class came out empty."
    text = f"Drawn anew for classes that came out empty: {rejected['redrawn']} samples, {rejected['draws']} draws, at most {rejected['most']} of one"
    if not rejected["exhausted"]:
        return f"{text}; every map shows what was asked for."
    return (
        f"{text}; still lacking a class: {rejected['exhausted']} (these samples stay; `exhausted` in metadata.jsonl names them,"
        " --reject-empty=K draws more often)."
    )


def _required(require: dict[str, Any], request: dict[str, Any]) -> str:
    """What it took to get the required classes."""
    names = ", ".join(request["require"])
    text = f"Drawn again for {names}: {require['drawn_again']} samples, {require['draws']} draws in all, at most {require['most']} of one"
    if not require["missing"]:
        return f"{text}; every map shows them."
    lacks = ", ".join(f"{n} in {c}" for n, c in require["missing"].items())
    return f"{text}; still missing: {lacks} (these samples stay; `missing` in metadata.jsonl names them, --tries N draws more often)."


def _style_change(change: dict[str, Any]) -> str:
    """How far the styles of single classes reached, in a sentence."""
    names = ", ".join(change["classes"])
    if change["inside"] is None:
        return f"No map shows {names}: its style changed nothing."
    if change["inside"] == 0:
        return (
            f"The style of {names} changed nothing: it is what {names} would have had anyway. Give the rest a style that stays,"
            " for example --style seed:1 before it."
        )
    text = f"The style of {names} changed its pixels by {change['inside']:.4f} on average (1 is black to white)"
    if change["outside"] is None:
        return f"{text}; nothing lies farther than {change['reach']} pixels from it."
    share = "" if change["ratio"] is None else f", {change['ratio']:.2f} of that"
    return f"{text}; what lies farther than {change['reach']} pixels from it, by {change['outside']:.4f}{share}."
