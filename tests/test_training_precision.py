"""`precision=auto`: bf16 where the device multiplies it, else fp32; settled when a run begins, kept when it is resumed."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from test_training_cli import TRAIN, zoo

from zoo.inference.processors import multiplies_bf16
from zoo.registry import registry
from zoo.training import session

pytestmark = pytest.mark.usefixtures("one_thread")

BRIEF = [*TRAIN, "--set", "steps=1", "--set", "validate_every=0", "--set", "preview_every=0"]


def precision(run: Path) -> str:
    return json.loads((run / "options.json").read_text())["training"]["precision"]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="flags of an x86 processor")
def test_the_processor_is_asked_for_its_instructions() -> None:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if not flags:
        pytest.skip("no /proc/cpuinfo")
    assert multiplies_bf16("cpu") == any(flag in flags.split() for flag in ("avx512_bf16", "amx_bf16"))


@pytest.mark.parametrize(("fast", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_settled_at_the_beginning_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool, expected: str
) -> None:
    monkeypatch.setattr(session, "multiplies_bf16", lambda device: fast)
    run = tmp_path / "run"
    assert zoo(*BRIEF, "--set", "precision=auto", "--out", run) == 0
    assert precision(run) == expected
    monkeypatch.setattr(session, "multiplies_bf16", lambda device: not fast)  # resumed on another machine
    if fast:
        with pytest.warns(UserWarning, match="no instructions for bfloat16"):
            assert zoo("train", "--resume", run, "--set", "steps=2", "--device", "cpu") == 0
    else:
        assert zoo("train", "--resume", run, "--set", "steps=2", "--device", "cpu") == 0
    assert precision(run) == expected


def test_variants_for_a_laptop_leave_it_to_the_machine() -> None:
    """Nothing that a stranger trains first may insist on bf16; what the authors train in half precision does."""
    insisting = {
        f"{name}/{variant_name}"
        for name, arch in registry().architectures.items()
        for variant_name, variant in registry().load(arch, "variants").items()
        if getattr(variant.training, "precision", None) == "bf16" and "for a CPU" in variant.title
    }
    assert not insisting
