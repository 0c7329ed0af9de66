"""The worked example `examples/controlnet-seg`: diffusers' real classes, tiny and random, behind the zoo's interface."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import controlnet_tiny as tiny
import pytest
from controlnet_tiny import CARD, SIDE, TOY, build, options
from fixtures_models import Ran
from thirdparty import write_plugin

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "controlnet-seg"
for library in ("diffusers", "transformers"):
    if find_spec(library) is None:
        pytest.skip(f"needs {library}, the example's own dependency (pip install '.[test]')", allow_module_level=True)

import torch  # noqa: E402
from PIL import Image  # noqa: E402

import zoo  # noqa: E402
from zoo import cards  # noqa: E402
from zoo.composition.run.inputs import crop_to  # noqa: E402
from zoo.errors import ConfigError, UsageError, WeightsError, ZooError  # noqa: E402
from zoo.interfaces.models import Model  # noqa: E402
from zoo.registry import registry  # noqa: E402
from zoo.testing import ModelContract  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The example (from its folder) and the toy generator as installed plugins."""
    site = tmp_path_factory.mktemp("site")
    write_plugin(site, "controlnet-example", "from zoo_controlnet_seg import plugin\n")
    write_plugin(site, "toy-scenes-dist", TOY)
    sys.path[:0] = [str(site), str(EXAMPLE)]
    importlib.invalidate_caches()
    tiny.forget()
    yield
    sys.path.remove(str(site))
    sys.path.remove(str(EXAMPLE))
    for name in [n for n in sys.modules if n.startswith(("zoo_controlnet_seg", "controlnet_example", "toy_scenes"))]:
        del sys.modules[name]
    tiny.forget()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pipeline in diffusers' layout."""
    return tiny.write_snapshot(tmp_path_factory.mktemp("snapshots") / "pipeline")


@pytest.fixture(scope="module")
def folder(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder that the example's builder makes of it."""
    out = tmp_path_factory.mktemp("models") / "controlnet-tiny"
    assert build("--pipeline", snapshot, "--out", out, "--size", f"{SIDE}x{SIDE}", *CARD) == 0
    return out


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return zoo.load(folder)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy generator's model folder."""
    return zoo.save(zoo.create("toy-scenes"), tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(scope="module")
def maps() -> zoo.SemanticMap:
    return tiny.draw_scenes()


@pytest.fixture(scope="module")
def scene(maps: zoo.SemanticMap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first scene as the data set stores it: grey, the value is the class."""
    path = tmp_path_factory.mktemp("scenes") / "ADE_val_1.png"
    Image.fromarray(maps.labels[0].byte().numpy()).save(path)
    return path


class TestContract(ModelContract):
    """A wrapper of another library's networks keeps the same contract."""

    architecture = "controlnet-seg"
    folder: ClassVar[Path]

    @pytest.fixture(autouse=True)
    def _options(self, folder: Path) -> None:
        type(self).folder, type(self).options = folder, options(guidance=2.0, eta=0.5)

    def build(self) -> Model:
        return zoo.load(self.folder)


# --- colours and folders ------------------------------------------------------------------------------------------


def test_the_palette_is_ade20ks(shared: Path) -> None:
    from zoo_controlnet_seg.palette import palette

    listed = json.loads((shared / "data/label_names.json").read_text())["ade20k"]["classes"]
    colors = (palette() * 255).round().int().tolist()
    assert colors[0] == [0, 0, 0] and colors[1:] == [c["color"] for c in sorted(listed, key=lambda c: c["value"])]
    assert [list(c) for c in zoo.label_space("ade20k").palette] == colors


def test_it_can_do_what_it_declares(model: Any) -> None:
    assert (
        model.capabilities()
        == set(registry().architecture("controlnet-seg").can)
        == {"style:prior", "steps", "options"}
    )


def test_the_layout_is_the_map_in_colours(model: Any, maps: zoo.SemanticMap) -> None:
    layout = model.layout(maps)
    assert layout.picture.shape == (3, 3, SIDE, SIDE)
    assert [round(v * 255) for v in layout.picture[0, :, 0, 5].tolist()] == [6, 230, 230]  # sky
    assert layout.picture[0, :, -1, 0].tolist() == [0, 0, 0]  # unlabeled
    with pytest.raises(ZooError):
        model.layout(zoo.SemanticMap(torch.zeros(1, 8, 8, dtype=torch.long), zoo.label_space("facades")))
    with pytest.raises(ConfigError, match="ade20k"):
        type(model)(model.config, zoo.label_space("atr"))


def test_the_folder_holds_json_and_safetensors_and_its_card_vouches_for_all(folder: Path, tmp_path: Path) -> None:
    card = cards.read_card(folder)
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert card is not None and {*card.facts["files"], "README.md"} == files
    assert {Path(f).suffix for f in files} == {".json", ".safetensors", ".md"}
    assert "wrapped/unet/diffusion_pytorch_model.safetensors" in files and not cards.missing_facts(card)
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    damaged = copy / "wrapped/unet/diffusion_pytorch_model.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(WeightsError, match="does not match its card"):
        zoo.load(copy)


def test_saved_and_loaded_it_is_the_same_also_for_diffusers(model: Any, folder: Path, tmp_path: Path) -> None:
    from diffusers import DDIMScheduler, StableDiffusionControlNetPipeline

    again = zoo.load(zoo.save(model, tmp_path / "again"))
    state, other = model.state_dict(), again.state_dict()
    assert state.keys() == other.keys() and all(torch.equal(state[k], other[k]) for k in state)
    half = zoo.load(zoo.save(model, tmp_path / "half", dtype="float16"))
    size, small = (
        (f / "wrapped/vae/diffusion_pytorch_model.safetensors").stat().st_size
        for f in (tmp_path / "again", tmp_path / "half")
    )
    assert small < 0.7 * size and next(half.unet.parameters()).dtype == torch.float32
    pipe = StableDiffusionControlNetPipeline.from_pretrained(folder / "wrapped", local_files_only=True)
    assert type(pipe.scheduler) is DDIMScheduler and pipe.scheduler.config["clip_sample"] is False


def test_the_pictures_are_those_of_the_plain_pipeline(model: Any, folder: Path, maps: zoo.SemanticMap) -> None:
    from diffusers import StableDiffusionControlNetPipeline

    pipe = StableDiffusionControlNetPipeline.from_pretrained(folder / "wrapped", local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    style = model.sample_style(maps, 5)
    expected = pipe(
        ["a street in the rain"] * 3, image=model.layout(maps).picture, num_inference_steps=3, guidance_scale=4.0,
        negative_prompt=["sun"] * 3, controlnet_conditioning_scale=0.7, latents=style.tensors["noise"], output_type="pt",
    ).images  # fmt: skip
    got = model.synthesize(maps, style, options=options(guidance=4.0, negative_prompt="sun", conditioning_scale=0.7))
    assert got.shape == (3, 3, SIDE, SIDE) and float(got.min()) >= 0 and float(got.max()) <= 1
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_a_model_without_networks_says_where_they_come_from(maps: zoo.SemanticMap, tmp_path: Path) -> None:
    bare: Any = zoo.create("controlnet-seg")
    assert bare.resolution == (512, 512)
    for call in (lambda: bare.synthesize(maps), lambda: zoo.save(bare, tmp_path / "no")):
        with pytest.raises(UsageError, match="no networks"):
            call()


def test_the_builder_refuses_what_it_cannot_use(
    snapshot: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pickled, cut, odd, short = (
        Path(shutil.copytree(snapshot, tmp_path / n)) for n in ("pickled", "cut", "odd", "short")
    )
    (weights,) = (pickled / "unet").glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))
    (weights,) = (cut / "vae").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:5000])
    for copy, part, change in (
        (odd, "unet", {"layers_per_block": 2}),
        (short, "text_encoder", {"num_hidden_layers": 1}),
    ):
        config = json.loads((copy / part / "config.json").read_text())
        (copy / part / "config.json").write_text(json.dumps(config | change))
    out = tmp_path / "out"
    for arguments, code, said in (
        (("--pipeline", tmp_path / "none"), 2, "hf download"),
        (("--pipeline", pickled), 1, "Pickles"),
        (("--pipeline", cut), 1, "the vae cannot be read"),
        (("--pipeline", odd), 1, "the unet cannot be read"),
        (("--pipeline", short), 1, "unexpected: "),
        (("--pipeline", snapshot, "--controlnet", snapshot / "tokenizer"), 1, "no safetensors"),
        (("--pipeline", snapshot, "--size", "32"), 2, "HEIGHTxWIDTH"),
        (("--pipeline", snapshot, "--size", "30x32"), 1, "multiple of 8"),
    ):
        assert build("--out", out, "--size", f"{SIDE}x{SIDE}", *CARD, *arguments) == code
        assert said in capsys.readouterr().err
    assert build("--out", folder, "--pipeline", snapshot, *CARD) == 2 and "already" in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} == {"pickled", "cut", "odd", "short"}


def test_a_tokenizer_of_two_text_files_will_do(tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    tiny.write_vocabulary(tmp_path / "words")
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path / "words")
    assert tokenizer.tokenize("A street in the sun") == ["a</w>", "street</w>", "in</w>", "the</w>", "sun</w>"]


# --- what a sample depends on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [{}, {"scheduler": "unipc"}, {"eta": 1.0}], ids=["ddim", "unipc", "eta"])
def test_a_sample_does_not_depend_on_its_batch(model: Any, maps: zoo.SemanticMap, chosen: dict[str, Any]) -> None:
    how = options(**chosen)
    batch = model.synthesize(maps, rng=7, options=how)
    style = model.sample_style(maps, 7)
    for i in (0, 2):
        alone = model.synthesize(maps[i], style[i], options=how)
        torch.testing.assert_close(alone[0], batch[i], atol=1e-4, rtol=0)
    # one map serves several styles, and a style of one sample several maps
    torch.testing.assert_close(
        model.synthesize(model.layout(maps[1]), style, options=how)[1], batch[1], atol=1e-4, rtol=0
    )
    first = model.synthesize(maps, style[0], options=how)
    torch.testing.assert_close(first[0], batch[0], atol=1e-4, rtol=0)
    assert float((first[2] - batch[2]).abs().max()) > 0.01


def test_every_option_changes_the_picture(model: Any, maps: zoo.SemanticMap) -> None:
    style = model.sample_style(maps[0], 1)
    plain = model.synthesize(maps[0], style, options=options())
    for fields in (
        {"prompt": "sun"}, {"negative_prompt": "sun"}, {"steps": 2}, {"guidance": 1.0}, {"conditioning_scale": 0.0},
        {"scheduler": "unipc"}, {"eta": 0.5},
    ):  # fmt: skip
        changed = model.synthesize(maps[0], style, options=options(**fields))
        assert float((changed - plain).abs().max()) > 1e-3, fields
    free = options(conditioning_scale=0.0)
    assert torch.equal(
        model.synthesize(maps[0], style, options=free), model.synthesize(maps[2], style, options=free)
    ), "without the ControlNet the map counts for nothing"


@pytest.mark.parametrize(
    "fields", [{"steps": 0}, {"guidance": -1.0}, {"scheduler": "pndm"}, {"eta": 2.0}, {"eta": 0.5, "scheduler": "unipc"}]
)  # fmt: skip
def test_options_out_of_range(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        options(**fields)


def test_styles_keep_the_source_of_their_steps(model: Any, maps: zoo.SemanticMap, tmp_path: Path) -> None:
    style = model.sample_style(maps, 3)
    assert style.rng.samples == (0, 1, 2) and style[[2, 0]].rng.samples == (2, 0)
    joined = zoo.Style.cat([style[1:], style[0]])
    assert joined.rng.samples == (1, 2, 0) and style[1].expand(2).rng.samples == (1, 1)
    how = options(eta=1.0)
    torch.testing.assert_close(
        model.synthesize(maps[[1, 2, 0]], joined, options=how),
        model.synthesize(maps, style, options=how)[[1, 2, 0]],
        atol=1e-4,
        rtol=0,
    )
    style.save(tmp_path / "noise.safetensors")
    loaded = zoo.Style.load(tmp_path / "noise.safetensors")
    assert torch.equal(
        model.synthesize(maps, loaded, options=options()), model.synthesize(maps, style, options=options())
    )
    with pytest.raises(UsageError, match="noise"):
        model.synthesize(maps, zoo.Style({"z": torch.zeros(3, 4)}, {"z": ("sample", "channel")}))
    with pytest.raises(UsageError, match="prior"):
        model.sample_style(maps, 0, prior="fitted")


def test_a_mixture_of_two_draws_is_as_strong_as_one(model: Any, maps: zoo.SemanticMap) -> None:
    a, b = model.sample_style(maps[0], 1), model.sample_style(maps[0], 2)
    assert torch.equal(model._noise(a), a.tensors["noise"])
    half = model._noise(a.lerp(b, 0.5)).square().mean().sqrt()
    assert float(half) == pytest.approx(1, abs=0.01)


# --- progress -----------------------------------------------------------------------------------------------------


def test_progress_counts_steps_and_stops_within_one(
    folder: Path, toy: Path, maps: zoo.SemanticMap, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = zoo.compose((str(toy), str(folder)), device="cpu")
    seen: list[tuple[int, int]] = []
    arguments: dict[str, Any] = {"labels": ["sky", "sea"], "n": 3, "batch_size": 2, "seed": 1, "options": {"steps": 4}}
    pipe(**arguments, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(d, 12) for d in (0, 2, 4, 6, 8, 8, 8, 9, 10, 11, 12, 12)]
    calls = 0
    forward = type(model.unet).forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return forward(*args, **kwargs)

    def stop(done: int, total: int) -> None:
        if done >= 4:
            raise zoo.Cancelled("enough")

    monkeypatch.setattr(type(model.unet), "forward", counted)
    with pytest.raises(zoo.Cancelled):
        pipe(**arguments, progress=stop)
    assert calls == 2, "two samples, so the second step reaches 4"
    calls = 0
    with pytest.raises(zoo.Cancelled):
        model.synthesize(maps, rng=0, options=options(), progress=lambda done, total: stop(done * 4, total))
    assert calls == 1


# --- the command line ---------------------------------------------------------------------------------------------


def test_synth_from_the_command_line(folder: Path, scene: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    common = ("synth", folder, scene, "-n", 3, "--device", "cpu", "--opt", "steps=2")
    asked = ("--opt", "prompt=a street in the rain", "--opt", "guidance=3.5")
    done = run(*common, *asked, "--seed", 4, "--out", tmp_path / "a")
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "a/manifest.json").read_text())
    assert manifest["request"]["options"] == {"steps": "2", "prompt": "a street in the rain", "guidance": "3.5"}
    assert "wrapped/unet/diffusion_pytorch_model.safetensors" in manifest["models"]["synthesizer"]["sha256"]
    pictures = [Image.open(p) for p in sorted((tmp_path / "a/images").glob("*.png"))]
    assert [p.size for p in pictures] == [(SIDE, SIDE)] * 3 and len({p.tobytes() for p in pictures}) == 3
    assert Image.open(tmp_path / "a/maps/000000.png").size == (SIDE, SIDE)
    assert run("replay", tmp_path / "a/manifest.json").code == 0
    assert run(*common, *asked, "--seed", 4, "--batch-size", 1, "--out", tmp_path / "b").code == 0
    assert tiny.far_apart(tmp_path / "a", tmp_path / "b") <= 1
    for name, style in (("same", ["--same-style"]), ("seed", ["--style", "seed:1"])):
        assert run(*common, *style, "--seed", 4, "--out", tmp_path / name).code == 0
        assert len({p.read_bytes() for p in (tmp_path / name / "images").glob("*.png")}) == 1
    for wrong, said in (("step=2", "did you mean 'steps'"), ("steps=0", "steps must"), ("eta=3", "eta must")):
        refused = run(*common, "--opt", wrong, "--out", tmp_path / "no")
        assert refused.code == 2 and said in refused.err and not (tmp_path / "no").exists()


def test_a_map_of_the_data_set(folder: Path, shared: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    path = next((shared / "data/samples/ade20k/annotations/validation").glob("*.png"))
    done = run("synth", folder, path, "--seed", 1, "--device", "cpu", "--opt", "steps=1", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    whole = zoo.SemanticMap.from_png(path, zoo.label_space("ade20k"))
    small = zoo.SemanticMap(crop_to(whole.labels, (SIDE, SIDE)), whole.space).resize((SIDE, SIDE))
    assert torch.equal(zoo.SemanticMap.from_png(tmp_path / "out/maps/000000.png", small.space).labels, small.labels)


def test_composed_with_a_toy_generator(folder: Path, toy: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    done = run(
        "compose", f"{toy}+{folder}", "--labels", "sky,sea,sand", "-n", 2, "--seed", 2, "--device", "cpu", "--opt", "steps=2",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.code == 0, done.err
    record = json.loads((tmp_path / "out/metadata.jsonl").read_text().splitlines()[0])
    assert set(record["labels"]) <= {"sky", "sea", "sand", "unlabeled"} and "sky" in record["labels"]
    assert run("replay", tmp_path / "out/manifest.json").code == 0


@pytest.mark.slow
def test_installed_into_a_fresh_environment(folder: Path, toy: Path, scene: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}

    def call(*command: object, code: int = 0) -> str:
        result = subprocess.run(
            [str(c) for c in command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=500, check=False
        )
        assert result.returncode == code and "Traceback" not in result.stderr, (
            result.stdout[-2000:] + result.stderr[-2000:]
        )
        return result.stdout

    call(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (python,) = (tmp_path / "venv/bin").glob("python")
    # this interpreter's libraries, its editable install of the zoo among them
    (site / "dependencies.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    pip = (sys.executable, "-m", "pip", "--python", python)
    call(*pip, "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", source)
    write_plugin(site, "toy-scenes-dist", TOY)
    shutil.copyfile(ROOT / "tests/toy_scenes.py", site / "toy_scenes.py")

    zoo_command = (python, "-m", "zoo")
    found = {p["distribution"]: p for p in json.loads(call(*zoo_command, "plugins", "--json"))}
    assert found["zoo-controlnet-seg"]["state"] == "ok" and found["zoo-controlnet-seg"]["version"] == "0.1.0"
    asked = ("--device", "cpu", "--seed", "1", "--opt", "steps=2", "--opt", "guidance=7.5", "--opt", "prompt=a street")
    call(*zoo_command, "synth", folder, scene, *asked, "--out", tmp_path / "synth")
    assert Image.open(tmp_path / "synth/images/000000.png").size == (SIDE, SIDE)
    call(*zoo_command, "compose", f"{toy}+{folder}", "--labels", "sky,sea", *asked, "--out", tmp_path / "compose")
    assert (tmp_path / "compose/grid.png").is_file()
    call(*pip, "uninstall", "--quiet", "--yes", "zoo-controlnet-seg")
    assert "zoo-controlnet-seg" not in call(*zoo_command, "plugins", "--json")
    call(*zoo_command, "synth", folder, scene, "--out", tmp_path / "gone", code=2)
