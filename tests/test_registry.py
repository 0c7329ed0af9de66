"""Plugins as Python finds them: real entry points of made-up distributions, whole and broken, and what the rest does meanwhile."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from thirdparty import OK, plugin, write_plugin

from zoo import cards, registry
from zoo.errors import PluginError, UsageError
from zoo.registry import Registry

FIRST = (
    "ca2sis",
    "cgan",
    "cc-fpse",
    "cimle",
    "clade",
    "clvae",
    "crn",
    "cvae-global",
    "cvae-sep",
    "dmit",
    "face-parser",
    "lite-parser",
    "groupdnet",
    "inade",
    "mask-autoencoder",
    "mask-vae",
    "mobile-parser",
    "munit",
    "maskgan",
    "maskgan-vae",
    "oasis",
    "pix2pixhd",
    "scgan",
    "sdm",
    "scgan-unpaired",
    "sean",
    "segvae",
    "shape-predictor",
    "sims",
    "sg2im",
    "sg2im-image",
    "spade",
    "spade-finer",
)

Install = Callable[..., Registry]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write distributions ({name: code}) onto the path and give the registry that finds them."""
    before = set(sys.modules)

    def run(**kwargs: str) -> Registry:
        for dist, code in kwargs.items():
            write_plugin(tmp_path, dist.replace("_", "-"), code)
        monkeypatch.syspath_prepend(tmp_path)
        registry.reset()
        cards.all_cards.cache_clear()
        return registry.registry()

    yield run
    monkeypatch.undo()
    for name in set(sys.modules) - before:
        if name.startswith("thirdparty"):
            del sys.modules[name]
    registry.reset()
    cards.all_cards.cache_clear()


def record(reg: Registry, dist: str) -> registry.PluginRecord:
    return next(r for r in reg.plugins if r.distribution == dist)


def test_first_party_plugins_come_through_entry_points_and_come_first(install: Install) -> None:
    reg = install(thirdparty_a=plugin("thirdparty-a", "a-net"))
    entries = configparser.ConfigParser()
    entries.read(Path(__file__).parents[1] / "setup.cfg")
    listed = [line.split("=")[0].strip() for line in entries["options.entry_points"]["zoo.plugins"].split("\n") if line]
    assert [r.name for r in reg.plugins if r.distribution == "maskzoo"] == sorted([*listed, "core"])
    assert [r.distribution for r in reg.plugins][-1] == "thirdparty-a"
    assert all(r.state == "ok" and r.version not in ("", "?") for r in reg.plugins)


def test_a_third_partys_architecture_has_its_name_and_a_qualified_one(install: Install) -> None:
    reg = install(thirdparty_a=plugin("thirdparty-a", "a-net"))
    assert reg.architecture("a-net") is reg.architecture("thirdparty-a:a-net")
    assert reg.owner("a-net").label == "thirdparty_a_entry (thirdparty-a 1.2)"


def test_nothing_of_a_plugin_is_imported_before_somebody_needs_it(install: Install, tmp_path: Path) -> None:
    (tmp_path / "thirdparty_a_models.py").write_text("class Net: pass\nVARIANTS = {}\n")
    reg = install(thirdparty_a=plugin("thirdparty-a", "a-net", more=", metrics={'m': 'thirdparty_a_models:Net'}"))
    assert "thirdparty_a" in sys.modules and "thirdparty_a_models" not in sys.modules
    assert reg.get("metrics", "m") is sys.modules["thirdparty_a_models"].Net
    assert reg.get("metrics", "m") is reg.get("metrics", "thirdparty-a:m")
    with pytest.raises(UsageError, match="'a-net' has no trainer"):
        reg.load(reg.architecture("a-net"), "trainer")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def (", "SyntaxError"),
        (OK + "plugin = Plugin(api=2)", "plugin API 2, this zoo has API 1"),
        (OK + "plugin = Plugin(api=7, scenes={})", "plugin API 7, this zoo has API 1"),
        (OK + "plugin = Plugin(scenes={})", "written for another plugin API? this zoo has API 1"),
        ("plugin = {'architectures': []}", "gives dict, expected zoo.registry.plugin.Plugin"),
        ("class Odd(BaseException): pass\nraise Odd('no')", "Odd: no"),
        ("class Mine:\n    api = 1\nplugin = Mine()", "gives Mine, expected zoo.registry.plugin.Plugin"),
        ("", "has no attribute 'plugin'"),
        (
            OK + "plugin = Plugin(architectures=[Architecture('x', kind='painter', model='', config='', variants='')])",
            "kind 'painter', expected one of mask-generator",
        ),
        (OK + "plugin = Plugin(architectures=['x'])", "architectures hold str"),
        (
            plugin("thirdparty-broken", "a").replace("kind=", "can=('reconstruct', 'edit:ad'), kind="),
            "'a' can 'edit:ad', which the zoo does not know; did you mean 'edit:add'",
        ),
        (plugin("thirdparty-broken", "a").replace("kind=", "can=('edit'), kind="), "can is str, expected a tuple"),
        (OK + "plugin = Plugin(networks=['a.b:C'])", "networks are list, expected a mapping"),
        (OK + "plugin = Plugin(losses={'a': 3})", "losses: 'a' is int, expected an import string"),
        (OK + "plugin = Plugin(datasets={'a:b': 'x:Y'})", "datasets have the name 'a:b', expected distinct names"),
        (plugin("thirdparty-broken", "a+b"), "architectures have the name 'a+b'"),
        (plugin("thirdparty-broken", "a", "a"), "architectures have the name 'a', expected distinct"),
        (
            plugin("thirdparty-broken", "a")
            .replace("a:Net", "a")
            .replace("variants='thirdparty_broken_models:VARIANTS'", "variants={}"),
            "architecture 'a': 'variants' is dict",
        ),
        (OK + "plugin = Plugin(cards=3)", "cards are int"),
    ],
)
def test_a_broken_plugin_is_recorded_with_its_reason_and_the_rest_works(
    install: Install, code: str, reason: str
) -> None:
    reg = install(thirdparty_broken=code, thirdparty_fine=plugin("thirdparty-fine", "fine-net"))
    broken = record(reg, "thirdparty-broken")
    assert (
        broken.state == ("API mismatch" if reason.startswith("plugin API") else "broken")
        and reason in broken.error
        and broken.version == "1.2"
    )
    assert set(reg.architectures) == {*FIRST, "fine-net", "thirdparty-fine:fine-net"}
    with pytest.raises(
        UsageError,
        match=r"did you mean 'fine-net'.*broken plugins: thirdparty_broken_entry \(thirdparty-broken 1.2\); see: zoo plugins",
    ):
        reg.architecture("fine-nt")


def test_an_entry_point_may_name_the_object_and_a_wrong_name_is_recorded(tmp_path: Path, install: Install) -> None:
    write_plugin(
        tmp_path,
        "thirdparty-named",
        plugin("thirdparty-named", "n-net").replace("plugin =", "mine ="),
        target="thirdparty_named:mine",
    )
    write_plugin(tmp_path, "thirdparty-wrong", plugin("thirdparty-wrong", "w-net"), target="thirdparty_wrong:nothing")
    reg = install()
    assert "n-net" in reg.architectures and "w-net" not in reg.architectures
    assert "AttributeError" in record(reg, "thirdparty-wrong").error


def test_a_distribution_without_metadata_does_not_stop_the_others(tmp_path: Path, install: Install) -> None:
    module = write_plugin(tmp_path, "thirdparty-bare", plugin("thirdparty-bare", "bare-net"))
    (tmp_path / f"{module}-1.2.dist-info/METADATA").unlink()
    assert {*FIRST, "bare-net"} <= set(install().architectures)


def test_a_first_party_name_cannot_be_taken(install: Install) -> None:
    own = registry.registry().architecture("scgan")
    reg = install(
        thirdparty_a=plugin("thirdparty-a", "scgan", "a-net", more=", networks={'scgan.discriminator': 'x:Y'}")
    )
    assert reg.architecture("scgan") == own and reg.owner("scgan").distribution == "maskzoo"
    assert reg.architecture("thirdparty-a:scgan").model == "thirdparty_a_models:Net" and "a-net" in reg.architectures
    assert reg.get("networks", "scgan.discriminator").__name__ == "MultiscaleDiscriminator"
    notes = " | ".join(record(reg, "thirdparty-a").notes)
    assert "'scgan' is also registered by scgan (maskzoo" in notes and "use 'thirdparty-a:scgan'" in notes
    assert "'thirdparty-a:scgan.discriminator'" in notes and not record(reg, "maskzoo").notes


def test_a_name_that_two_or_three_third_parties_claim_belongs_to_none(install: Install) -> None:
    reg = install(**{f"thirdparty_{x}": plugin(f"thirdparty-{x}", "twin", f"only-{x}") for x in "abc"})
    assert "twin" not in reg.architectures and {"only-a", "only-b", "only-c"} <= set(reg.architectures)
    with pytest.raises(
        UsageError,
        match="Several plugins register 'twin': say 'thirdparty-a:twin' or 'thirdparty-b:twin' or 'thirdparty-c:twin'",
    ):
        reg.architecture("twin")
    for x in "abc":
        assert reg.architecture(f"thirdparty-{x}:twin").model == f"thirdparty_{x}_models:Net"
        assert any(f"thirdparty-{x}:twin" in note for note in record(reg, f"thirdparty-{x}").notes)


def test_a_missing_class_names_the_plugin_and_the_import(install: Install) -> None:
    reg = install(thirdparty_a=plugin("thirdparty-a", "a-net", more=", losses={'l': 'zoo.nn.losses:no_such_loss'}"))
    with pytest.raises(
        PluginError,
        match=r"thirdparty_a_entry \(thirdparty-a 1.2\): cannot import 'thirdparty_a_models:Net' \(ModuleNotFoundError",
    ):
        reg.load(reg.architecture("a-net"), "model")
    with pytest.raises(
        PluginError, match=r"thirdparty-a 1.2\): cannot import 'zoo.nn.losses:no_such_loss' \(AttributeError"
    ):
        reg.get("losses", "l")
    with pytest.raises(UsageError, match="No 'll' among losses"):
        reg.get("losses", "ll")


def test_a_plugins_label_space_is_found_and_the_cores_cannot_be_replaced(install: Install) -> None:
    space = "SPACE = {'name': 'pets', 'classes': ['none', 'paw']}\n"
    reg = install(
        thirdparty_a=space
        + plugin("thirdparty-a", more=", label_spaces={'pets': 'thirdparty_a:SPACE', 'atr': 'thirdparty_a:SPACE'}")
    )
    assert reg.label_space("pets").names == ("none", "paw") and len(reg.label_space("atr")) == 18
    assert [n for n in reg.label_spaces() if n.endswith(("pets", "atr"))] == ["atr", "pets", "thirdparty-a:atr"]
    assert reg.label_space("thirdparty-a:atr").names == ("none", "paw")
    assert any("'atr' is also registered by core (maskzoo" in n for n in record(reg, "thirdparty-a").notes)


def test_data_sets_are_found_by_their_qualified_names(install: Install) -> None:
    from zoo.data.specs import open_source, parse_spec

    code = (
        "from zoo.plugin import Source\nfrom zoo.labels import numbered_space\nclass Set(Source):\n"
        "    label_space, names = numbered_space(2), ()\n    read = None\n"
        "    def __init__(self, path, split, space):\n        self.given = __name__, path, split\n"
    )
    reg = install(
        **{
            f"thirdparty_{x}": code
            + plugin(
                f"thirdparty-{x}",
                more=f", datasets={{'toy-faces': 'thirdparty_{x}:Set', 'pics': 'thirdparty_{x}:Set'}}",
            )
            for x in "ab"
        }
    )
    assert "pics" not in reg.names("datasets") and type(open_source("toy-faces:3")).__name__ == "ToyFaces"
    assert open_source("thirdparty-b:pics:/some/where#val").given == ("thirdparty_b", "/some/where", "val")  # type: ignore[attr-defined]
    assert open_source("thirdparty-a:toy-faces").given == ("thirdparty_a", None, None)  # type: ignore[attr-defined]
    assert parse_spec("folder:pics") == ("folder", "pics", None)
    with pytest.raises(UsageError, match="Several plugins register 'pics': say 'thirdparty-a:pics' or"):
        open_source("pics:x")
    with pytest.raises(UsageError, match="Several plugins register 'pics'"):
        reg.get("datasets", "pics")


@pytest.mark.parametrize(
    ("wanted", "present"),
    [("", set()), ("thirdparty-a", {"a-net"}), ("thirdparty_b_entry, x", {"b-net"}), (None, {"a-net", "b-net"})],
)
def test_zoo_plugins_restricts_third_parties_only(
    install: Install, monkeypatch: pytest.MonkeyPatch, wanted: str | None, present: set[str]
) -> None:
    if wanted is not None:
        monkeypatch.setenv("ZOO_PLUGINS", wanted)
    reg = install(thirdparty_a=plugin("thirdparty-a", "a-net"), thirdparty_b=plugin("thirdparty-b", "b-net"))
    assert {n for n in reg.architectures if ":" not in n} == {*FIRST, *present}
    for x in "ab":
        assert record(reg, f"thirdparty-{x}").state == ("ok" if f"{x}-net" in present else "left out")
    if wanted and "x" in wanted:
        assert reg.unknown == ("x",)
        with pytest.raises(
            UsageError, match=r"left out by ZOO_PLUGINS: thirdparty_a_entry .*; unknown in ZOO_PLUGINS: 'x'"
        ):
            reg.architecture("a-net")


def test_what_an_import_prints_goes_where_prints_go(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    reg = install(thirdparty_a="print('hello')\n" + plugin("thirdparty-a", "a-net"))
    assert "a-net" in reg.architectures
    assert capsys.readouterr() == ("hello\n", "")  # a command sends it to stderr: test_plugin_border


def test_the_licence_of_a_plugins_code_is_its_distributions(tmp_path: Path, install: Install) -> None:
    for x in "ab":
        write_plugin(tmp_path, f"thirdparty-{x}", plugin(f"thirdparty-{x}", f"{x}-net"))
    with (tmp_path / "thirdparty_a-1.2.dist-info/METADATA").open("a") as file:
        file.write("License-Expression: MIT\n")
    reg = install()
    assert [reg.owner(n).license for n in ("a-net", "b-net", "scgan")] == ["MIT", "unknown", "Apache-2.0"]
