"""What makes the samples of shards, built from a job in whatever process it is: a composition of the very models of the manifest."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch

from zoo.composition.chain import Composition, compose
from zoo.composition.folder.manifest import check_models, request_from_json
from zoo.composition.folder.records import recorded_rules
from zoo.composition.request.requests import Request
from zoo.composition.run.part import Part
from zoo.composition.run.workers import share
from zoo.errors import UsageError
from zoo.files.opened import OpenedFiles
from zoo.files.shardfiles import MANIFEST
from zoo.inference.forms import form_of
from zoo.sharding.job import Job
from zoo.sharding.make import Maker


class ComposedMaker:
    """Samples of a composition; `workers` batches are made at once, in threads."""

    def __init__(self, composition: Composition, request: Request, files: OpenedFiles, workers: int) -> None:
        """request: checked, with its frames."""
        self.composition, self.request, self.files, self.workers = composition, request, files, workers

    def parts(self, samples: range) -> Generator[Part, None, None]:
        """The batches of these samples, in order."""
        return self.composition.run(
            self.request,
            start=samples.start,
            stop=samples.stop,
            files=self.files,
            workers=self.workers,
            checked=True,
        )


class Places:
    """The paths of a job's input files, by their names in its manifest; each is held against its sha256 when it is read."""

    def __init__(self, job: Job, files: OpenedFiles) -> None:
        self._job, self._files = job, files

    def __call__(self, name: object) -> str:
        """Raises TypeError for what is no input of the job."""
        path = self._job.inputs.get(str(name))
        if path is None:
            raise TypeError(f"{str(name)[:60]!r} is no input of these shards")
        self._files.expect(path, self._job.manifest["inputs"][str(name)])
        return path

    def check(self) -> None:
        """Raise UsageError for the first that is not there."""
        for name, path in self._job.inputs.items():
            if not Path(path).is_file():
                raise UsageError(f"There is no file {path} here ({name}, sha256 {self._job.manifest['inputs'][name]}).")


def build_maker(job: Job, *, device: str | None = None, processors: int = 1) -> Maker:
    """The maker of a job, in this process, whose torch gets the job's number of threads.

    device: instead of the manifest's, of the same kind (cuda:1). processors: of this process; more than one make several batches at once where
    the models allow it. Raises WeightsError for models with other files than the manifest's, UsageError for inputs that are not there.
    """
    torch.set_num_threads(job.manifest["threads"])
    if job.manifest["kind"] == "parsed":
        from zoo.sharding.parsed import build_parsed_maker

        return build_parsed_maker(job, device=device, processors=processors)
    models = {role: folder if Path(folder).is_dir() else source for role, (folder, source) in job.models.items()}
    composition = compose(
        (models.get("generator"), models.get("synthesizer")),
        device=device or job.manifest["device"],
        parser=models.get("parser"),
        **form_of(job.manifest),
    )
    composition.rules = recorded_rules(job.manifest)
    if "parser" in models:
        _ = composition.parser
    check_models(job.manifest, composition)
    files = OpenedFiles(trusted=True)
    places = Places(job, files)
    places.check()
    request = request_from_json(job.manifest["request"], Path(MANIFEST), device=composition.device, files=places)
    return ComposedMaker(composition, request, files, workers_for(composition, request, processors, job))


def workers_for(composition: Composition, request: Request, processors: int, job: Job) -> int:
    """Batches that are made at once on so many processors."""
    return share(composition, request, processors, job.manifest["threads"]).workers
