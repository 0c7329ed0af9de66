"""Whatever a plugin declares, raises or returns: it is named as that plugin's fault, and everything else works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent

import pytest
import torch
from fixtures_models import Ran
from thirdparty import OK, plugin, write_cards, write_metadata, write_plugin

import zoo
from zoo import cards, registry
from zoo.composition.parsers import default_parser
from zoo.errors import PluginError
from zoo.interfaces.border import guarded
from zoo.registry import border, lookup

Run = Callable[..., Ran]
ODD = "thirdparty-odd"
LABEL = "thirdparty_odd_entry (thirdparty-odd 1.2)"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of distributions on the path; `registry.reset()` after writing into it."""
    before = set(sys.modules)
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    monkeypatch.undo()
    for name in set(sys.modules) - before:
        if name.startswith("thirdparty"):
            del sys.modules[name]
    forget()


def forget() -> None:
    registry.reset()
    cards.all_cards.cache_clear()


def odd_record() -> registry.PluginRecord:
    forget()
    return next(r for r in registry.registry().plugins if r.distribution == ODD)


def others_work(run: Run) -> None:
    """Every command that only looks, and none of them with a traceback or an internal error."""
    for arguments in (
        ["list"],
        ["list", "--json"],
        ["card", "scgan"],
        ["labels"],
        ["labels", "atr"],
        ["plugins"],
        ["plugins", "--json"],
    ):
        forget()
        ran = run(*arguments)
        assert ran.code == 0 and "Traceback" not in ran.err and "should not happen" not in ran.err, (arguments, ran.err)
        if "--json" in arguments:
            assert json.loads(ran.out)


# --- what an entry point gives ------------------------------------------------------------------------------------

UNPRINTABLE = "class E(Exception):\n    def __str__(self): raise ValueError('no')\nraise E()"
ARCH = "Architecture('odd', kind='mask-generator', model='m:N', config='m:C', variants='m:V'{more})"


def arch(more: str) -> str:
    return OK + f"plugin = Plugin(architectures=[{ARCH.format(more=more)}])"


GIVEN = {
    "unprintable": (UNPRINTABLE, "E: its text cannot be read"),
    "unprintable base": (UNPRINTABLE.replace("Exception", "BaseException"), "E: its text cannot be read"),
    "keyboard interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "exit": ("import sys; sys.exit(0)", "SystemExit: 0"),
    "generator exit in a function": ("def f(): raise RuntimeError('x' * 100_000)\nf()", "RuntimeError: xxx"),
    "control characters": ("raise RuntimeError('\\x1b[31m\\n\\x00')", "\\x1b[31m \\x00"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "memory": ("raise MemoryError", "MemoryError"),
    "group": ("raise ExceptionGroup('several', [ValueError('a')])", "several"),
    "its own zoo error": ("from zoo.errors import UsageError\nraise UsageError('mine')", "mine"),
    "asks for the registry": ("import zoo.registry as r\nr.registry()", "asks for the registry while it is being imported"),
    "none": ("plugin = None", "gives NoneType"),
    "architectures none": (OK + "plugin = Plugin(architectures=None)", "architectures are NoneType"),
    "architectures text": (OK + "plugin = Plugin(architectures='odd')", "architectures are str"),
    "architecture class": (OK + "plugin = Plugin(architectures=[Architecture])", "architectures hold type"),
    "kind list": (OK + "plugin = Plugin(architectures=[Architecture('odd', kind=[], model='m:N', config='m:C', variants='m:V')])", "has kind []"),
    "model none": (OK + "plugin = Plugin(architectures=[Architecture('odd', kind='mask-parser', model=None, config='m:C', variants='m:V')])", "'model' is NoneType"),
    "name number": (OK + "plugin = Plugin(architectures=[Architecture(3, kind='mask-parser', model='m:N', config='m:C', variants='m:V')])", "have the name 3"),
    "name with space": (OK + "plugin = Plugin(networks={'a b': 'x:y'})", "have the name 'a b'"),
    "name with escape": (OK + "plugin = Plugin(metrics={'a\\x1b[2J': 'x:y'})", "have the name 'a\\x1b[2J'"),
    "name too long": (OK + "plugin = Plugin(losses={'a' * 100_000: 'x:y'})", "have the name 'aaa"),
    "can numbers": (arch(", can=(1,)"), "can holds int"),
    "title": (arch(", title=3"), "title is int"),
    "paper": (arch(", paper=['x']"), "paper is list"),
    "default": (arch(", default=('x',)"), "default is tuple"),
    "trainer": (arch(", trainer=object"), "'trainer' is type"),
    "tables none": (OK + "plugin = Plugin(label_spaces=None)", "label_spaces are NoneType"),
    "unhashable": (OK + "plugin = Plugin(datasets=[('a', 'b:c')])", "datasets are list"),
    "cards list": (OK + "plugin = Plugin(cards=['x'])", "cards are list"),
    "api text": (OK + "plugin = Plugin(api='1')", "plugin API '1'"),
    "mapping that raises": (
        OK + "class M(dict):\n    def __iter__(self): raise RuntimeError('no items')\n    keys = __iter__\nplugin = Plugin(losses=M(a='b:c'))",
        "no items",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GIVEN)
def test_what_an_entry_point_gives(case: str, site: Path, run: Run) -> None:
    code, reason = GIVEN[case]
    write_plugin(site, ODD, code)
    record = odd_record()
    assert record.state in ("broken", "API mismatch") and reason in record.error, record.error
    assert len(record.error) < 700 and record.error.isprintable()
    others_work(run)
    shown = run("plugins")
    assert "thirdparty-odd 1.2) is broken: " in shown.out and not {"\x1b", "\x00"} & set(shown.out + shown.err)


def test_a_list_may_be_a_generator(site: Path) -> None:
    write_plugin(site, ODD, OK + f"plugin = Plugin(architectures=(a for a in [{ARCH.format(more=', can=iter(())')}]))")
    assert "can is" in odd_record().error
    (site / "thirdparty_odd.py").write_text(
        OK + f"plugin = Plugin(architectures=(a for a in [{ARCH.format(more='')}]))"
    )
    del sys.modules["thirdparty_odd"]
    assert odd_record().state == "ok" and "odd" in registry.registry().architectures


# --- metadata of any distribution ---------------------------------------------------------------------------------


def garbage(site: Path, case: str) -> None:
    write_metadata(site, ODD, "no_such_module")
    info = site / "thirdparty_odd-1.2.dist-info"
    if case == "no equals sign":
        (info / "entry_points.txt").write_text("[zoo.plugins]\nnonsense\n")
    elif case == "binary":
        (info / "entry_points.txt").write_bytes(b"[zoo.plugins]\n\xff\xfe\x00 = \x80\n")
    elif case == "binary: no plugin":
        (info / "entry_points.txt").write_bytes(b"\xff\xfe\x00")
    elif case == "odd value":
        (info / "entry_points.txt").write_text("[zoo.plugins]\nodd = what is: this [\n")
    elif case == "empty value":
        (info / "entry_points.txt").write_text("[zoo.plugins]\nodd =\n")
    elif case == "control characters":
        (info / "entry_points.txt").write_text("[zoo.plugins]\no\x1b[31md = a\x1bb:c\n")
    elif case == "long":
        (info / "entry_points.txt").write_text(f"[zoo.plugins]\n{'o' * 50_000} = {'a' * 50_000}:c\n")
    elif case == "no metadata":
        (info / "METADATA").unlink()
    elif case == "metadata binary":
        (info / "METADATA").write_bytes(b"Name: \xff\xfe\nVersion: \x00")
    elif case == "metadata without name":
        (info / "METADATA").write_text("Metadata-Version: 2.1\n")


@pytest.mark.parametrize(
    "case",
    [
        "no equals sign",
        "binary",
        "binary: no plugin",
        "odd value",
        "empty value",
        "control characters",
        "long",
        "no metadata",
        "metadata binary",
        "metadata without name",
    ],
)
def test_metadata_that_cannot_be_read(case: str, site: Path, run: Run) -> None:
    garbage(site, case)
    write_plugin(site, "thirdparty-fine", plugin("thirdparty-fine", "fine-net"))
    forget()
    reg = registry.registry()
    assert "fine-net" in reg.architectures and "scgan" in reg.architectures
    (record,) = [r for r in reg.plugins if r.error]
    assert record.state == "broken" and record.error.isprintable() and len(record.label) < 300
    others_work(run)


def test_beside_metadata_that_no_library_can_read(site: Path, published: Path, tmp_path: Path) -> None:
    garbage(site, "binary: no plugin")
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "zoo", *map(str, arguments)]
        return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300)

    made = command("generate", published / "mask-vae-celeba", "-n", 1, "--out", tmp_path / "maps")
    assert made.returncode == 0 and (tmp_path / "maps/maps/000000.png").is_file(), made.stderr
    # torch's optimizers import what reads the entry points of all distributions
    run = tmp_path / "run"
    few = ("--data", "toy-faces:4", "--set", "batch_size=2", "--set", "steps=1", "--device", "cpu")
    trained = command("train", "mask-vae/celeba-128", *few, "--out", run)
    assert trained.returncode in (0, 1) and "should not happen" not in trained.stderr
    assert trained.returncode == 0 or "cannot read those of thirdparty-odd" in trained.stderr, trained.stderr


# --- what is behind the import strings ----------------------------------------------------------------------------

MODELS = """
from dataclasses import dataclass
from pets.config import Config
from pets.models import PetMaps, PetPaint
from zoo.plugin import Asset, Variant
import zoo.plugin
class Net(PetMaps): pass
VARIANTS = {"small": Variant(Config(label_space="celebamask-hq"))}
"""
BEHIND = {
    "model is a function": ("def Net(config, space): pass", "model", "expected a class derived from"),
    "model is no model": ("class Net: pass", "model", "expected a class derived from"),
    "model of another kind": ("class Net(PetPaint): pass", "model", "it is an image-synthesizer, its plugin says 'mask-generator'"),
    "model is abstract": ("class Net(zoo.plugin.MaskGenerator): pass", "model", "Net lacks channels, generate"),
    "assets": ("class Net(PetMaps): ASSETS = ['label_sets']", "model", "ASSETS as a mapping"),
    "asset": ("class Net(PetMaps): ASSETS = {'label_sets': 'json'}", "model", "ASSETS as a mapping"),
    "asset outside": ("class Net(PetMaps): ASSETS = {'../x': Asset('json', 'x')}", "model", "ASSETS as a mapping"),
    "options": ("class Net(PetMaps): OPTIONS = {'a': 1}", "model", "OPTIONS as a dataclass"),
    "steps": ("class Net(PetMaps): REPORTS_STEPS = 'yes'", "model", "REPORTS_STEPS as true or false"),
    "config": ("class Config: pass", "config", "expected a dataclass, got Config"),
    "config needs fields": ("@dataclass\nclass Config:\n    x: int", "variant", "has no defaults"),
    "variants list": ("VARIANTS = [Variant(Config())]", "variants", "a mapping of names to Variant, got list"),
    "variants of configs": ("VARIANTS = {'small': Config()}", "variants", "a Variant under 'small', got Config"),
    "variant of a dict": ("VARIANTS = {'small': Variant({'side': 3})}", "variants", "a config in the Variant 'small', got dict"),
    "variant of a class": ("VARIANTS = {'small': Variant(Config)}", "variants", "a config in the Variant 'small', got Config"),
    "variant name": ("VARIANTS = {'a/b': Variant(Config())}", "variants", "a variant has the name 'a/b'"),
    "variant name number": ("VARIANTS = {3: Variant(Config())}", "variants", "a variant has the name 3"),
    "variant training": ("VARIANTS = {'small': Variant(Config(), {'lr': 1})}", "variants", "training options or None"),
    "variant title": ("VARIANTS = {'small': Variant(Config(), None, 3)}", "variants", "a text as title"),
    "unprintable": ("class M(dict):\n    def __iter__(self): raise SystemExit(0)\nVARIANTS = M()\nVARIANTS.keys = M.__iter__", "variants", None),
    "missing": ("del VARIANTS", "variants", "cannot import 'thirdparty_odd_models:VARIANTS'"),
}  # fmt: skip


@pytest.mark.parametrize("case", [c for c in BEHIND if BEHIND[c][2]])
def test_what_is_behind_an_import_string(case: str, site: Path, run: Run) -> None:
    code, part, reason = BEHIND[case]
    write_plugin(site, ODD, plugin(ODD, "odd"))
    (site / "thirdparty_odd_models.py").write_text(MODELS + code + "\n")
    forget()
    reg = registry.registry()
    with pytest.raises(PluginError) as caught:
        if part == "variant":
            reg.variant("odd")
        else:
            reg.load(reg.architecture("odd"), part)
    assert str(reason) in str(caught.value) and LABEL in str(caught.value)
    others_work(run)
    for arguments in (
        ["train", "odd", "--data", "toy-faces:4", "--dry-run"],
        ["compose", "odd+scgan"],
        ["card", "odd"],
    ):
        ran = run(*arguments)
        assert ran.code in (1, 2) and "Traceback" not in ran.err and "should not happen" not in ran.err, ran.err


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("class Net(PetMaps): fit_asset = ':'", "'str' object is not callable"),
        ("class Net(PetMaps): __init__ = True", "'bool' object is not callable"),
        ("class Net(PetMaps):\n    def __init__(self, *a): return {1: 2}", "should return None"),
        ("class Net(PetMaps): resolution = 'x'", "multiply sequence"),
        ("class T(MapTrainer): rates = 3", "'int' object is not callable"),
        ("class T(MapTrainer):\n    def updates(self, *a): return 3", "'int' object is not an iterator"),
        ("class T(MapTrainer):\n    def rates(self, *a): raise SystemExit(0)", "SystemExit: 0"),
        ("class E(BaseException): pass\nclass T(MapTrainer):\n    def rates(self, *a): raise E('odd')", "E: odd"),
        ("class T(MapTrainer):\n    def optimizers(self): return []", "'list' object has no attribute"),
        ("class T(MapTrainer):\n    def validate(self, data): return {'hits': 'x'}", "could not convert"),
    ],
)
def test_what_fails_in_training_is_the_plugins(code: str, reason: str, site: Path, run: Run, tmp_path: Path) -> None:
    parts = ", networks={'pets.planes': 'pets.models:Planes'}, metrics={'pets.hits': 'pets.training:hits'}"
    with_trainer = plugin(ODD, "odd", more=parts).replace(
        ":VARIANTS')", ":VARIANTS', trainer='thirdparty_odd_models:T')"
    )
    write_plugin(site, ODD, with_trainer)
    head = MODELS + "from pets.training import MapTrainer\nclass T(MapTrainer): pass\n"
    options = (
        "from pets.config import Training\nTRAINING = Training(steps=2, batch_size=4, validate_every=1)\n"
        "VARIANTS = {'small': Variant(Config(label_space='celebamask-hq'), TRAINING)}\n"
    )
    (site / "thirdparty_odd_models.py").write_text(head + options + code + "\n")
    forget()
    ran = run("train", "odd/small", "--data", "toy-faces:8", "--device", "cpu", "--out", tmp_path / "r")
    assert ran.code == 1 and reason in ran.err and LABEL in ran.err, ran.err
    assert "should not happen" not in ran.err and not (tmp_path / "r" / "model").exists()


@pytest.mark.parametrize("code", ["channels = PetMaps.generate", "resolution = 3"])
def test_what_fails_in_loading_is_the_plugins(code: str, site: Path, run: Run, tmp_path: Path) -> None:
    write_plugin(site, ODD, plugin(ODD, "odd", more=", networks={'pets.planes': 'pets.models:Planes'}"))
    models = site / "thirdparty_odd_models.py"
    models.write_text(MODELS)
    forget()
    variant = registry.registry().variant("odd/small")[2]
    space = registry.registry().label_space("celebamask-hq")
    zoo.save(
        registry.registry().load(registry.registry().architecture("odd"), "model")(variant.config, space),
        tmp_path / "m",
    )
    models.write_text(MODELS + f"class Net(PetMaps):\n    {code}\n")
    del sys.modules["thirdparty_odd_models"]
    forget()
    ran = run("generate", tmp_path / "m", "-n", 1, "--out", tmp_path / "out")
    assert ran.code == 1 and LABEL in ran.err and "should not happen" not in ran.err, ran.err


# --- label spaces and data sets -----------------------------------------------------------------------------------

CLASS = "{'name': 'a', 'color': [0, 0, 0]%s}"
SPACES = {
    "a list": "SPACE = []",
    "a class": "class SPACE: pass",
    "classes a number": "SPACE = {'name': 'odd', 'classes': 3}",
    "colors a number": "SPACE = {'classes': [%s]}" % (CLASS % ", 'colors': 3"),
    "aliases a number": "SPACE = {'classes': [%s]}" % (CLASS % ", 'aliases': 3"),
    "mirror a list": "SPACE = {'classes': [%s]}" % (CLASS % ", 'mirror': [1]"),
    "mirror unknown": "SPACE = {'classes': [%s]}" % (CLASS % ", 'mirror': 'b'"),
    "on a dict": "SPACE = {'classes': [%s]}" % (CLASS % ", 'on': {}"),
    "background a list": "SPACE = {'background': [], 'classes': [%s]}" % (CLASS % ""),
    "a space of dicts": "from zoo.labels import LabelSpace\nclass L(LabelSpace):\n    def __post_init__(self): pass\nSPACE = L('odd', ({'name': 'a'},))",
    "a space of wrong colours": "from zoo.labels import LabelSpace, LabelClass\nSPACE = LabelSpace('odd', (LabelClass('a', 'red'),))",
    "a space that is ours": "from zoo.labels import LabelSpace, LabelClass\nSPACE = LabelSpace('celebamask-hq', (LabelClass('a', (0, 0, 0)),))",
}  # fmt: skip


@pytest.mark.parametrize("case", SPACES)
def test_label_spaces(case: str, site: Path, run: Run) -> None:
    write_plugin(site, ODD, SPACES[case] + "\n" + OK + "plugin = Plugin(label_spaces={'odd': 'thirdparty_odd:SPACE'})")
    forget()
    others_work(run)
    spaces, faults = registry.registry().working_spaces()
    assert len(spaces) == len(registry.registry().label_spaces()) - 1 and "'odd'" in faults[0]
    assert len(registry.label_space("celebamask-hq")) == 19
    ran = run("labels", "odd")
    assert ran.code == 1 and "odd" in ran.err and "should not happen" not in ran.err and "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("D = 3", "something that can be called"),
        ("class D:\n    options = 'abc'", "`options` as a tuple"),
        ("class D:\n    def __init__(self, *a): raise KeyError('gone')", "KeyError"),
        ("def D(*a): raise SystemExit(0)", "SystemExit"),
        ("def D(*a): return None", "expected a Source"),
        ("def D(*a): return {'names': []}", "expected a Source"),
    ],
)
def test_data_sets(code: str, reason: str, site: Path, run: Run) -> None:
    write_plugin(site, ODD, code + "\n" + OK + "plugin = Plugin(datasets={'odd': 'thirdparty_odd:D'})")
    forget()
    ran = run("data", "check", "odd:x")
    assert ran.code == 1 and reason in ran.err and LABEL in ran.err and "Traceback" not in ran.err, ran.err
    others_work(run)


# --- cards --------------------------------------------------------------------------------------------------------

HEADS = {
    "numbers": "zoo: {kind: 3, architecture: 1, label_space: 2, parameters: x, weights_license: 4, data: 5}",
    "lists": "zoo: {kind: [a], architecture: [b], label_space: [c], resolution: 3, weights_license: [d], limits: 3}",
    "dicts": "zoo: {kind: {a: 1}, architecture: {b: 2}, label_space: {c: 3}, paper: {}, data_license: {x: 1}, can: {}}",
    "dates": "zoo: {kind: 2020-01-01, data: 2020-01-01, weights_license: 2020-01-01}",
    "sets": "zoo: {kind: !!set {a, b}, limits: !!set {c}, fitted: !!set {d}}",
    "binary": "zoo: {kind: !!binary aGVsbG8=, data: !!binary aGVsbG8=}",
    "not a number": "zoo: {parameters: .nan, bytes: .inf, resolution: [.nan, 1]}",
    "keys": "zoo: {1: 2, null: 3, true: 4, 2020-01-01: 5, [a, b]: c}\n1: 2",
    "text": "zoo: text",
    "control": 'zoo: {kind: "\\e[31m\\0", data: "\\e]0;x\\a", weights_license: "a\\nb"}',
    "huge": "zoo: {parameters: " + "9" * 4000 + ", bytes: " + "9" * 4000 + ", kind: " + "k" * 50_000 + "}",
    "files": "zoo: {files: {model.safetensors: [1]}, bytes: -3}",
    "fitted": "zoo: {fitted: {a: 3, b: [1], c: {data_license: [x]}}}",
    "embedded": "zoo: {id: other, embedded: 3}\nid: [x]\ncan: 3",
}


@pytest.mark.parametrize("case", HEADS)
def test_cards(case: str, site: Path, run: Run) -> None:
    write_plugin(site, ODD, OK + "plugin = Plugin(cards='thirdparty_odd_cards')")
    write_cards(site / "thirdparty_odd_cards", {"odd-model": HEADS[case]})
    others_work(run)
    for arguments in (
        ["card", "odd-model"],
        ["card", "odd-model", "--json"],
        ["list", "odd-*"],
        ["list", "--license-ok", "commercial"],
        ["pull", "odd-model"],
    ):
        forget()
        ran = run(*arguments)
        assert ran.code in (0, 1, 2) and "Traceback" not in ran.err and "should not happen" not in ran.err, (
            arguments,
            ran.err,
        )
        assert not {"\x1b", "\x00", "\x07"} & set(ran.out + ran.err)


# --- what comes first ---------------------------------------------------------------------------------------------


def test_a_plugin_replaces_nothing_of_ours_by_its_names(site: Path) -> None:
    forget()
    spaces = [registry.label_space(name) for name in ("celebamask-hq", "face-parsing", "atr")]

    def choices() -> list[str]:
        known = []
        for space in spaces:
            try:
                known.append(default_parser(space))
            except zoo.ZooError:
                known.append("none")
        return [*known, *(zoo.hub.resolving.card_of(name).model_id for name in ("scgan", "mask-vae", "face-parser"))]

    import zoo.hub.resolving

    before = choices()
    assert before[0] != "none"
    write_plugin(site, ODD, plugin(ODD, "a-scgan", more=", cards='thirdparty_odd_cards'"))
    parser = "zoo: {kind: mask-parser, architecture: face-parser, label_space: %s}"
    heads = {"a-parser": parser % "celebamask-hq", "a-face-parser": parser % "face-parsing"}
    write_cards(site / "thirdparty_odd_cards", {**heads, "scgan": parser % "atr", "mask-vae": parser % "atr"})
    for name in heads:
        (site / "thirdparty_odd_cards" / name / "model.safetensors").write_bytes(b"")
    forget()
    assert "a-parser" in cards.all_cards() and "thirdparty-odd:scgan" in cards.all_cards()
    assert choices()[:1] + choices()[3:] == before[:1] + before[3:]
    assert [b for b, a in zip(before, choices(), strict=True) if b not in ("none", a)] == []


# --- what models return -------------------------------------------------------------------------------------------

RETURNS = {
    "generate": {
        "a tensor": ("return super().generate(conditions).labels", "expected a SemanticMap, got Tensor"),
        "another space": (
            "m = super().generate(conditions)\nimport zoo\nreturn zoo.SemanticMap(m.labels * 0, zoo.label_space('atr'))",
            "the map speaks 'atr', the model 'celebamask-hq'",
        ),
        "one map for all": ("return super().generate(conditions)[0]", "1 maps for 2"),
        "another size": ("return super().generate(conditions).resize((8, 8))", "maps of 8 x 8 pixels, expected 32 x 32"),
        "numbers outside": ("import zoo\nreturn zoo.SemanticMap(torch.full((2, 32, 32), 99), self.label_space)", "Values [99] are no classes"),
        "nothing": ("return None", "got NoneType"),
        "an exit": ("raise SystemExit(0)", "generate failed (SystemExit: 0)"),
        "an error without text": ("class E(Exception):\n    def __str__(self): raise self\nraise E", "E: its text cannot be read"),
        "an index error": ("return conditions[99]", "generate failed (IndexError"),
    },
    "sample_latents": {
        "a tensor": ("return torch.zeros(2)", "expected a dict of tensors, got Tensor"),
        "lists": ("return {'z': [1]}", "expected a dict of tensors"),
    },
    "sample_label_sets": {
        "a generator": ("return (self.label_space.label_set(['skin']) for _ in range(2))", "expected a list of LabelSets, got generator"),
        "names": ("return [['skin'], ['hair']]", "expected a list of LabelSets"),
        "too few": ("return [self.label_space.label_set(['skin'])]", "1 label sets for 2"),
    },
    "synthesize": {
        "too bright": ("return super().synthesize(semantic_map) * 0 + 255", "values from 255 to 255, expected 0 to 1"),
        "around zero": ("return super().synthesize(semantic_map) * 0 - 1", "values from -1 to -1"),
        "no number": ("return super().synthesize(semantic_map) * torch.nan", "values from nan to nan"),
        "infinite": ("return super().synthesize(semantic_map) + torch.inf", "values from inf to inf"),
        "channels last": ("return super().synthesize(semantic_map).permute(0, 2, 3, 1)", "shape (2, 32, 32, 3), expected (2, 3, 32, 32)"),
        "grey": ("return super().synthesize(semantic_map)[:, :1]", "shape (2, 1, 32, 32)"),
        "whole numbers": ("return (super().synthesize(semantic_map) * 255).byte()", "pictures of torch.uint8"),
        "an array": ("return super().synthesize(semantic_map).numpy()", "expected a tensor [B, 3, 32, 32], got ndarray"),
        "another size": ("return super().synthesize(semantic_map)[..., ::2]", "shape (2, 3, 32, 16)"),
    },
    "layout": {
        "the map": ("return semantic_map", "expected a Layout, got SemanticMap"),
        "odd notes": ("l = super().layout(semantic_map)\nl.notes = 'abc'\nreturn l", "notes should be sentences"),
    },
    "resolution": {"a number": ("return 32", "resolution should be (height, width)"), "floats": ("return 32.0, 32.0", "resolution should be")},
    "channels": {"a text": ("return 'skin'", "channels should be a tuple")},
    "capabilities": {"unknown": ("return frozenset({'fly'})", "capabilities() should be"), "list": ("return []", "capabilities() should be")},
}  # fmt: skip
SIGNATURES = {
    "generate": "self, conditions, *, latents=None, rng=None",
    "sample_latents": "self, conditions, rng, *, prior=None",
    "sample_label_sets": "self, count, rng",
    "synthesize": "self, semantic_map, style=None, *, rng=None",
    "layout": "self, semantic_map, *, reuse=None",
}


def odd_model(site: Path, call: str, body: str) -> zoo.api.Model:
    """A pet whose one call has another body."""
    write_plugin(
        site, ODD, plugin(ODD, "odd-maps", more=", networks={'pets.planes': 'pets.models:Planes'}") + OK + PAINT
    )
    base = "PetPaint" if call in ("synthesize", "layout") else "PetMaps"
    prefix = "" if call in SIGNATURES or call == "capabilities" else "    @property\n"
    method = f"{prefix}    def {call}({SIGNATURES.get(call, 'self')}):\n{indent(body, ' ' * 8)}\n"
    name = "Paint" if base == "PetPaint" else "Net"
    code = f"import torch\nclass Paint(PetPaint): pass\nclass {name}({base}):\n{method}"
    (site / "thirdparty_odd_models.py").write_text(MODELS + code)
    forget()
    module = __import__("thirdparty_odd_models")
    space = registry.label_space("celebamask-hq")
    return getattr(module, name)(module.Config(label_space="celebamask-hq"), space)


PAINT = """plugin = Plugin(networks=plugin.networks, architectures=[*plugin.architectures, Architecture('odd-paint', kind='image-synthesizer',
    model='thirdparty_odd_models:Paint', config='thirdparty_odd_models:Config', variants='thirdparty_odd_models:VARIANTS')])
"""


@pytest.mark.parametrize(("call", "case"), [(call, case) for call in RETURNS for case in RETURNS[call]])
def test_what_a_model_returns(call: str, case: str, site: Path) -> None:
    body, reason = RETURNS[call][case]
    model = odd_model(site, call, body)
    named: list[str] = [] if call == "sample_label_sets" else ["skin", "hair"]
    with pytest.raises(PluginError) as caught:
        if isinstance(model, zoo.interfaces.models.ImageSynthesizer):
            maps = zoo.SemanticMap(torch.ones(2, 32, 32, dtype=torch.long), model.label_space)
            zoo.compose((None, model))(maps=maps, seed=1)
        else:
            zoo.compose((model, None))(labels=named or None, n=2, seed=1)
    assert reason in str(caught.value) and LABEL in str(caught.value), str(caught.value)


def test_what_the_caller_raises_in_progress_is_the_callers(site: Path) -> None:
    model = odd_model(site, "generate", "kwargs_progress(1, 2)")

    class Stop(Exception):
        pass

    def stop(*counts: int) -> None:
        raise Stop

    def generate(conditions, *, progress=None, **rest):
        progress(1, 2)

    model.generate = generate  # type: ignore[attr-defined]
    with pytest.raises(Stop):
        guarded(model).generate([], progress=stop)  # type: ignore[operator]


def test_a_right_model_is_not_hindered(site: Path) -> None:
    model = odd_model(site, "synthesize", "return super().synthesize(semantic_map)")
    maps = zoo.SemanticMap(torch.ones(2, 32, 32, dtype=torch.long), model.label_space)
    assert zoo.compose((None, model))(maps=maps, seed=1).images.shape == (2, 3, 32, 32)


# --- detectors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return {'role': 'generator'}", "expected a Match or None, got dict"),
        ("return True", "got bool"),
        ("return Match(3, {})", "a text as role"),
        ("return Match('g', [])", "a mapping of fields"),
        ("return Match('g', {1: 2})", "a mapping of fields"),
        ("return Match('g', {}, missing='abc')", "a tuple of names as missing"),
        ("return Match('g', {}, unknown=(1,))", "a tuple of names as unknown"),
        ("return Match('g', {}, matched='9')", "a number as matched"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("shapes.clear()\nimport time\ntime.sleep(5)", "longer than"),
    ],
)
def test_detectors(body: str, reason: str, site: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    if "sleep" in body:
        monkeypatch.setattr(border, "DETECT_SECONDS", 0.5)
    official = ", official='thirdparty_odd_official')"
    write_plugin(site, ODD, plugin(ODD, "odd").replace(":VARIANTS')", ":VARIANTS'" + official, 1))
    code = f"from zoo.plugin import Match\ndef convert(*a): return {{}}\ndef detect(shapes):\n{indent(body, '    ')}\n"
    (site / "thirdparty_odd_official.py").write_text(code)
    torch.save({"pet_map": torch.zeros(4, 8, 8)}, site / "x.pth")
    forget()
    ran = run("identify", site / "x.pth")
    assert ran.code in (0, 1) and reason in ran.err + ran.out, ran.err
    assert "Traceback" not in ran.err and "should not happen" not in ran.err


# --- Ctrl-C, stdout, and what only the command line sees ----------------------------------------------------------


def test_a_real_interrupt_is_no_fault_of_a_plugin() -> None:
    import signal

    with pytest.raises(KeyboardInterrupt), border.plugin_code("import"):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(PluginError, match="import \\(KeyboardInterrupt\\)"), border.plugin_code("import"):
        raise KeyboardInterrupt


def test_stdout_stays_whole_while_threads_import(site: Path) -> None:
    """Each thread imports modules through the registry and prints between them: every line arrives on stdout."""
    for i in range(60):
        (site / f"thirdparty_m{i}.py").write_text("import time; time.sleep(0.001); X = 1\n")
    code = """
import sys, threading
from zoo.registry import import_string, registry
def work(k):
    for i in range(60):
        import_string(f"thirdparty_m{(i + 7 * k) % 60}:X", "x")
        print(f"line {k} {i}", flush=True)
threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print("stdout is", sys.stdout is sys.__stdout__, len({id(registry()) for _ in range(3)}))
"""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.count("\n") == 8 * 60 + 1 and done.stdout.rstrip().endswith("stdout is True 1"), done.stderr


def test_what_a_plugin_prints_is_no_data(site: Path, run: Run) -> None:
    write_plugin(site, ODD, "print('hello from import')\n" + plugin(ODD, "odd"))
    (site / "thirdparty_odd_models.py").write_text("print('hello from models')\n" + MODELS)
    forget()
    ran = run("plugins", "--json")
    assert json.loads(ran.out) and "hello from import" in ran.err
    forget()
    sys.modules.pop("thirdparty_odd")
    ran = run("train", "odd", "--data", "toy-faces:4", "--dry-run")
    assert "hello from models" in ran.err and "hello" not in ran.out


def test_the_registry_is_built_once_by_many_threads() -> None:
    import threading

    forget()
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(id(lookup.registry()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1
