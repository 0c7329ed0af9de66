"""`shards:DIR`: read by number, checked against its digests, refused where strangers put something else into a tar."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from fixtures_models import Ran
from shard_folders import add, face, png, write_index, write_shards

from zoo.data import open_data, open_source
from zoo.data.runs import run_of
from zoo.data.sharded.places import expanded
from zoo.errors import DataError, UsageError
from zoo.files.shardfiles import facts_name, split_of, tar_name

Run = Callable[..., Ran]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Twenty faces, eight a shard."""
    return write_shards(tmp_path / "faces")


def problems(run: Run, place: object) -> list[str]:
    ran = run("data", "check", f"shards:{place}", "--trust-maps", "--json")
    told = json.loads(ran.out)
    assert ran.code == (1 if told["problems"] else 0)
    return told["problems"]


def test_pairs_by_number(shards: Path) -> None:
    source = open_source(f"shards:{shards}")
    assert source.names == tuple(f"{i:09d}" for i in range(20)) and source.has_images
    for index in (19, 0, 8, 7):
        photo, labels = source.read(index)
        assert photo is not None
        assert np.array_equal(photo, face(index)[0]) and np.array_equal(labels, face(index)[1])
    assert source.read(3, (16, 20))[1].shape == (16, 20)
    assert pickle.loads(pickle.dumps(source)).read(5)[1].shape == (32, 32)


def test_splits_are_those_of_the_records(shards: Path) -> None:
    source = open_source(f"shards:{shards}")
    by_split = {s: open_source(f"shards:{shards}#{s}").names for s in source.splits}
    assert sorted(n for names in by_split.values() for n in names) == sorted(source.names)
    assert all(split_of(0, int(n)) == s for s, names in by_split.items() for n in names)
    with pytest.raises(DataError, match="has no split 'valid'"):
        open_source(f"shards:{shards}#valid")


def test_maps_alone(tmp_path: Path) -> None:
    data = open_data(f"shards:{write_shards(tmp_path / 'maps', 4, images=False)}")
    assert not data.has_images and set(data[0]) == {"name", "map"}


def test_tars_by_braces_and_joined_folders(shards: Path, tmp_path: Path) -> None:
    two = open_source(f"shards:{shards}/shard-{{000001..000002}}.tar")
    assert two.names == tuple(f"{i:09d}" for i in range(8, 20))
    other = write_shards(tmp_path / "more", 4)
    both = open_source(f"shards:{shards}+{other}")
    assert len(both.names) == 24 and both.names[20] == "more/000000000"
    assert expanded("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expanded("{x,y}/s") == ["x/s", "y/s"]
    with pytest.raises(UsageError, match="more than 1,000,000 names"):
        expanded("a-{0..9999999}")
    with pytest.raises(UsageError, match="is not called as a shard is"):
        open_source(f"shards:{shards}/faces.tar")


def test_a_url(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    system.put(str(shards), "/test_a_url/faces", recursive=True)
    try:
        source = open_source("shards:memory://test_a_url/faces#train")
        assert np.array_equal(source.read(2)[1], face(int(source.names[2]))[1])
        assert len(list((tmp_path / "cache/shards").glob("*.tar"))) == 3
        assert run_of("memory://test_a_url/faces").manifest is not None
        content = bytearray(system.cat_file(f"/test_a_url/faces/{tar_name(1)}"))
        content[600] ^= 1
        system.pipe_file(f"/test_a_url/faces/{tar_name(1)}", bytes(content))
        for copy in (tmp_path / "cache/shards").glob("*.tar"):
            copy.unlink()
        with pytest.warns(UserWarning, match="sha256 is not the one"):
            assert len(open_source("shards:memory://test_a_url/faces").names) == 12
    finally:
        system.rm("/test_a_url", recursive=True)
    with pytest.raises(DataError, match="There is nothing at memory://test_a_url/faces"):
        open_source("shards:memory://test_a_url/faces")


def test_an_unfinished_shard_is_left_out_and_told(run: Run, shards: Path) -> None:
    write_index(shards)
    assert problems(run, shards) == []
    (shards / facts_name(1)).unlink()
    with pytest.warns(UserWarning, match=r"shard-000001\.tar is not finished"):
        assert len(open_source(f"shards:{shards}").names) == 12
    (line,) = problems(run, shards)
    assert "shard-000001.tar is not finished" in line and "it makes what is missing" in line
    for number in (0, 2):
        (shards / facts_name(number)).unlink()
    with pytest.raises(DataError, match="has no finished shard"):
        open_source(f"shards:{shards}")


def test_check_finds_what_is_missing(run: Run, shards: Path) -> None:
    (line,) = problems(run, shards)
    assert "has no index.json, so the run did not end" in line
    write_index(shards)
    for name in (tar_name(2), facts_name(2)):
        (shards / name).unlink()
    told = problems(run, shards)
    assert "1 of 3 shards are missing (shard-000002.tar)" in told[0]
    assert "lists shard-000002.tar, which is not there" in told[1]


def test_check_finds_damage(run: Run, shards: Path) -> None:
    write_index(shards)
    tar = shards / tar_name(0)
    content = bytearray(tar.read_bytes())
    tar.write_bytes(content[:-512])
    (line,) = problems(run, shards)
    assert f"has {len(content) - 512:,} bytes, shard-000000.json says {len(content):,}" in line
    content[2000] ^= 0x10  # in a picture
    tar.write_bytes(content)
    assert any("shard-000000.tar is damaged: its sha256" in line for line in problems(run, shards))
    content[2000] ^= 0x10
    content[3] ^= 0x10  # in the first header
    tar.write_bytes(content)
    (line,) = problems(run, shards)
    assert "is no tar, or damaged, at byte 0" in line


def change(shards: Path, number: int, members: Callable[[dict[str, bytes]], dict[str, bytes]], **facts: Any) -> None:
    """A tar with other members, whose digest fits."""
    with tarfile.open(shards / tar_name(number)) as tar:
        content = {m.name: file.read() for m in tar if (file := tar.extractfile(m)) is not None}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, part in members(content).items():
            add(tar, name, part)
    settle(shards, number, buffer.getvalue(), **facts)


def settle(shards: Path, number: int, content: bytes, **facts: Any) -> None:
    told = json.loads((shards / facts_name(number)).read_text())
    told |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), **facts}
    (shards / tar_name(number)).write_bytes(content)
    (shards / facts_name(number)).write_text(json.dumps(told))
    write_index(shards)


@pytest.mark.parametrize(
    ("members", "facts", "told"),
    [
        (lambda m: dict(list(m.items())[3:]), {}, "holds 7 samples, shard-000001.json says 8"),
        (lambda m: {n: c for n, c in m.items() if n != "000000009.json"}, {}, "1 samples have no record (000000009)"),
        (lambda m: {n: c for n, c in m.items() if n != "000000009.map.png"}, {}, "000000009 has no map"),
        (lambda m: m | {"000000009.map.png": png(np.full((32, 32), 77, np.uint8))}, {}, "77"),
        (lambda m: m | {"000000009.map.png": png(face(3)[1])}, {}, "shows other classes than shard-000001.json counts"),
        (
            lambda m: m | {"000000009.json": m["000000010.json"]},
            {},
            "1 samples name another number (the first is 000000009)",
        ),
        (
            lambda m: {n: c.replace(b"celebamask-hq", b"lapa") for n, c in m.items()},
            {},
            "8 samples name another label space",
        ),
        (lambda m: {n: c.replace(b'"split": "', b'"split": "x') for n, c in m.items()}, {}, "name another split"),
        (lambda m: m, {"start": 0, "stop": 8}, "says samples 0 to 8, shards.json others"),
        (lambda m: m, {"hashes": ["0" * 16]}, "has not one perceptual hash a sample"),
        (lambda m: m, {"shard": 7}, "shard-000001.json contradicts itself"),
    ],
)
def test_check_finds_contents_that_contradict(
    run: Run, shards: Path, members: Any, facts: dict[str, Any], told: str
) -> None:
    change(shards, 1, members, **facts)
    ran = run("data", "check", f"shards:{shards}", "--trust-maps", "--json")
    assert ran.code == 1 and told in ran.out + ran.err


def test_an_index_that_contradicts(run: Run, shards: Path) -> None:
    write_index(shards)
    index = json.loads((shards / "index.json").read_text())
    (shards / "index.json").write_text(json.dumps(index | {"digest": "0" * 64}))
    assert "its digest is not that of its list" in problems(run, shards)[0]
    index["shards"][1]["sha256"] = "1" * 64
    (shards / "index.json").write_text(json.dumps(index))
    assert "of shard-000001.tar, shard-000001.json says" in problems(run, shards)[0]
    (shards / "index.json").write_text("{")
    assert "is not readable JSON" in problems(run, shards)[0]


def test_copies_in_several_splits(run: Run, tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "faces", 6, 6, shares=(0.5, 0.25, 0.25))
    source = open_source(f"shards:{shards}")
    names = [open_source(f"shards:{shards}#{split}").names[0] for split in source.splits[:2]]
    change(shards, 0, lambda m: m | {f"{names[1]}.{e}": m[f"{names[0]}.{e}"] for e in ("image.png", "map.png")})
    assert any("the same picture is in several splits" in line and names[1] in line for line in problems(run, shards))


def stranger(name: str, kind: bytes = tarfile.REGTYPE, size: int = 4, form: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar of one member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        member = tarfile.TarInfo(name)
        member.type, member.size, member.linkname = kind, size if kind == tarfile.REGTYPE else 0, "/etc/passwd"
        if kind != tarfile.REGTYPE or size < 1000:
            tar.addfile(member, io.BytesIO(bytes(size)))
        else:  # a size that is stated alone
            tar.fileobj.write(member.tobuf(form))  # type: ignore[union-attr]
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (stranger("../../000000000.json"), "which is no file of a shard"),
        (stranger("/000000000.json"), "which is no file of a shard"),
        (stranger("000000000.py"), "which is no file of a shard"),
        (stranger("0.json"), "which is no file of a shard"),
        (stranger("000000000.image.png", tarfile.SYMTYPE), "which is no plain file"),
        (stranger("000000000.image.png", tarfile.LNKTYPE), "which is no plain file"),
        (stranger("000000000.json", size=2 << 20), "more than 1,048,576"),
        (stranger("x" * 200, form=tarfile.PAX_FORMAT), "which is no"),
        (b"\x1f\x8b" + bytes(2000), "is no tar, or damaged, at byte 0"),
        (stranger("000000000.image.png")[:700], "is cut off"),
        (bytes(10240), "holds no samples"),
    ],
)
def test_tars_of_strangers(shards: Path, content: bytes, told: str) -> None:
    settle(shards, 0, content)
    with pytest.warns(UserWarning) as warned:
        assert len(open_source(f"shards:{shards}").names) == 12
    assert told in str(warned[0].message)


def test_sidecars_and_manifests_of_strangers(shards: Path) -> None:
    facts = json.loads((shards / facts_name(0)).read_text())
    (shards / facts_name(0)).write_text(json.dumps(facts | {"sha256": "../../x"}))
    with pytest.warns(UserWarning, match="should be 64 hex digits"):
        open_source(f"shards:{shards}")
    for change, told in (
        ({"format": "zoo-shards/9"}, "zoo-shards/9"),
        ({"samples": 0}, "1 or more"),
        ({"per_shard": "8"}, "per_shard"),
    ):
        manifest = json.loads((shards / "shards.json").read_text())
        (shards / "shards.json").write_text(json.dumps(manifest | change))
        with pytest.raises(DataError, match=told):
            open_source(f"shards:{shards}")
        (shards / "shards.json").write_text(json.dumps(manifest))
    (shards / "shards.json").unlink()
    with pytest.warns(UserWarning):
        assert open_source(f"shards:{shards}").label_space.name == "celebamask-hq"  # by the records


def test_a_link_is_no_shard(shards: Path, tmp_path: Path) -> None:
    (shards / tar_name(0)).rename(tmp_path / "elsewhere.tar")
    (shards / tar_name(0)).symlink_to(tmp_path / "elsewhere.tar")
    with pytest.warns(UserWarning, match=r"shard-000000\.tar is missing"):
        open_source(f"shards:{shards}")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shards:DIR"):
        open_source("shards")
    with pytest.raises(DataError, match="There is no folder"):
        open_source(f"shards:{tmp_path / 'none'}")
    with pytest.raises(DataError, match=r"holds no shards .*There lie: nothing"):
        open_source(f"shards:{tmp_path}")


def test_other_spaces_and_pictures_alone(shards: Path, tmp_path: Path) -> None:
    other = write_shards(tmp_path / "other", 4)
    manifest = json.loads((other / "shards.json").read_text())
    (other / "shards.json").write_text(json.dumps(manifest | {"label_space": "lapa"}))
    with pytest.raises(DataError, match="several label spaces"):
        open_source(f"shards:{shards}+{other}")
    change(shards, 0, lambda m: {n: c for n, c in m.items() if ".map." not in n})
    with pytest.raises(DataError, match="pictures alone are no data set"):
        open_source(f"shards:{shards}")


def test_real_shards_train_a_model_and_name_their_makers(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = ("compose", "+".join(pair), "-n", 8, "--per-shard", 4, "--batch-size", 4, "--seed", 5, "--device", "cpu")
    assert run(*command, "--split", ".5,.25,.25", "--shards", made).code == 0
    assert problems(run, made) == []
    assert sorted(maker.id for maker in run_of(made).makers) == sorted(Path(p).name for p in pair)
    out = tmp_path / "run"
    ran = run("train", "face-parser/celeba-128", "--data", f"shards:{made}", "--out", out, "--device", "cpu",
              "--set", "side=32", "--set", "feature_scale=32", "--set", "steps=1", "--set", "batch_size=2",
              "--set", "ema=0", "--set", "validate_every=1")  # fmt: skip
    assert ran.code == 0, ran.err
    card = (out / "model/README.md").read_text()
    assert "shards:made" in card and str(tmp_path) not in card
    assert Path(pair[0]).name in card


def test_real_pairs_beside_generated_ones(
    run: Run, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`benchmarks/pairs_worth.py`: real pairs as shards, joined with others; a table of what was scored."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    worth = importlib.import_module("pairs_worth")
    drawn = open_source("toy-faces:3#train")
    real = worth.write_real(drawn, tmp_path / "real", 2)
    content = {p.name: p.read_bytes() for p in real.iterdir()}
    worth.write_real(drawn, real, 2)
    assert content == {p.name: p.read_bytes() for p in real.iterdir()}
    assert [line for line in problems(run, real) if "index.json" not in line] == []
    both = open_source(f"shards:{shards}+{real}")
    assert len(both.names) == 26
    assert np.array_equal(both.read(20)[1], drawn.read(0)[1]) and np.array_equal(both.read(23)[1], drawn.read(0)[1])
    scores = {"miou": 0.5, "miou_all": 0.25, "accuracy": 0.75, "iou": {"skin": 0.125}}
    scores["intervals"] = {name: [0.1, 0.9] for name in ("miou", "miou_all", "accuracy")}
    lines = worth.table({"both": scores}, {"both": {"trained_on": {"pairs": 26}}}, drawn).splitlines()
    assert lines[0].endswith("| both (26 pairs) |") and "| skin | 3 | 0.125 |" in lines
    assert "| mIoU, all classes | 3 | **0.250** (0.100 to 0.900) |" in lines
