"""The parts of the editor's server without HTTP: what is kept, who may ask, frames of photos, imported maps, the queue, projects, a Space."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from fixtures_ui import ENOUGH, Editor, ask, labels_of, part, pixels_of, result, styled, wire

import zoo
from zoo.errors import Cancelled, DataError, LabelError, UsageError
from zoo.web.bounded import Recent, nbytes
from zoo.web.guard import Guard
from zoo.web.imports import read_map
from zoo.web.jobs import NEWER, Desk, Full, Job
from zoo.web.limits import LOCAL, PUBLIC, Limits
from zoo.web.offers import Offers, gather, join_fault
from zoo.web.photos import SIDE, Forgotten, Photos, cut, decode_photo
from zoo.web.studio import Studio
from zoo.web.wire import Frame
from zoo.web.work import Work

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def offers(ui_models: dict[str, Path]) -> Offers:
    return gather([str(path) for path in ui_models.values()])


@pytest.fixture(scope="module")
def studio(offers: Offers) -> Studio:
    return Studio(offers)


def done(studio: Studio, job: dict[str, Any]) -> dict[str, Any]:
    return studio.run(job)[1](Work())


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_the_oldest_falls_out_in_bytes_and_in_number() -> None:
    kept = Recent(100, 3)
    for i in range(3):
        kept.put(i, str(i), 30)
    assert kept.get(0) == "0"  # now the latest
    kept.put(3, "3", 30)
    assert [kept.get(i) for i in range(4)] == ["0", None, "2", "3"] and kept.size == 90
    kept.put("large", "x", 1000)
    assert len(kept) == 1 and kept.get("large") == "x"
    kept.drop(lambda key: key == "large")
    assert len(kept) == kept.size == 0


def test_shared_memory_counts_once() -> None:
    tensor = torch.zeros(10, 10)
    assert nbytes({"a": tensor, "b": (tensor[:5], tensor)}) == 400 and nbytes(None) == nbytes("text") == 0
    assert nbytes(np.zeros(7, np.uint8)) == 7


def test_photos_are_forgotten_oldest_first_and_decoded_again(inputs: Path) -> None:
    first, second = ((inputs / name).read_bytes() for name in ("photo.png", "photo2.png"))
    photos = Photos(Limits(photos=len(first) + len(second) - 1, decoded=1))
    one = photos.add(first)
    held = photos.get([one.id])  # a job that has it goes on with it
    two = photos.add(second)
    with pytest.raises(Forgotten) as fault:
        photos.get([one.id, two.id])
    assert fault.value.ids == [one.id]
    assert photos.pixels(held[one.id]).shape == photos.pixels(two).shape == (48, 48, 3)


def test_a_photo_is_turned_upright_and_judged_by_its_size() -> None:
    file = io.BytesIO()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (20, 10), "red").save(file, "JPEG", exif=exif)
    pixels, notes = decode_photo(file.getvalue(), 200)
    assert pixels.shape == (20, 10, 3) and "upright" in notes[0]
    with pytest.raises(DataError, match="20 x 10 pixels, more than 199"):
        decode_photo(file.getvalue(), 199)


# --- frames -------------------------------------------------------------------------------------------------------------


def test_a_frame_cuts_turns_and_repeats_the_edge() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[..., 0] = np.arange(60)[None] * 4
    pixels[..., 1] = np.arange(40)[:, None] * 6
    exact = cut(pixels, Frame(20, 15, 10))
    assert torch.equal((exact[0] * 255).round().byte().permute(1, 2, 0), torch.from_numpy(pixels[10:20, 15:25]))
    # the same square by the sampling, which a tiny turn asks for
    torch.testing.assert_close(cut(pixels, Frame(20, 15, 10, 1e-9)), exact, atol=1e-4, rtol=0)
    turned = cut(pixels, Frame(20, 15, 10, 90))  # its upper edge is the right one of the unturned square
    torch.testing.assert_close(turned, exact.rot90(1, (2, 3)), atol=1e-4, rtol=0)
    outside = cut(pixels, Frame(-30, 20, 20))
    assert outside.shape[2:] == (20, 20) and float(outside[:, 0].max()) == 0
    huge = cut(pixels, Frame(30, 20, 5000))
    assert huge.shape[2:] == (SIDE, SIDE) and float(huge.min()) >= 0
    assert cut(pixels, None).shape == (1, 3, 40, 60)


# --- imported maps ----------------------------------------------------------------------------------------------------------


def png(values: Any, mode: str = "L") -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(np.asarray(values, np.uint8), mode).save(file, "PNG")
    return file.getvalue()


def test_maps_are_read_with_their_judgement(offers: Offers, face: np.ndarray) -> None:
    space = zoo.label_space("celebamask-hq")
    colours = png(np.asarray(space.palette, np.uint8)[face], "RGB")
    found = read_map(colours, "face.png", offers, LOCAL)
    assert np.array_equal(found.values, face) and found.space.name == "celebamask-hq"
    with pytest.raises(DataError, match="JPEG"):
        file = io.BytesIO()
        PIL.Image.fromarray(face).convert("RGB").save(file, "JPEG")
        read_map(file.getvalue(), "face.jpg", offers, LOCAL)
    with pytest.raises(LabelError, match="no map of a label space"):
        read_map(png(np.arange(256).reshape(16, 16)), "odd.png", offers, LOCAL)
    with pytest.raises(LabelError, match="no label space 'nowhere'"):
        read_map(png(face), "face.png", offers, LOCAL, read_as="nowhere")
    with pytest.raises(DataError, match="at most 100"):
        read_map(png(face), "face.png", offers, Limits(map_pixels=100))
    with pytest.raises(DataError) as fault:
        read_map(b"x", "../secret/\x1b[31mname", offers, LOCAL)
    assert "secret" not in str(fault.value) and "\x1b" not in str(fault.value)


def test_what_does_not_join_says_why() -> None:
    faces, people, other = (zoo.label_space(n) for n in ("celebamask-hq", "atr", "face-parsing"))
    assert join_fault(faces, other) is join_fault(faces, faces) is None
    assert "hair" in str(join_fault(people, faces)) and "only" in str(join_fault(people, faces))
    assert join_fault(zoo.label_space("camvid"), faces)


def test_models_that_cannot_be_offered_are_named(ui_models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to offer"):
        gather([str(ui_models["face-parser-celeba"])])
    everything = gather()
    assert all(o.reason for o in everything.models.values() if o.folder is None)
    assert {o.role for o in everything.models.values()} == {"generator", "synthesizer", "parser"}


def test_a_damaged_model_is_told_in_the_facts_and_the_others_go_on(
    ui_models: dict[str, Path], tmp_path: Path, face: np.ndarray
) -> None:
    broken = tmp_path / "scgan-broken"
    shutil.copytree(ui_models["scgan-celeba"], broken)
    (broken / "model.safetensors").write_bytes((broken / "model.safetensors").read_bytes()[:-7] + b"damaged")
    studio = Studio(gather([str(broken), str(ui_models["clvae-tiny"])]))
    for _ in range(2):
        models = {m["id"]: m for m in studio.facts()["synthesizers"]}
        assert not models["scgan-broken"]["available"] and "sha256" in models["scgan-broken"]["reason"]
        assert models["clvae-tiny"]["available"] and models["clvae-tiny"]["layers"]
    job = {"kind": "render", "synthesizer": "clvae-tiny", "map": wire(face), "style": styled(), "seed": 0}
    assert done(studio, job)["width"] == 32


# --- work and the queue -------------------------------------------------------------------------------------------------------


def test_work_stops_when_it_is_cancelled_or_too_long() -> None:
    work = Work(seconds=0.01)
    work.begin()
    time.sleep(0.02)
    with pytest.raises(Cancelled, match="longer than"):
        work.check()
    told: list[tuple[int, int, str]] = []
    work = Work(lambda *all: told.append(all))
    work.step(0, 2, "begin")
    work.cancel("enough")
    with pytest.raises(Cancelled, match="enough"):
        work.step(1, 2, "end")
    assert told == [(0, 2, "begin")] and work.cancelled


def test_a_cancelled_render_leaves_between_its_phases(studio: Studio, face: np.ndarray) -> None:
    job = {"kind": "render", "synthesizer": "clvae-tiny", "map": wire(face), "style": styled(), "seed": 0}
    for phase in range(4):
        seen: list[int] = []
        work = Work()

        def report(
            done: int, total: int, text: str, work: Work = work, seen: list[int] = seen, phase: int = phase
        ) -> None:
            seen.append(done)
            if done == phase:
                work.cancel()

        work.report = report
        run = studio.run(job)[1]
        if phase < 3:
            with pytest.raises(Cancelled):
                run(work)
        assert not seen or max(seen) <= phase


def until(there: Any, fault: str) -> None:
    """Wait for a condition."""
    for _ in range(ENOUGH * 100):
        if there():
            return
        time.sleep(0.01)
    raise AssertionError(fault)


class Gate:
    """Jobs that wait to be let go."""

    def __init__(self) -> None:
        self.open, self.begun, self.order = threading.Event(), threading.Semaphore(0), []
        self.lines: dict[str, list[dict[str, Any]]] = {}

    def job(self, name: str, session: str, kind: str = "generate") -> Job:
        def run(work: Work) -> dict[str, Any]:
            self.order.append(name)
            self.begun.release()
            while not self.open.wait(0.005):
                work.check()
            return {"name": name}

        self.lines[name] = []
        return Job(kind, session, run, self.lines[name].append)

    def last(self, name: str) -> dict[str, Any]:
        until(lambda: self.lines[name], f"{name} never ended")
        return self.lines[name][-1]


def test_one_job_a_tab_the_newest_render_and_an_end_of_waiting() -> None:
    desk, gate = Desk(Limits(waiting=3, own_waiting=2), threads=2), Gate()
    desk.submit(gate.job("a1", "a"))
    desk.submit(gate.job("a2", "a"))
    desk.submit(gate.job("b1", "b", "render"))
    assert gate.begun.acquire(timeout=ENOUGH) and gate.begun.acquire(timeout=ENOUGH)
    assert set(gate.order) == {"a1", "b1"}  # a2 waits for its own tab
    desk.submit(gate.job("b2", "b", "render"))
    assert gate.last("b1")["error"] == NEWER and gate.begun.acquire(timeout=ENOUGH) and gate.order[-1] == "b2"
    desk.submit(gate.job("a3", "a", "render"))
    desk.submit(gate.job("a4", "a", "render"))  # in the place of a3, which never began
    assert gate.last("a3")["cancelled"] and "a3" not in gate.order
    with pytest.raises(Full, match="of this page"):
        desk.submit(gate.job("a5", "a"))
    desk.submit(gate.job("c1", "c"))
    with pytest.raises(Full, match="too much"):
        desk.submit(gate.job("d1", "d"))
    left = gate.job("b3", "b")
    desk.cancel(left)  # never submitted: nothing happens
    gate.open.set()
    assert [gate.last(n)["result"]["name"] for n in ("a1", "a2", "a4", "b2", "c1")] == ["a1", "a2", "a4", "b2", "c1"]
    assert desk.close(ENOUGH) and not desk.busy("a")
    with pytest.raises(Full, match="shut down"):
        desk.submit(gate.job("e1", "e"))


def test_faults_nobody_foresaw_are_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(work: Work) -> dict[str, Any]:
        raise RuntimeError("secret path /home/me")

    lines: list[dict[str, Any]] = []
    desk = Desk(LOCAL, threads=1)
    desk.submit(Job("parse", "tab", broken, lines.append))
    until(lambda: lines, "it never ended")
    assert desk.close(ENOUGH) and "RuntimeError" in lines[0]["error"] and "secret" not in lines[0]["error"]
    assert "secret path" in capsys.readouterr().err  # the terminal has it


# --- who may ask ------------------------------------------------------------------------------------------------------------------


def asked(guard: Guard, path: str = "/api/facts", **headers: str) -> int:
    """The status of a GET."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    asyncio.run(guard({"type": "http", "path": path, "headers": pairs}, receive, send))
    return sent[0]["status"]


async def fine(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_a_guard_behind_a_proxy_and_on_all_addresses() -> None:
    space = Guard(fine, token=None, port=7860, hosts=("localhost", "me-zoo.hf.space"), any_address=True)
    assert asked(space, host="me-zoo.hf.space") == asked(space, host="me-zoo.hf.space:443") == 200
    assert asked(space, host="10.1.2.3:7860") == asked(space, host="[::1]:7860") == 200
    assert asked(space, host="other.hf.space") == asked(space, host="10.1.2.3:80") == 421
    assert asked(space, host="me-zoo.hf.space", origin="https://me-zoo.hf.space") == 200
    assert asked(space, host="me-zoo.hf.space", origin="https://huggingface.co") == 403
    assert (
        asked(space)
        == asked(space, host="")
        == asked(space, host="a b")
        == asked(space, host="me-zoo.hf.space:x")
        == 421
    )
    own = Guard(fine, token="t" * 20, port=80)
    assert asked(own, host="localhost", authorization="Bearer " + "t" * 20) == 200
    assert asked(own, host="localhost", authorization="bearer " + "t" * 19) == asked(own, host="localhost") == 401
    assert asked(own, host="localhost", authorization="Bearer é") == 401
    assert asked(own, "/", host="localhost") == 200
    assert asked(own, host="127.0.0.2", authorization="Bearer " + "t" * 20) == 421


# --- projects ------------------------------------------------------------------------------------------------------------------------


def project(studio: Studio, inputs: Path, face: np.ndarray) -> dict[str, Any]:
    """What the page writes."""
    content = (inputs / "photo.png").read_bytes()
    name = studio.photos.add(content).id
    source = {"kind": "photo", "photo": name, "map": wire(face), "frame": {"x": 24, "y": 24, "side": 40, "angle": 3}}
    style = styled(
        part({"kind": "seed", "seed": 8}, "hair", locked=True),
        base=source,
        mix={"source": {"kind": "mean"}, "amount": 0.25},
    )
    keep = {"photo": name, "map": wire(face), "classes": ["nose"]}
    job = {
        "kind": "render",
        "synthesizer": "clvae-tiny",
        "map": wire(face),
        "style": style,
        "keep": keep,
        "seed": 4,
        "fresh": True,
    }
    return {
        "zoo": "project", "version": 1, "made_by": zoo.__version__, "space": "celebamask-hq",
        "map": {"width": 48, "height": 48, "labels": base64.b64encode(png(face)).decode()},
        "photos": {name: base64.b64encode(content).decode()},
        "generator": "mask-vae-celeba", "synthesizer": "clvae-tiny", "parser": "",
        "digests": {"clvae-tiny": studio.offers.models["clvae-tiny"].digest}, "style": style, "keep": keep, "seed": 4, "steps": [],
        "picture": {"sha256 of the pixels (RGB bytes)": done(studio, job)["digest"]},
    }  # fmt: skip


def test_a_project_is_rendered_again(
    run: Any,
    studio: Studio,
    inputs: Path,
    face: np.ndarray,
    ui_models: dict[str, Path],
    published: Path,
    tmp_path: Path,
) -> None:
    values = project(studio, inputs, face)
    path, model = tmp_path / "face.zoo.json", ("--input", str(ui_models["clvae-tiny"]))
    path.write_text(json.dumps(values))
    told = run("replay", path, *model, "--out", tmp_path / "again", "--json")
    report = json.loads(told.out)
    assert (
        told.code == 0 and report["equal"] is True and report["models"] == [] and report["recorded"] == report["sha256"]
    )
    assert np.array_equal(np.asarray(PIL.Image.open(tmp_path / "again/map.png")), face)
    again = np.asarray(PIL.Image.open(tmp_path / "again/picture.png"))
    assert hashlib.sha256(again.tobytes()).hexdigest() == report["sha256"]

    told = run("replay", path, "--json")
    assert told.code == 2 and "clvae-tiny" in told.err and "--input" in told.err and told.out == ""
    path.write_text(json.dumps({**values, "seed": 5, "style": styled(), "digests": {"clvae-tiny": "0" * 64}}))
    told = run("replay", path, *model)
    assert told.code == 1 and "different" in told.out and "clvae-tiny is not the model of the project" in told.err
    path.write_text(json.dumps({**values, "picture": None}))
    told = run("replay", path, *model)
    assert told.code == 0 and "no picture to compare with" in told.out

    name = next(iter(values["photos"]))
    for broken, words in (
        ({**values, "zoo": "manifest"}, "no project"),
        ({**values, "version": 2}, "version 2"),
        ({**values, "map": None}, "map"),
        ({**values, "map": {**values["map"], "width": 47}}, "damaged"),
        ({**values, "map": {**values["map"], "labels": "?"}}, "base64"),
        ({**values, "photos": {"0" * 64: values["photos"][name]}}, "other bytes"),
        ({**values, "photos": {}}, "photo"),
        ({**values, "synthesizer": "/etc/passwd"}, "not here"),
        ({**values, "picture": {"sha256": 1}}, "digest"),
        ([], "an object"),
    ):
        path.write_text(json.dumps(broken))
        told = run("replay", path, *model)
        assert told.code in (1, 2) and words in told.err and told.err.count("Error:") == 1, told.err
    told = run("replay", tmp_path / "nothing.zoo.json")
    assert told.code == 2 and "There is no project" in told.err


# --- a Space ----------------------------------------------------------------------------------------------------------------------------


def test_a_space_runs_from_its_folder(run: Any, ui_models: dict[str, Path], tmp_path: Path, face: np.ndarray) -> None:
    """What `run.sh` runs, from the folder alone: another interpreter that knows of no other zoo, at another port."""
    models = [
        text
        for name in ("mask-vae-celeba", "clvae-tiny", "face-parser-celeba")
        for text in ("--models", ui_models[name])
    ]
    folder = tmp_path / "space"
    told = run("ui", "--export-space", folder, *models)
    assert told.code == 0 and told.out.strip() == str(folder)
    docker, script, readme = ((folder / n).read_text() for n in ("Dockerfile", "run.sh", "README.md"))
    assert "USER user" in docker and "PYTHONPATH=/home/user/app/lib" in docker and 'CMD ["sh", "run.sh"]' in docker
    assert (
        readme.startswith("---\n")
        and "sdk: docker" in readme
        and "app_port: 7860" in readme
        and "| clvae-tiny |" in readme
    )
    pins = (folder / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in pins} >= {
        "torch",
        "numpy",
        "fastapi",
        "uvicorn",
    } and "+" not in "".join(pins[1:])
    assert f"-{zoo.__version__}.dist-info" in "".join(p.name for p in (folder / "lib").iterdir())

    # the libraries of this environment, without the .pth files that lead to its own zoo
    places = [p for p in sys.path if p.endswith("site-packages")]
    start = f"import runpy, sys; sys.path[:0] = [{str(folder / 'lib')!r}]; sys.path += {places!r}; sys.argv[1:] = sys.argv[3:];"
    start += " runpy.run_module('zoo', run_name='__main__')"
    # the script itself, with this interpreter as its `python`, at another port
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} -I -S -c "{start}" "$@"\n')
    (tmp_path / "bin/python").chmod(0o755)
    (folder / "run.sh").write_text(script.replace("--port 7860", "--port 0"))
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "ZOO_UI_TOKEN")} | {"OMP_NUM_THREADS": "1"}
    env |= {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{env['PATH']}", "SPACE_HOST": "me-zoo.hf.space"}
    command = ["sh", "run.sh"]
    served = Editor.__new__(Editor)
    served.process = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert served.process.stdout is not None
        line = served.process.stdout.readline()
        found = re.match(r"http://127\.0\.0\.1:(\d+)/$", line)
        assert found, (line, served.stop())
        served.port, served.token, served.url = int(found[1]), "", f"http://127.0.0.1:{found[1]}"
        client = served.client(Host="me-zoo.hf.space", Origin="https://me-zoo.hf.space")
        facts = client.get("/api/facts").json()
        assert facts["tokenless"] is True and facts["limits"]["uploadBytes"] == PUBLIC.upload
        assert served.client(Host="evil.example").get("/api/facts").status_code == 421
        assert "https://huggingface.co" in client.get("/").headers["content-security-policy"]
        made = result(
            client, {"kind": "generate", "generator": "mask-vae-celeba", "labels": ["skin", "hair"], "seed": 1}
        )
        assert labels_of(made["maps"][0]).shape == (32, 32)
        render = {"kind": "render", "synthesizer": "clvae-tiny", "map": wire(face), "style": styled(), "seed": 1}
        assert pixels_of(result(client, render)).shape == (32, 32, 3)
        assert ask(client, {**render, "map": wire(np.zeros((1025, 1025)))})["status"] == 400
    finally:
        code, _, err = served.stop()
    assert code == 130 and "No token" in err and "Traceback" not in err
