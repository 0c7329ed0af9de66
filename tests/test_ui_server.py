"""`zoo ui` as a page meets it: a real server on the loopback, asked over HTTP."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
from fixtures_ui import ENOUGH, STEPS, TOKEN, Editor, ask, labels_of, part, pixels_of, result, styled, wire

import zoo


def photo_bytes(inputs: Path, name: str = "photo.png") -> bytes:
    return (inputs / name).read_bytes()


def test_the_facts_say_what_the_models_can_do(editor: Editor) -> None:
    facts = editor.client().get("/api/facts").json()
    assert (facts["version"], facts["engine"], facts["tokenless"]) == (zoo.__version__, "server", False)
    models = {m["id"]: m for kind in ("generators", "synthesizers", "parsers") for m in facts[kind]}
    assert set(models) == {"mask-vae-celeba", "scgan-celeba", "clvae-tiny", "sdm-tiny", "face-parser-celeba"}
    clvae = models["clvae-tiny"]
    assert clvae["layers"] == ["1/32", "1/16", "1/8", "1/4", "1/2"] and "hair" in clvae["styleClasses"]
    assert set(clvae["can"]) >= {"style:prior", "style:mean", "style:photo", "style:partial", "layers"}
    assert models["scgan-celeba"]["layers"] == models["scgan-celeba"]["styleClasses"] == []
    assert models["sdm-tiny"]["slow"] and not clvae["slow"]
    options = {o["name"]: (o["default"], o["choices"]) for o in models["sdm-tiny"]["options"]}
    assert options["steps"] == ("none", []) and options["sampler"] == ("ddpm", ["ddpm", "ddim"])
    assert options["clip"] == ("true", ["true", "false"]) and clvae["options"] == []
    vae = models["mask-vae-celeba"]
    assert {"edit:add", "edit:interpolate"} <= set(vae["can"]) and vae["priors"] == ["fitted", "normal"]
    assert "hair" in vae["labels"] and "background" not in vae["labels"] and vae["joins"] == {"celebamask-hq": None}
    space = zoo.label_space("celebamask-hq")
    told = facts["spaces"]["celebamask-hq"]
    assert [c["name"] for c in told["classes"]] == list(space.names) and told["background"] == 0
    assert told["classes"][1]["color"] == "#{:02x}{:02x}{:02x}".format(*space.palette[1])


def test_generate_gives_the_maps_of_the_command_line(editor: Editor, ui_models: dict[str, Path]) -> None:
    job = {"kind": "generate", "generator": "mask-vae-celeba", "labels": ["skin", "hair", "nose"], "seed": 4, "n": 3}
    made = result(editor.client(), job)
    pipe = zoo.compose((str(ui_models["mask-vae-celeba"]), None), device="cpu")
    expected = pipe(labels=["skin", "hair", "nose"], n=3, seed=4).maps
    assert expected is not None
    for entry, labels in zip(made["maps"], expected.labels, strict=True):
        assert entry["space"] == "celebamask-hq" and np.array_equal(labels_of(entry), labels.numpy())
    drawn = result(editor.client(), {**job, "labels": None, "n": 1})["maps"]
    assert len(drawn) == 1


def test_edits_are_those_of_the_command_line(editor: Editor, ui_models: dict[str, Path], inputs: Path) -> None:
    face, other = (np.asarray(PIL.Image.open(inputs / f"{name}.png")) for name in ("face", "other"))
    edits = [
        {"kind": "redraw", "labels": ["hair"]},
        {"kind": "remove", "labels": ["mouth"]},
        {"kind": "add", "labels": ["hat"]},
        {"kind": "perturb", "labels": ["nose"], "strength": 0.5},
        {"kind": "interpolate", "labels": ["skin"], "amount": 0.25},
    ]
    job = {"kind": "edit", "generator": "mask-vae-celeba", "map": wire(face), "edits": edits, "other": wire(other)}
    made = result(editor.client(), {**job, "seed": 7, "n": 2, "keepRest": True})
    pipe = zoo.compose((str(ui_models["mask-vae-celeba"]), None), device="cpu")
    written = [
        "redraw:hair",
        "remove:mouth",
        "add:hat",
        "perturb:nose=0.5",
        f"interpolate:skin={inputs / 'other.png'}@0.25",
    ]
    expected = pipe(
        maps=str(inputs / "face.png"), mask_space="celebamask-hq", edits=written, seed=7, n=2, keep_rest=True
    ).maps
    assert expected is not None
    assert all(np.array_equal(labels_of(m), e.numpy()) for m, e in zip(made["maps"], expected.labels, strict=True))


def test_a_picture_is_that_of_the_command_line(
    editor: Editor, ui_models: dict[str, Path], inputs: Path, face: np.ndarray
) -> None:
    """Base, classes, layers and seeds, against `zoo compose`; then the same with what a stroke keeps."""
    client = editor.client("picture-tab")
    job = {
        "kind": "render",
        "synthesizer": "clvae-tiny",
        "map": wire(face),
        "seed": 5,
        "style": styled(part({"kind": "seed", "seed": 9}, "hair", layers=["1/2"]), part({"kind": "mean"}, "skin")),
    }
    made = result(client, {**job, "fresh": True})
    pipe = zoo.compose((None, str(ui_models["clvae-tiny"])), device="cpu")
    expected = pipe(
        maps=str(inputs / "face.png"),
        mask_space="celebamask-hq",
        style=["seed:3", "hair@5=seed:9", "skin=mean"],
        seed=5,
    )
    assert np.array_equal(pixels_of(made), np.asarray(expected.pil()[0]))
    assert (made["width"], made["height"], len(made["digest"])) == (32, 32, 64)
    stroke = face.copy()
    stroke[4:8, 10:30] = 0
    changed = result(client, {**job, "map": wire(stroke)})
    assert not np.array_equal(pixels_of(changed), pixels_of(made))
    back = pixels_of(result(client, job)).astype(int)
    assert np.abs(back - pixels_of(made)).max() <= 1  # a reused layout agrees to rounding


def test_options_are_those_of_the_command_line(
    editor: Editor, ui_models: dict[str, Path], inputs: Path, face: np.ndarray
) -> None:
    options = {"steps": "2", "sampler": "ddim", "guidance": "1"}
    job = {"kind": "render", "synthesizer": "sdm-tiny", "map": wire(face), "seed": 3, "options": options}
    made = pixels_of(result(editor.client("options-tab"), job))
    pipe = zoo.compose((None, str(ui_models["sdm-tiny"])), device="cpu")
    expected = pipe(maps=str(inputs / "face.png"), mask_space="celebamask-hq", seed=3, options=options)
    assert np.array_equal(made, np.asarray(expected.pil()[0]))
    other = pixels_of(result(editor.client("options-tab"), {**job, "options": {**options, "steps": "3"}}))
    assert not np.array_equal(made, other)


def test_the_style_of_a_photo_its_own_pixels_and_the_mix(
    editor: Editor, ui_models: dict[str, Path], inputs: Path, face: np.ndarray
) -> None:
    client = editor.client("photo-tab-1")
    told = client.post("/api/photos", content=photo_bytes(inputs)).json()
    assert (told["width"], told["height"]) == (48, 48) and len(told["photo"]) == 64
    source = {"kind": "photo", "photo": told["photo"], "map": wire(face)}
    job = {"kind": "render", "synthesizer": "clvae-tiny", "map": wire(face), "seed": 1, "fresh": True}
    made = result(client, {**job, "style": styled(base=source)})
    pipe = zoo.compose((None, str(ui_models["clvae-tiny"])), device="cpu")
    style = f"{inputs / 'photo.png'}::{inputs / 'face.png'}"
    maps = {"maps": str(inputs / "face.png"), "mask_space": "celebamask-hq", "seed": 1}
    assert np.array_equal(pixels_of(made), np.asarray(pipe(style=style, **maps).pil()[0]))
    whole = {**source, "frame": {"x": 24, "y": 24, "side": 48, "angle": 0}}
    assert result(client, {**job, "style": styled(base=whole)})["digest"] == made["digest"]
    turned = {**source, "frame": {"x": 20, "y": 24.5, "side": 60, "angle": 30}}
    assert result(client, {**job, "style": styled(base=turned)})["digest"] != made["digest"]
    # amount 1 is the other style, but for a locked class
    mixed = styled(mix={"source": source, "amount": 1})
    assert result(client, {**job, "style": mixed})["digest"] == made["digest"]
    locked = styled(part({"kind": "seed", "seed": 8}, "hair", locked=True), mix={"source": source, "amount": 1})
    after = styled(part({"kind": "seed", "seed": 8}, "hair"), base=source)
    assert (
        result(client, {**job, "style": locked})["digest"]
        == result(client, {**job, "style": after})["digest"]
        != made["digest"]
    )
    kept = result(client, {**job, "style": styled(), "keep": {**source, "classes": ["skin"]}})
    plain = pixels_of(result(client, {**job, "style": styled()}))
    small = (
        zoo.SemanticMap.from_png(inputs / "face.png", zoo.label_space("celebamask-hq"))
        .resize((32, 32))
        .labels[0]
        .numpy()
    )
    assert np.array_equal(pixels_of(kept)[small != 1], plain[small != 1])
    assert not np.array_equal(pixels_of(kept)[small == 1], plain[small == 1])
    missing = result(client, {**job, "map": wire(np.where(face == 2, 14, face)), "style": styled(part(source, "hat"))})
    assert any("hat" in note for note in missing["notes"])


def test_a_photo_is_parsed(editor: Editor, ui_models: dict[str, Path], inputs: Path) -> None:
    client = editor.client()
    photo = client.post("/api/photos", content=photo_bytes(inputs)).json()["photo"]
    made = result(client, {"kind": "parse", "photo": photo, "parser": "face-parser-celeba", "size": [48, 48]})
    expected = zoo.parse(inputs / "photo.png", parser=ui_models["face-parser-celeba"], device="cpu")
    assert np.array_equal(labels_of(made["map"]), expected.labels[0].numpy())
    part_of = result(client, {"kind": "parse", "photo": photo, "frame": {"x": 20, "y": 20, "side": 30, "angle": -5}})
    assert labels_of(part_of["map"]).shape == (32, 32)


def test_a_map_comes_back_to_the_pixel(editor: Editor, inputs: Path, face: np.ndarray) -> None:
    client = editor.client()
    told = client.post(
        "/api/maps", params={"name": "../../etc/face.png"}, content=photo_bytes(inputs, "face.png")
    ).json()
    assert np.array_equal(labels_of(told["map"]), face) and told["map"]["space"] == "celebamask-hq" and told["notes"]
    grey = io.BytesIO()
    PIL.Image.fromarray(face, "L").save(grey, "PNG")
    told = client.post("/api/maps", params={"read": "celebamask-hq"}, content=grey.getvalue()).json()
    assert np.array_equal(labels_of(told["map"]), face)
    other = zoo.SemanticMap.from_png(inputs / "face.png", zoo.label_space("celebamask-hq")).to_space(
        zoo.label_space("face-parsing")
    )
    as_file = io.BytesIO()
    other.to_pil().save(as_file, "PNG")
    told = client.post(
        "/api/maps", params={"read": "face-parsing", "space": "celebamask-hq"}, content=as_file.getvalue()
    ).json()
    assert np.array_equal(labels_of(told["map"]), face) and "by the names" in told["notes"][0]


# --- who may ask --------------------------------------------------------------------------------------------------


def test_wrong_tokens_hosts_and_origins_are_refused(editor: Editor) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        answer = editor.client(**headers).get("/api/facts")
        assert answer.status_code == 401 and "zoo ui" in answer.json()["error"]
    assert httpx.get(f"{editor.url}/api/facts?token={TOKEN}", trust_env=False).status_code == 401
    for host in (
        "evil.example",
        f"evil.example:{editor.port}",
        "127.0.0.1:1",
        f"127.0.0.1.evil.example:{editor.port}",
        f"a@127.0.0.1:{editor.port}",
    ):
        assert editor.client(Host=host).get("/api/facts").status_code == 421
    assert editor.client(Host=f"localhost:{editor.port}").get("/api/facts").status_code == 200
    for origin in ("https://evil.example", "null", "http://127.0.0.1", f"http://localhost:{editor.port}"):
        assert editor.client(Origin=origin).get("/api/facts").status_code == 403
    assert editor.client(Origin=editor.url).get("/api/facts").status_code == 200


def test_every_answer_has_its_headers_and_no_address_reaches_files(editor: Editor) -> None:
    client = editor.client()
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    for answer in (page, client.get("/api/facts"), client.get("/nothing"), editor.client(Origin="null").get("/")):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert (
            answer.headers["x-content-type-options"] == "nosniff" and answer.headers["referrer-policy"] == "no-referrer"
        )
        assert "server" not in answer.headers
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/..%2f..%2fversion.py",
        "/docs",
        "/openapi.json",
    ):
        answer = raw(editor, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{editor.port}\r\nConnection: close\r\n\r\n")
        assert b" 404 " in answer.splitlines()[0] and b"import" not in answer
    assert client.get("/static/index.html").text == page.text
    assert client.put("/api/facts").status_code == 405 and "error" in client.put("/api/facts").json()


def raw(editor: Editor, text: str) -> bytes:
    """What the server answers to these very bytes."""
    with socket.create_connection(("127.0.0.1", editor.port), timeout=ENOUGH) as line:
        line.sendall(text.encode())
        pieces = []
        while piece := line.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


# --- what is wrong with what is sent ------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/api/photos", "/api/maps"])
def test_broken_pictures_are_one_sentence(editor: Editor, inputs: Path, address: str) -> None:
    whole = photo_bytes(inputs)
    for content in (b"", b"no picture at all", whole[: len(whole) // 2], b"%PDF-1.7 ...", bytes(1000)):
        answer = editor.client().post(address, content=content)
        told = answer.json()["error"]
        assert answer.status_code == 400 and told.endswith(".") and "Traceback" not in told and "/" not in told


def test_huge_uploads_are_refused_unread(editor: Editor) -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while sent < 1 << 30:
            sent += 1 << 20
            yield bytes(1 << 20)

    answer = editor.client().post("/api/photos", content=bytes((32 << 20) + 1))
    assert answer.status_code == 413 and "32 MiB" in answer.json()["error"]
    try:
        answer = editor.client().post("/api/photos", content=endless())
        assert answer.status_code == 413 and "MiB" in answer.json()["error"]
    except (httpx.NetworkError, httpx.RemoteProtocolError):  # it hung up on us, before or amid its answer: right, too
        pass
    assert sent <= 256 << 20
    head = f"POST /api/photos HTTP/1.1\r\nHost: 127.0.0.1:{editor.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
    stated = f"{head}X-Zoo-Session: tab-of-the-tests\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n"
    assert b" 413 " in raw(editor, stated).splitlines()[0]
    # few bytes that say that they are many pixels

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    size = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    answer = editor.client().post("/api/photos", content=bomb)
    assert answer.status_code == 400 and "30000 x 30000" in answer.json()["error"]


def test_wrong_jobs_are_one_sentence(editor: Editor, face: np.ndarray) -> None:
    client = editor.client()
    render = {"kind": "render", "synthesizer": "clvae-tiny", "map": wire(face), "style": styled(), "seed": 0}
    wrong: list[tuple[Any, str]] = [
        ({}, "No job"),
        ({"kind": "fly"}, "No job"),
        ({**render, "synthesizer": "../../etc"}, "No synthesizer"),
        ({**render, "synthesizer": "mask-vae-celeba"}, "No synthesizer"),
        ({**render, "map": None}, "an object is needed"),
        ({**render, "map": {**wire(face), "width": 49}}, "as many bytes"),
        ({**render, "map": {**wire(face), "labels": "!!"}}, "base64"),
        ({**render, "map": wire(np.full((8, 8), 19))}, "no classes"),
        ({**render, "map": {**wire(face), "space": "atr"}}, "label space"),
        ({**render, "map": {**wire(face), "width": 8192, "height": 8192}}, "at most"),
        ({**render, "style": styled(base={"kind": "file", "path": "/etc/passwd"})}, "of kind"),
        ({**render, "style": styled(base={"kind": "photo", "photo": "../x"})}, "sha256"),
        ({**render, "style": styled(base={"kind": "seed", "seed": -1})}, "seed"),
        ({**render, "style": styled(mix={"source": {"kind": "mean"}, "amount": 2})}, "amount"),
        ({**render, "seed": 1.5}, "seed"),
        ({**render, "options": {"steps": "2"}}, "no options"),
        ({**render, "synthesizer": "sdm-tiny", "options": {"step": "2"}}, "did you mean 'steps'"),
        ({**render, "synthesizer": "sdm-tiny", "options": {"steps": "many"}}, "steps"),
        ({**render, "synthesizer": "sdm-tiny", "options": {"steps": 2}}, "a text of at most"),
        ({**render, "synthesizer": "sdm-tiny", "options": {"spacing": "1" * 300}}, "a text of at most"),
        ({**render, "synthesizer": "sdm-tiny", "options": {str(i): "1" for i in range(65)}}, "at most 64 options"),
        ({**render, "options": ["steps"]}, "options"),
        ({"kind": "generate", "generator": "mask-vae-celeba", "labels": ["skin"], "options": {"flatten": "x"}}, "no options"),
        ({"kind": "generate", "generator": "mask-vae-celeba", "labels": []}, "empty"),
        ({"kind": "generate", "generator": "mask-vae-celeba", "labels": ["moustache"]}, "moustache"),
        ({"kind": "generate", "generator": "mask-vae-celeba", "labels": ["skin"], "n": 1000}, "n goes from 1 to"),
        ({"kind": "edit", "generator": "mask-vae-celeba", "map": wire(face), "edits": []}, "edits"),
        ({"kind": "edit", "generator": "mask-vae-celeba", "map": wire(face), "edits": [{"kind": "interpolate", "labels": ["hair"]}]}, "another map"),
        ({"kind": "edit", "generator": "mask-vae-celeba", "map": wire(face), "edits": [{"kind": "melt", "labels": ["hair"]}]}, "melt"),
    ]  # fmt: skip
    for job, words in wrong:
        line = ask(client, job)
        assert line.get("status") == 400 and words in line["error"], line
    for content in (b"", b"{", b"[]", b'{"kind": NaN}', b"[" * 100_000):
        answer = client.post("/api/run", content=content)
        assert answer.status_code == 400 and "error" in answer.json()
    for line in (
        ask(client, {**render, "style": styled(part({"kind": "mean"}, "moustache"))}),
        ask(client, {**render, "style": styled(part({"kind": "mean"}, "hair", layers=["1/3"]))}),
        ask(client, {**render, "synthesizer": "scgan-celeba", "style": styled(part({"kind": "mean"}, "hair"))}),
        ask(
            client,
            {
                "kind": "edit",
                "generator": "mask-vae-celeba",
                "map": wire(face),
                "edits": [{"kind": "redraw", "labels": ["hat"]}],
            },
        ),
    ):
        assert line["retry"] is False and line["error"].endswith((".", ")"))
    assert client.post("/api/run", json=render, headers={"X-Zoo-Session": "x"}).status_code == 400


def test_a_forgotten_photo_is_asked_for_again(editor: Editor, inputs: Path, face: np.ndarray) -> None:
    content = photo_bytes(inputs, "photo2.png")
    name = hashlib.sha256(content).hexdigest()
    job = {"kind": "render", "synthesizer": "clvae-tiny", "map": wire(face), "seed": 0}
    job["style"] = styled(base={"kind": "photo", "photo": name, "map": wire(face)})
    client = editor.client()
    line = ask(client, job)
    assert line["status"] == 410 and line["missing"] == [name]
    assert client.post("/api/photos", content=content).json()["photo"] == name
    assert result(client, job)["width"] == 32


# --- one at a time, and an end of waiting --------------------------------------------------------------------------------


def slow(face: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """A job that no test sees the end of."""
    return {"kind": "render", "synthesizer": "sdm-tiny", "map": wire(face), "style": styled(), "seed": seed}


def first_steps(lines: Any) -> None:
    """Read until the model works. The caller holds `lines`: a generator that nobody holds closes its connection, and the job is cancelled."""
    for text in lines:
        line = json.loads(text)
        assert "error" not in line, line
        if line.get("text") == "steps" and line["progress"][0] >= 1:
            assert line["progress"][1] == STEPS
            return
    raise AssertionError("it never worked")


def test_a_newer_stroke_cancels_the_older_one_and_facts_do_not_wait(editor: Editor, face: np.ndarray) -> None:
    client, other = editor.client("stroke-tab-1"), editor.client("stroke-tab-2")
    with client.stream("POST", "/api/run", json=slow(face)) as older:
        lines = older.iter_lines()
        first_steps(lines)
        assert editor.client().get("/api/facts").status_code == 200
        # another tab is served meanwhile
        quick = {"kind": "render", "synthesizer": "scgan-celeba", "map": wire(face), "style": styled(), "seed": 0}
        assert result(other, quick)["width"] == 32
        assert result(client, quick)["width"] == 32
        last = [json.loads(text) for text in lines][-1]
    assert last["cancelled"] and "newer" in last["error"]


def test_a_page_that_goes_away_takes_its_job_along(editor: Editor, face: np.ndarray) -> None:
    client = editor.client("leaving-tab")
    for _ in range(2):  # the second one begins only if the first has left the model
        with client.stream("POST", "/api/run", json=slow(face)) as running:
            lines = running.iter_lines()  # held: it is the end of the block that ends the connection
            first_steps(lines)


def test_a_full_queue_says_so(editor: Editor, face: np.ndarray) -> None:
    client = editor.client("queueing-tab")
    draw = {"kind": "generate", "generator": "mask-vae-celeba", "labels": ["skin"], "seed": 0, "n": 1}
    waiting = []
    try:
        blocker = client.build_request("POST", "/api/run", json=slow(face))
        waiting.append(client.send(blocker, stream=True))
        lines = waiting[0].iter_lines()  # held to the end
        first_steps(lines)
        codes = []
        for _ in range(8):
            waiting.append(client.send(client.build_request("POST", "/api/run", json=draw), stream=True))
            codes.append(waiting[-1].status_code)
        assert codes == [200] * 6 + [429] * 2
        full = waiting[-1]
        full.read()
        assert "wait" in full.json()["error"] and full.json()["retry"] is True and full.headers["retry-after"]
    finally:
        for response in waiting:
            response.close()
    assert len(result(client, draw)["maps"]) == 1


# --- beginnings and ends -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_server_loses_nothing_of_the_page(ui_arguments: list[str], inputs: Path, face: np.ndarray) -> None:
    """The page holds map, style and photo; a new server at the same place, with a fresh token, makes the same picture of them. Ctrl-C in the
    midst of a long job ends it quietly."""
    content = photo_bytes(inputs)
    job = {"kind": "render", "synthesizer": "clvae-tiny", "map": wire(face), "seed": 2, "fresh": True}
    served = Editor(*ui_arguments, token=None)
    assert served.token and len(served.token) > 30
    client = served.client()
    job["style"] = styled(
        base={"kind": "photo", "photo": client.post("/api/photos", content=content).json()["photo"], "map": wire(face)}
    )
    before = result(client, job)["digest"]
    served.process.kill()
    served.stop()
    again = Editor(*ui_arguments, token=None, port=served.port)
    try:
        assert again.port == served.port and again.token != served.token
        assert client.get("/api/facts").status_code == 401
        client = again.client()
        assert ask(client, job)["status"] == 410
        client.post("/api/photos", content=content)
        assert result(client, job)["digest"] == before
        taken = subprocess.run(
            [sys.executable, "-m", "zoo", "ui", "--no-browser", "--port", str(again.port), *ui_arguments],
            capture_output=True, text=True, timeout=ENOUGH, check=False,
        )  # fmt: skip
        assert (
            (taken.returncode, taken.stdout) == (2, "") and "--port" in taken.stderr and "Traceback" not in taken.stderr
        )
        with client.stream("POST", "/api/run", json=slow(face)) as running:
            lines = running.iter_lines()  # held: the job must still be wanted when the server is stopped
            first_steps(lines)
            code, out, err = again.stop()
        assert (code, out, err.strip()) == (130, "", "Interrupted.")
    finally:
        again.stop()


def test_a_missing_extra_and_bad_calls_are_one_line(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import zoo.cli.ui

    monkeypatch.setattr(zoo.cli.ui, "find_spec", lambda name: None)
    told = run("ui", "--no-browser")
    assert told.code == 2 and told.out == "" and "pip install 'maskzoo[ui]'" in told.err
    monkeypatch.undo()
    told = run("ui", "--models", "no-such-model")
    assert told.code == 2 and "no-such-model" in told.err
    monkeypatch.setenv("ZOO_UI_TOKEN", "short")
    told = run("ui", "--no-browser", "--port", "0")
    assert told.code == 2 and "ZOO_UI_TOKEN" in told.err and os.environ["ZOO_UI_TOKEN"] not in told.out
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    told = run("ui", "--export-space", tmp_path / "full")
    assert told.code == 2 and "not empty" in told.err
