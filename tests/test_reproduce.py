"""`zoo reproduce`: tables of papers as plugins declare them, trained, measured, and set beside the paper's figures and claims."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from thirdparty import write_plugin

from zoo import configs
from zoo.data.specs import parse_spec
from zoo.errors import ConfigError, UsageError
from zoo.evaluation.reproduction import reproduce as reproduce_module
from zoo.evaluation.reproduction.document import document_of
from zoo.evaluation.reproduction.figures import compare, concordance, judge, over_seeds
from zoo.evaluation.reproduction.measuring import figure
from zoo.evaluation.reproduction.report import markdown
from zoo.evaluation.reproduction.request import (
    Budget,
    ReproduceRequest,
    chosen_rows,
    matched_data,
    table_named,
    table_names,
)
from zoo.evaluation.reproduction.runs import planned
from zoo.interfaces.tables import Claim, Column, Row, Table, TableData
from zoo.maps import SemanticMap
from zoo.nn.spectral import recompute_spectral
from zoo.registry import label_space, registry, reset

pytestmark = pytest.mark.usefixtures("one_thread")
Run = Callable[..., Ran]
DATA = "toy-faces:12"
NUMBERS = {"mask-vae": (1,), "segvae": (1, 2, 3), "scgan": (1, 3, 4, 5, 6, 7), "clvae": (1, 2, 3, 4, 5)}
TABLES = [f"{plugin}/table{n}" for plugin, numbers in NUMBERS.items() for n in numbers]

PLUGIN = '''
"""A table and a metric of a third party, in one file."""

from zoo.plugin import Claim, Column, Measured, Metric, Plugin, Row, Table, TableData

def measure(evidence):
    sizes = [p.numel() for p in evidence.model.parameters()]
    return Measured({"millions": sum(sizes) / 1e6, "pairs": {"mean": float(len(evidence.indices)), "low": None, "high": None}})

SIZE = Metric("how large a generator is", ("generator",), measure)
SMALL = {
    "latent": 16, "encoder_side": 16, "encoder_widths": (16,), "decoder_width": 8, "decoder_widths": (8, 8), "groups": 4, "batch_size": 2,
}

def row(title, layers, figure):
    return Row(title, {"celebamask-hq": "mask-vae/celeba"}, {"lstm_layers": layers}, paper={"celebamask-hq": {"size": figure, "more": 1.0}})

TABLE = Table(
    "Table 1: how large", "A Paper (2030)",
    data=(TableData("celebamask-hq", "CelebAMask-HQ", paper="all of it"),),
    columns=(
        Column("size", "Size", "thirds-size", "nowhere|millions", "higher", protocol="weighed by hand", difference="counted", scale=1000),
        Column("more", "More", "thirds-absent", "mean", "lower"),
    ),
    rows=(row("none", 0, 4.0), row("one", 1, 5.0)),
    claims=(Claim("one is larger", "size", "one"), Claim("none is larger", "size", "none"), Claim("one has less", "more", "one")),
    small={"mask-vae": SMALL},
    training="a night",
)
plugin = Plugin(metrics={"thirds-size": "table_plugin:SIZE"}, tables={"table-1": "table_plugin:TABLE"})
'''
NAME = "table-plugin-entry/table-1"


@pytest.fixture
def third_party(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The plugin as pip would have installed it, found by this process."""
    site = tmp_path_factory.mktemp("site")
    write_plugin(site, "table-plugin", PLUGIN)
    monkeypatch.syspath_prepend(str(site))
    reset()
    yield
    sys.modules.pop("table_plugin", None)
    reset()


def asked(out: Path, **more: Any) -> ReproduceRequest:
    return ReproduceRequest(NAME, Budget(steps=2), **{"data": (DATA,), "out": out, "size": "small", **more})


# --- the declarations of the zoo --------------------------------------------------------------------------------------


def test_all_tables_of_the_papers_are_there() -> None:
    assert set(table_names()) == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_every_row_can_be_planned_in_both_sizes(name: str, tmp_path: Path) -> None:
    full, table = table_named(name)
    for size in ("official", "small"):
        request = ReproduceRequest(full, Budget(steps=7), out=tmp_path, size=size)
        for row in table.rows:
            for need in table.data:
                if need.name in row.systems:
                    plan = planned(table, row, need, parse_spec("toy-faces:4"), request)
                    assert plan.training.steps == 7 and plan.training.publish == "last"
                    chosen = {**vars(plan.config), **vars(plan.training)}
                    assert all(chosen[k.rpartition(".")[2]] == v for k, v in row.changes.items())


def test_the_rows_conv_have_the_papers_number_of_parameters() -> None:
    """ "66.2M vs 67.3M (Conv+BN)" is the only thing that the paper says of the size of these rows."""
    _, table = table_named("scgan/table3")
    found = {}
    request = ReproduceRequest("scgan/table3", Budget(steps=1))
    for row in (table.row("SCC+SCN"), table.row("Conv+BN")):
        plan = planned(table, row, table.data[0], parse_spec("toy-faces:4"), request)
        with torch.device("meta"):
            model = registry().load(registry().architecture("scgan"), "model")(plan.config, label_space("cityscapes"))
        found[row.title] = sum(p.numel() for p in model.parameters())
    assert found["SCC+SCN"] == 66_203_462 and round(found["Conv+BN"] / 1e6, 1) == 67.3


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "spectralconvsyncbatch3x3"},
        {"norm": "spectralconvsccsyncbatch3x3"},
        {"weight_type": "tanh"},
        {"weight_type": "relu"},
    ],
)
def test_forms_of_ablations_equal_their_plain_networks(changes: dict[str, str]) -> None:
    """Inference forms of what no official config has."""
    from zoo.inference.optimize import optimize

    config = configs.override(
        registry().load(registry().architecture("scgan"), "variants")["cityscapes"].config,
        {
            "resolution": 64,
            "aspect_ratio": 1.0,
            "upsampling": "normal",
            "ngf": 2,
            "nff": 2,
            "nrf": 4,
            "spade_hidden": 4,
            **changes,
        },
    )
    space = label_space("celebamask-hq")
    torch.manual_seed(0)
    model = registry().load(registry().architecture("scgan"), "model")(config, space).eval()
    maps = SemanticMap(torch.arange(64).expand(1, 64, 64) // 4, space)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("table"):
                parameter.normal_(0, 0.3)
        model.generator.conv_img.weight.mul_(300)
        recompute_spectral(model)
        plain, fast = (m.synthesize(m.layout(maps)) for m in (model, optimize(model)))
    assert float(plain.std()) > 1e-3 and float((plain - fast).abs().max()) < 1e-5


def test_names_that_do_not_fit_are_told_together() -> None:
    with pytest.raises(ConfigError) as error:
        Table(
            "T", "P", data=(TableData("a", "A"),), columns=(Column("x", "X", "m", "s", "higher"),),
            rows=(Row("r", {"b": "arch"}, paper={"a": {"y": 1.0}}),), claims=(Claim("c", "x", "q"),),
        )  # fmt: skip
    told = str(error.value)
    assert "row 'r' names the data set 'b'" in told and "column 'y'" in told and "claim 'c' names the row 'q'" in told


# --- figures, intervals, verdicts -------------------------------------------------------------------------------------


def test_interval_over_seeds_is_students() -> None:
    found = over_seeds([1.0, 2.0, 4.0])
    half = 4.303 * math.sqrt(7 / 3) / math.sqrt(3)  # variance of 1, 2, 4 is 7/3
    assert found["mean"] == pytest.approx(7 / 3)
    assert (found["low"], found["high"]) == (pytest.approx(7 / 3 - half), pytest.approx(7 / 3 + half))
    assert over_seeds([3.0]) == {"mean": 3.0, "low": None, "high": None, "n": 1}


@pytest.mark.parametrize(
    ("a", "b", "better", "equal", "verdict"),
    [
        ({0: 2.0}, {0: 1.0}, "higher", None, "agrees"),
        ({0: 2.0}, {0: 1.0}, "lower", None, "disagrees"),
        ({0: 1.0, 1: 1.1, 2: 1.05}, {0: 2.0, 1: 2.1, 2: 2.05}, "lower", None, "agrees"),
        ({0: 1.0, 1: 3.0, 2: 2.0}, {0: 2.0, 1: 2.0, 2: 2.1}, "lower", None, "open"),
        ({0: 1.0}, {0: 1.02}, "higher", 0.05, "agrees"),
        ({0: 1.0}, {0: 1.2}, "higher", 0.05, "disagrees"),
        ({0: 1.0, 1: 1.5}, {0: 1.3, 1: 1.2}, "higher", 0.05, "open"),
    ],
)
def test_verdicts(a: dict[int, float], b: dict[int, float], better: Any, equal: float | None, verdict: str) -> None:
    assert compare(a, b, Column("c", "C", "m", "s", better), equal)["verdict"] == verdict


def test_a_claim_needs_all_of_its_rows() -> None:
    column, seeds = Column("c", "C", "m", "s", "higher"), {"a": {0: 3.0}, "b": {0: 1.0}, "c": {0: 4.0}}
    claim = Claim("a is the best", "c", "a")
    assert judge(claim, column, ["a", "b"], seeds)["verdict"] == "agrees"
    assert judge(claim, column, ["a", "b", "c"], seeds)["verdict"] == "disagrees"
    partly = judge(claim, column, ["a", "b", "d"], seeds)
    assert partly["verdict"] == "not decided" and partly["absent"] == ["d"]


def test_order_of_rows() -> None:
    assert concordance(
        {"a": 1.0, "b": (2.0, 0.1), "c": 3.0, "d": 9.0}, {"a": {0: 5.0}, "b": {0: 7.0}, "c": {0: 6.0}}
    ) == (2, 3)


def test_where_a_figure_stands() -> None:
    found = {"metrics": {"m": {"scores": {"a": {"b": 0.5}, "c": {"mean": 0.2, "low": 0.1, "high": None}, "d": None}}}}
    column = Column("x", "X", "m", "z.b|a.b", "higher", scale=100, real="d|c")
    assert figure(found, column, "m") == {"value": 50.0}
    assert figure(found, column, "m", real=True) == {"value": 20.0, "low": 10.0}
    assert figure({"metrics": {}}, column, "m") is None


def test_real_data_take_their_figure_from_a_trained_row() -> None:
    table = Table(
        "T", "P", data=(TableData("toy-faces", "Toys"),), columns=(Column("x", "X", "m", "made", "higher", real="real"),),
        rows=(Row("r", {"toy-faces": "mask-vae/celeba"}), Row("GT", paper={"toy-faces": {"x": 1.0}})),
    )  # fmt: skip
    metric = {"scores": {"made": 0.25, "real": 0.75}, "protocol": {}, "warnings": []}
    found = {
        ("r", "toy-faces", 0): {
            "metrics": {"m": metric},
            "missing": {"n": "no weights (/home/me/cache/w.pth) are here"},
        },
        ("GT", "toy-faces", 0): {"metrics": {}, "missing": {}},
    }
    document = document_of(table, {"toy-faces": parse_spec("toy-faces")}, table.rows, {}, found)
    assert [row["ours"]["x"]["mean"] for row in document["parts"][0]["rows"]] == [0.25, 0.75]
    assert document["parts"][0]["rows"][0]["missing"] == {"n": "no weights (w.pth) are here"}


# --- requests ---------------------------------------------------------------------------------------------------------


def test_budgets() -> None:
    assert Budget.parse("90s") == Budget(minutes=1.5) and Budget.parse("2000steps") == Budget(steps=2000)
    assert str(Budget.parse("1.5h")) == "90 minutes"
    for wrong in ("10", "0m", "1.5steps", "-3m", "many"):
        with pytest.raises(UsageError, match="expected a time"):
            Budget.parse(wrong)


def test_rows_and_data_by_name() -> None:
    _, table = table_named("segvae/Table-1")
    assert [r.title for r in chosen_rows(table, ["2", "c-vae_g"])] == ["C-VAE_sep", "C-VAE_global"]
    for wrong in ("c-vae", "nothing", "12"):
        with pytest.raises(UsageError, match="rows: 1 'C-GAN'"):
            chosen_rows(table, [wrong])
    with pytest.raises(UsageError, match="humanparsing or ccp, celebamask-hq"):
        matched_data(table, ["toy-faces:4"])
    _, alone = table_named("clvae/table5")
    assert matched_data(alone, ["toy-faces:4"])["gta5"].name == "toy-faces"
    with pytest.raises(UsageError, match="already"):
        matched_data(alone, ["toy-faces:4", "toy-faces:5"])


def test_without_data_the_command_is_told(run: Run, tmp_path: Path) -> None:
    ran = run("reproduce", "mask-vae/table1", "--budget", "2steps", "--out", tmp_path / "out")
    assert ran.code == 2 and "zoo reproduce mask-vae/table1 --data celebamask-hq:DIR --budget 2steps" in ran.err
    assert not (tmp_path / "out").exists()
    assert "did you mean 'mask-vae/table1'" in run("reproduce", "mask-vea/table1", "--budget", "2steps").err


# --- a table of a third party, run ------------------------------------------------------------------------------------


def test_a_third_partys_table_in_one_file(run: Run, third_party: None, tmp_path: Path) -> None:
    listed = json.loads(run("reproduce", "--json").out)
    assert NAME in [t["table"] for t in listed]
    options = ("--data", DATA, "--size", "small", "--out", tmp_path)
    plan = json.loads(run("reproduce", NAME, "--budget", "2steps", "--dry-run", "--json", *options).out)
    assert [r["state"] for r in plan["runs"]] == ["new", "new"] and all(r["minutes"] > 0 for r in plan["runs"])
    ran = run("reproduce", NAME, "--budget", "2steps", "--seeds", "2", *options)
    assert ran.code == 0, ran.err
    document = json.loads((tmp_path / "table-plugin-entry-table-1" / "results.json").read_text())
    rows = {r["title"]: r for r in document["parts"][0]["rows"]}
    sizes = {title: row["ours"]["size"] for title, row in rows.items()}
    assert all(s["n"] == 2 and s["low"] == s["high"] == s["mean"] for s in sizes.values())
    assert sizes["one"]["mean"] > sizes["none"]["mean"] > 1
    assert [c["verdict"] for c in document["parts"][0]["claims"]] == ["agrees", "disagrees", "not decided"]
    assert rows["one"]["missing"] == {"thirds-absent": "no plugin registers the metric 'thirds-absent'"}
    assert rows["one"]["trained"]["1"]["training"]["steps"] == 2
    report = (tmp_path / "table-plugin-entry-table-1" / "README.md").read_text()
    assert report.strip() in ran.out.strip()
    told = (
        "toy-faces",
        "in place of CelebAMask-HQ",
        "a night",
        "weighed by hand",
        "counted",
        "2 steps for every row",
        "Seeds: 2",
    )
    assert all(words in report for words in (*told, "`thirds-absent` (all rows)"))

    # benchmarks/reproduced.py: the report as a section of REPRODUCED.md
    kept = tmp_path / "kept.md"
    kept.write_text("# Kept\n\nIntro.\n\n## old/table\n\ngone\n")
    script = Path(__file__).parents[1] / "benchmarks" / "reproduced.py"
    subprocess.run([sys.executable, script, tmp_path, "--into", kept], check=True)
    written = kept.read_text()
    assert written.startswith(f"# Kept\n\nIntro.\n\n## {NAME}\n\n    zoo") and "gone" not in written
    assert "Claims of the paper: 1 agree, 1 disagree, 0 open" in written
    row = next(line for line in report.splitlines() if line.startswith("| one |"))
    assert row in written and "- Seeds: 2" in written and "weighed by hand" not in written


def test_an_interrupted_run_goes_on_where_it_was(
    third_party: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    usual = reproduce_module.train

    def train(run: Any, *, quiet: bool = False) -> Path:
        if len(trained) == 1 and "first" not in trained:
            trained.append("first")
            raise KeyboardInterrupt
        trained.append(run.row.title)
        return usual(run, quiet=True)

    monkeypatch.setattr(reproduce_module, "train", train)
    with pytest.raises(KeyboardInterrupt):
        reproduce_module.Reproduction(asked(tmp_path)).run(quiet=True)
    half = json.loads((tmp_path / "table-plugin-entry-table-1" / "results.json").read_text())
    assert [bool(r["ours"]) for r in half["parts"][0]["rows"]] == [True, False]
    assert [r["state"] for r in reproduce_module.Reproduction(asked(tmp_path)).schedule()] == ["done", "new"]
    reproduce_module.Reproduction(asked(tmp_path)).run(quiet=True)
    assert trained == ["none", "first", "one"]
    whole = reproduce_module.Reproduction(asked(tmp_path)).run(quiet=True)  # nothing is left to do
    assert trained == ["none", "first", "one"] and all(r["ours"] for r in whole["parts"][0]["rows"])
    assert markdown(table_named(NAME)[1], whole) == (tmp_path / "table-plugin-entry-table-1" / "README.md").read_text()


def test_another_request_does_not_overwrite(third_party: None, tmp_path: Path) -> None:
    reproduce_module.Reproduction(asked(tmp_path, only=("none",))).run(quiet=True)
    with pytest.raises(UsageError, match="differs in samples"):
        reproduce_module.Reproduction(asked(tmp_path, samples=7)).run(quiet=True)
    more = reproduce_module.Reproduction(asked(tmp_path, only=("one",))).run(
        quiet=True
    )  # another row is the same request
    assert [bool(r["ours"]) for r in more["parts"][0]["rows"]] == [
        True,
        True,
    ]  # and what was finished stays in the table


def test_a_budget_of_time_becomes_steps_once(third_party: None, tmp_path: Path) -> None:
    request = ReproduceRequest(NAME, Budget(minutes=0.005), data=(DATA,), out=tmp_path, size="small", only=("none",))
    found = reproduce_module.Reproduction(request).run(quiet=True)
    facts = found["parts"][0]["rows"][0]["trained"]["0"]
    assert facts["options"]["minutes"] == 0.005 and facts["options"]["steps"] >= facts["training"]["steps"] >= 1
