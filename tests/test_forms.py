"""`dtype` and `compile` of a composition: asked for, kept in the manifest, followed by replay; never left out without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
import torch._dynamo
from fixtures_models import Ran

from zoo.composition import compose, models
from zoo.errors import DataError, UsageError
from zoo.inference.forms import check_form, form_of, form_to_json
from zoo.inference.optimize import RECOMPILATIONS, _allow_recompiling, _float32, _telling
from zoo.style import Style

Run = Callable[..., Ran]


@pytest.mark.parametrize(("dtype", "compile"), [("float32", False), ("bf16", False), ("float32", True), ("bf16", True)])
def test_a_form_survives_its_manifest(dtype: str, compile: bool) -> None:
    kept = json.loads(json.dumps(form_to_json(dtype, compile)))
    assert form_of(kept) == {"dtype": dtype, "compile": compile}
    assert (kept == {}) == (dtype == "float32" and not compile)  # older manifests have neither


@pytest.mark.parametrize(
    "kept", [{"dtype": "bf17"}, {"dtype": 1}, {"dtype": None}, {"dtype": []}, {"compile": "yes"}, {"compile": 1}]
)
def test_a_damaged_form_is_refused(kept: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="it is damaged"):
        form_of(kept)


@pytest.mark.parametrize(
    ("form", "told"),
    [({"dtype": "fp16"}, "dtype is float32 or bf16, got 'fp16'"), ({"compile": 1}, "compile takes True or False")],
)
def test_an_unknown_form_is_told_before_loading(form: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        compose("mask-vae+scgan", **form)


def test_compiling_without_a_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    check_form("float32", False)
    with pytest.raises(
        UsageError, match=r"needs a C\+\+ compiler, and there is none here \(looked for g\+\+, clang\+\+, c\+\+\)"
    ):
        check_form("float32", True)
    monkeypatch.setenv("CXX", "mycc -O2")
    with pytest.raises(UsageError, match=r"looked for mycc\)"):
        check_form("float32", True)


def test_what_the_compiler_refuses_is_one_line_and_other_errors_pass() -> None:
    refused = type("BackendCompilerFailed", (RuntimeError,), {"__module__": "torch._dynamo.exc"})

    def call(error: Exception) -> None:
        raise error

    with pytest.raises(UsageError, match=r"compile failed \(BackendCompilerFailed: no header\): leave compile out"):
        _telling(call)(refused("no header\nand a long story"))
    with pytest.raises(ValueError, match="mine"):
        _telling(call)(ValueError("mine"))


def test_what_leaves_a_model_in_bf16_is_float32() -> None:
    half = torch.ones(2, 3, dtype=torch.bfloat16)
    style = Style({"z": half}, {"z": ("sample", "channel")})
    numbers = torch.arange(3)
    assert (
        _float32(half).dtype
        == _float32(style).tensors["z"].dtype
        == _float32({"mu": half})["mu"].dtype
        == torch.float32
    )
    assert _float32(numbers) is numbers


def test_the_options_reach_the_models(
    monkeypatch: pytest.MonkeyPatch, run: Run, pair: tuple[str, str], tmp_path: Path
) -> None:
    seen: list[tuple[torch.dtype | None, bool]] = []
    plain = models.optimize

    def noting(model: Any, *, dtype: torch.dtype | None = None, compile: bool = False, in_place: bool = False) -> Any:
        seen.append((dtype, compile))
        return plain(model)

    monkeypatch.setattr(models, "optimize", noting)
    command = ("compose", "+".join(pair), "--seed", "1", "--device", "cpu", "--out", tmp_path / "a")
    assert run(*command, "-n", "1", "--dtype", "bf16", "--compile").code == 0
    assert seen == [(torch.bfloat16, True)] * 2
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest["dtype"] == "bf16" and manifest["compile"] is True
    assert run("replay", tmp_path / "a").code == 0
    assert seen == [(torch.bfloat16, True)] * 4  # as it was made
    other = run(*command, "-n", "1")
    assert (
        other.code == 2 and "it differs in compile, dtype" in other.err
    )  # a run goes on in the form in which it began


def test_bfloat16_changes_little(pair: tuple[str, str]) -> None:
    results = [compose(pair, device="cpu", dtype=dtype)(n=1, seed=0) for dtype in ("float32", "bf16")]
    images = [result.images for result in results]
    assert images[0] is not None and images[1] is not None and images[1].dtype == torch.float32
    assert not torch.equal(images[0], images[1])
    assert float((images[0] - images[1]).abs().mean()) < 0.1


def test_the_compiler_never_goes_back_to_the_plain_form() -> None:
    with patch.multiple(torch._dynamo.config, recompile_limit=8, fail_on_recompile_limit_hit=False):
        _allow_recompiling()
        assert torch._dynamo.config.recompile_limit == RECOMPILATIONS
        assert torch._dynamo.config.fail_on_recompile_limit_hit is True
