"""Charts of the statistics of shards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures_models import Ran

from zoo.errors import UsageError
from zoo.evaluation.plots.shards import shard_classes


def statistics(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    values = {
        "format": "zoo-shards/1",
        "classes": {
            "hat": {"maps": 1, "pixels": 10, "share_of_maps": 0.25, "share_of_pixels": 0.1},
            "skin": {"maps": 4, "pixels": 90, "share_of_maps": 1, "share_of_pixels": 0.9},
        },
        "asked": {"hat": 2, "skin": 4},
        "got": {"hat": 1, "skin": 4},
        **changes,
    }
    (folder / "statistics.json").write_text(json.dumps(values))
    return folder


def test_bars_of_several_folders(tmp_path: Path, run: Callable[..., Ran]) -> None:
    one, other = statistics(tmp_path / "one"), statistics(tmp_path / "other", asked={}, got={})
    maps, pixels, came = shard_classes([one, other]).panels
    assert [s.name for s in maps.series] == [str(one), str(other)] and [s.name for s in came.series] == [str(one)]
    assert maps.series[0].x == ("skin", "hat") and maps.series[0].y == (1.0, 0.25) and pixels.series[0].y == (0.9, 0.1)
    assert dict(zip(came.series[0].x, came.series[0].y, strict=True)) == {"hat": 0.5, "skin": 1.0}
    pytest.importorskip("matplotlib", reason="needs the extra plots")
    ran = run("plot", "shards", one, "--out", tmp_path / "chart.png")
    assert ran.code == 0 and (tmp_path / "chart.png").stat().st_size > 1000
    assert "Pixels of a class,"[:-1] in (tmp_path / "chart.csv").read_text()


@pytest.mark.parametrize(
    "changes", [{"format": "x"}, {"classes": []}, {"classes": {"hat": 3}}, {"asked": {"hat": "many"}}, {"got": None}]
)
def test_files_that_are_no_statistics(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        shard_classes([statistics(tmp_path / "x", **changes)])
    with pytest.raises(UsageError, match="a folder of finished shards"):
        shard_classes([tmp_path / "absent"])
