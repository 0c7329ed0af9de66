"""What the page without a server computes in JavaScript, against the zoo's own: keyed streams, styles, resizing, priors, filling."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segvae_tiny import SPACE
from torch.nn import functional as F

from zoo.rng import Rng
from zoo.style import Style

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "zoo/web/static/engine/static"


@pytest.fixture(scope="module")
def node() -> str:
    """Node 20 or newer; skips where it is absent."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed: the page's engine is tested under it")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"node {version.strip()} is older than 20")
    return found


def ask(node: str, module: str, body: str, given: Any) -> Any:
    """`body`, JavaScript with the module's exports as `m` and the value as `given`, returns a value."""
    script = f"""
        import * as m from {json.dumps((ENGINE / module).as_uri())};
        let text = ""; for await (const part of process.stdin) text += part;
        const given = JSON.parse(text);
        const made = await (async () => {{ {body} }})();
        process.stdout.write(JSON.stringify(made));
    """
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], input=json.dumps(given), capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def numbers(tensor: torch.Tensor) -> list[float]:
    return tensor.flatten().tolist()


def test_streams_are_the_zoos(node: str) -> None:
    """Every float32 is the same, for keys of any letters, long rows and the far tails of the normal."""
    cases = [
        (0, 0, [], ["z"], 4), (7, 3, ["map"], ["score", "skin"], 64), (2**31 - 1, 12, ["style"], ["hair", 3], 7),
        (5, 0, ["style", "to"], ["käse", "\u2028 \"quoted\" \\ \U0001f600", 1], 40), (1, 0, ["image"], ["noise"], 20000),
    ]  # fmt: skip
    got = ask(
        node, "rng.js",
        """return given.map(([seed, sample, prefix, key, n]) => {
            const r = new m.Rng(seed, sample, prefix); return [Array.from(r.normal(key, n)), Array.from(r.uniform(key, n))]; });""",
        cases,
    )  # fmt: skip
    for (seed, sample, prefix, key, count), (normal, uniform) in zip(cases, got, strict=True):
        rng = Rng(seed, [sample], prefix)
        assert torch.equal(torch.tensor(normal), rng.normal(*key, shape=(count,))[0])
        assert uniform == numbers(rng.uniform(*key, shape=(count,)))


def test_the_quantile_in_the_tails(node: str) -> None:
    places = [2.0**-33, 1e-9, 1e-5, 0.1, 0.1353, 0.1354, 0.3, 0.5, 0.7, 0.8646, 0.8647, 0.99999, 1 - 2.0**-33]
    got = ask(node, "ndtri.js", "return given.map(m.ndtri);", places)
    expected = torch.special.ndtri(torch.tensor(places, dtype=torch.float64))
    assert torch.allclose(torch.tensor(got, dtype=torch.float64), expected, rtol=1e-13, atol=1e-15)
    assert torch.equal(torch.tensor(got, dtype=torch.float64).float(), expected.float())


CLASSES, LAYERS = ("skin", "nose", "hair", "hat"), ("1", "2", "3")
AXES = {"z": ("sample", "channel"), "codes": ("sample", "class", "layer", "channel")}


def a_style(seed: int, present: list[bool] | None) -> Style:
    shown = None if present is None else torch.tensor([present])
    codes = Rng(seed).normal("codes", shape=(4, 3, 2))
    visible = None if shown is None else (Rng(seed).uniform("seen", shape=(4, 3)) < 0.8) & shown[:, :, None]
    if shown is not None:
        codes = codes * shown[:, :, None, None]
    return Style({"z": Rng(seed).normal("z", shape=(5,)), "codes": codes}, AXES, CLASSES, LAYERS, shown, visible)


def wire(style: Style) -> dict[str, Any]:
    return {
        "tensors": {n: {"data": numbers(t), "dims": list(t.shape)} for n, t in style.tensors.items()},
        "axes": AXES, "classes": CLASSES, "layers": LAYERS, "rng": None,
        "present": None if style.present is None else style.present[0].tolist(),
        "visible": None if style.visible is None else style.visible[0].tolist(),
    }  # fmt: skip


def test_styles_mix_as_the_zoos(node: str) -> None:
    """take, lerp and fill, with and without absent classes, limited to classes and layers."""
    styles = [a_style(1, None), a_style(2, [True, True, False, True]), a_style(3, [True, False, True, False])]
    limits: list[tuple[Any, Any]] = [
        (None, None),
        (["hair", "nose"], None),
        (None, ["2"]),
        (["skin", "hat"], ["1", "3"]),
    ]
    cases, expected = [], []
    for a in styles:
        for b in styles:
            cases.append(["fill", wire(a), wire(b)])
            expected.append(a.fill(b))
            for classes, layers in limits:
                for t in (1.0, 0.25, 0.75):
                    cases.append(["blend", wire(a), wire(b), t, classes, layers])
                    expected.append(
                        a.take(b, classes=classes, layers=layers)
                        if t == 1.0
                        else a.lerp(b, t, classes=classes, layers=layers)
                    )
    body = """
        const read = (s) => ({ ...s, tensors: Object.fromEntries(Object.entries(s.tensors).map(([n, t]) => [n, { data: Float32Array.from(t.data), dims: t.dims }])) });
        return given.map(([call, a, b, ...more]) => { const s = m[call](read(a), read(b), ...more);
          return { ...s, tensors: Object.fromEntries(Object.entries(s.tensors).map(([n, t]) => [n, Array.from(t.data)])) }; });"""
    for case, style, got in zip(cases, expected, ask(node, "styles.js", body, cases), strict=True):
        for name, tensor in style.tensors.items():
            assert torch.allclose(torch.tensor(got["tensors"][name]), tensor.flatten(), atol=1e-6), case[:1] + case[3:]
        assert got["present"] == (None if style.present is None else style.present[0].tolist()), case[3:]
        if style.visible is not None:
            assert got["visible"] == style.visible[0].tolist(), case[3:]


def test_photos_shrink_and_grow_as_torch_does(node: str) -> None:
    sizes = [((40, 57), (16, 16)), ((16, 16), (40, 24)), ((33, 33), (32, 32)), ((128, 100), (31, 17))]
    for size, target in sizes:
        image = Rng(sum(size)).uniform("photo", shape=(3, *size)).float()
        got = ask(
            node, "resample.js", "return Array.from(m.fitPhoto(Float32Array.from(given[0]), 3, given[1], given[2]));", [numbers(image), size, target]
        )  # fmt: skip
        expected = F.interpolate(image, size=target, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        assert (torch.tensor(got) - expected.flatten()).abs().max() < 2e-5


def test_scores_at_a_photos_size(node: str) -> None:
    """The first maximum of scores scaled to the photo, then its nearest pixels: what parsing and shrinking the map gives."""
    from zoo.maps import nearest

    scores = Rng(4).normal("scores", shape=(5, 16, 16))
    for photo, size in (((61, 61), (32, 32)), ((16, 16), (32, 32)), ((200, 200), (16, 16))):
        whole = F.interpolate(scores, size=photo, mode="bilinear").argmax(1)[0]
        rows, columns = nearest(photo, size)
        got = ask(
            node, "resample.js", "return Array.from(m.strongest(Float32Array.from(given[0]), 5, [16, 16], given[1], given[2]));",
            [numbers(scores), photo, size],
        )  # fmt: skip
        assert got == whole[rows[:, None], columns[None]].flatten().tolist()


def test_the_joint_prior_given_some_parts(node: str) -> None:
    """mask-vae's draws for parts given others (and none), solved in JavaScript."""
    from zoo_plugins.mask_vae.prior import LatentPrior

    parts, size = 6, 10
    codes = Rng(2, range(50)).normal("codes", shape=(parts, size)).cumsum(1)
    prior = LatentPrior.fit(
        codes, torch.rand(50, parts, generator=torch.Generator().manual_seed(0)) < 0.9, components=4
    )
    rng = Rng(9)
    scores, rest = rng.normal("score", shape=tuple(prior.std.shape)), rng.normal("rest", shape=(parts, size))
    tensors = {f"prior.{n}": {"data": numbers(t), "dims": list(t.shape)} for n, t in prior.tensors().items()}
    for wanted, kept in (
        ([1, 1, 1, 0, 1, 1], [0] * 6),
        ([1, 0, 0, 0, 1, 0], [0, 1, 1, 1, 0, 0]),
        ([0, 0, 1, 0, 0, 0], [1, 1, 0, 1, 1, 1]),
    ):
        w, k = torch.tensor([wanted]).bool(), torch.tensor([kept]).bool()
        expected = prior.draw(scores, rest, w, k, codes[:1])[0]
        got = ask(
            node, "gaussian.js", "return Array.from(m.given(given.tensors, given.scores, given.rest, given.wanted, given.kept, given.codes));",
            {"tensors": tensors, "scores": numbers(scores), "rest": numbers(rest), "wanted": w[0].tolist(), "kept": k[0].tolist(), "codes": numbers(codes[0])},
        )  # fmt: skip
        made = torch.tensor(got).view(parts, size)[w[0]]
        assert (made - expected[w[0]]).abs().max() < 1e-5


def test_torn_maps_are_told_from_whole_ones(node: str) -> None:
    from zoo_plugins.segvae.prior import connected_share

    maps = torch.zeros(4, 18, 22, dtype=torch.long)
    maps[0, 2:9, 3:12] = 1
    maps[1] = maps[0]
    maps[1, 12:16, 14:20] = 2
    maps[2] = (Rng(1).uniform("map", shape=(18, 22))[0] < 0.2).long()
    for labels, share in zip(maps, connected_share(maps, 0), strict=True):
        got = ask(node, "steps.js", "return m.connectedShare(Uint8Array.from(given), [18, 22], 0);", numbers(labels))
        assert got == pytest.approx(float(share), abs=1e-6)


def test_edits_are_judged_as_the_command_line_judges_them(node: str) -> None:
    """Which edits have something to act on, and what is said of the others."""
    edits = [
        {"kind": "remove", "labels": ["hat"]}, {"kind": "add", "labels": ["skin"]}, {"kind": "add", "labels": ["hat"]},
        {"kind": "redraw", "labels": ["hat"]}, {"kind": "perturb", "labels": ["cloth"]},
        {"kind": "interpolate", "labels": ["nose"], "amount": 1}, {"kind": "redraw", "labels": ["nose"]},
    ]  # fmt: skip
    body = "return m.acts(given[0], new Set(given[1]), new Set(given[2]));"
    got = ask(node, "layouts.js", body, [edits, ["skin", "nose"], []])
    assert got["acting"] == [False, False, True, True, False, True, False]
    assert got["notes"] == [
        "Nothing to add: the map shows skin already.", "Nothing to perturb: the map shows no cloth.",
        "Nothing to redraw: the map shows no nose.",
    ]  # fmt: skip
    alone = ask(node, "layouts.js", body, [edits[:1], ["skin"], []])
    assert alone["notes"] == ["Nothing to remove: the map shows no hat."]


def test_pixels_are_rounded_as_the_zoo_rounds(node: str) -> None:
    from zoo.files.images import to_pil

    image = (
        torch.cat([torch.linspace(-0.1, 1.1, 300), (torch.arange(256) + 0.5) / 255, torch.zeros(44)])
        .view(1, 20, 30)
        .expand(3, -1, -1)
    )
    got = ask(node, "pictures.js", "return Array.from(m.toPixels(given, 600));", numbers(image.contiguous()))
    assert np.array_equal(np.array(got, np.uint8).reshape(20, 30, 3), np.asarray(to_pil(image)))


def test_maps_of_files(node: str, tmp_path: Path) -> None:
    """Class numbers, a palette's numbers, a space's colours; what is no map is refused in a sentence."""
    import base64
    import io

    from PIL import Image

    labels = (Rng(3).uniform("map", shape=(20, 24))[0] * len(SPACE)).byte().numpy()
    palette = np.array(SPACE.palette, np.uint8)
    pictures = {
        "grey": Image.fromarray(labels),
        "colours": Image.fromarray(palette[labels]),
        "photo": Image.fromarray(palette[labels] ^ 3),
    }
    pictures["palette"] = Image.fromarray(labels)
    pictures["palette"].putpalette(palette.tobytes())
    space = {
        "classes": [
            {"name": n, "color": "#{:02x}{:02x}{:02x}".format(*c)}
            for n, c in zip(SPACE.names, SPACE.palette, strict=True)
        ],
        "background": 0,
    }
    facts = {"spaces": {SPACE.name: space}, "synthesizers": [], "limits": {"uploadBytes": 1 << 20, "pixels": 1 << 20}}
    given = {}
    for name, picture in pictures.items():
        file = io.BytesIO()
        picture.save(file, "PNG")
        given[name] = base64.b64encode(file.getvalue()).decode()
    body = """
        const out = {};
        for (const [name, text] of Object.entries(given.files)) {
          try {
            const { map } = await m.readMap(given.facts, new Blob([Buffer.from(text, "base64")]), name);
            out[name] = [map.width, map.height, map.space, Array.from(map.labels)];
          } catch (error) { out[name] = error.message; }
        }
        return out;"""
    got = ask(node, "imports.js", body, {"facts": facts, "files": given})
    for name in ("grey", "palette", "colours"):
        assert got[name] == [24, 20, SPACE.name, labels.flatten().tolist()], name
    assert "no class" in got["photo"]
