"""Where a case runs: its folder, the guarded one beside it, and the commands that it calls, each watched."""

from __future__ import annotations

import io
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from .guard import changes, make_guarded, state
from .verdicts import Outcome
from .watching import Watch, watching

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
SURPRISE = "This should not happen"
LONG = 6000
"""Characters of an error beyond which nobody calls it a line."""


class TooLong(BaseException):
    """A command has used more processor time than it may."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooLong in the block after so many seconds of processor time of this process."""

    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds + 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def taken(self) -> bool:
        """It did what it was asked."""
        return self.code == 0


class Place:
    """The folder of one case: `work` for its inputs and outputs, `guarded` for what nobody may touch, `mark` for payloads."""

    def __init__(self, root: Path, outcome: Outcome, *, seconds: float, reads: bool) -> None:
        """seconds: of processor time that one command may take; reads: whether reading the guarded folder is a fault too."""
        self.root, self.outcome, self.seconds = root, outcome, seconds
        self.rng = random.Random(f"{outcome.seed}/{outcome.kind}/{outcome.case}")
        self.work, self.guarded, self.mark = root / "work", root / "guarded", root / "work" / "MARK"
        self.work.mkdir(parents=True)
        make_guarded(self.guarded)
        self.before = state(self.guarded)
        self.guards_reads = reads

    def did(self, text: str) -> None:
        """Add to the recipe."""
        self.outcome.recipe.append(text)

    def watch(self, *, reads: bool = True) -> Watch:
        """A fresh watch of this place. reads: False where links to other folders are the user's own way (data sets)."""
        return Watch((self.work,), self.guarded if reads and self.guards_reads else None)

    def zoo(self, *arguments: object, watch: Watch | None = None) -> Ran:
        """Call the command line in this process; whatever no command may do becomes a problem of the case."""
        told = [str(a) for a in arguments]
        watch = watch or self.watch()
        begun = time.process_time()
        with watching(watch), limited(self.seconds):
            ran, surprise = call(told)
        used = time.process_time() - begun
        name = " ".join(t for t in told[:2] if "/" not in t)
        if TooLong.__name__ in surprise:
            self.outcome.add("time", f"{name}: stopped after {self.seconds:.0f} s of the processor")
            return ran
        if surprise:
            self.outcome.add(
                "memory" if "MemoryError" in surprise or "can't allocate" in surprise else "internal",
                f"{name}: {surprise}",
            )
        self._judge(name, ran, watch)
        if used > self.seconds:
            self.outcome.add("time", f"{name}: {used:.1f} s of the processor")
        if not ran.taken:
            self.outcome.verdict = "refused"
        return ran

    def _judge(self, name: str, ran: Ran, watch: Watch) -> None:
        if watch.programs:
            self.outcome.add("code", f"{name}: {watch.programs[0]}")
        if watch.writes:
            self.outcome.add("outside", f"{name}: {watch.writes[0].replace(str(self.root), 'ROOT')}")
        if watch.reads:
            self.outcome.add("outside", f"{name}: read {watch.reads[0].replace(str(self.root), 'ROOT')}")
        if CONTROL.search(ran.out) or CONTROL.search(ran.err):
            self.outcome.add("garbled", f"{name}: control characters on the terminal")
        if ran.code not in (0, 1, 2, 130):
            self.outcome.add("garbled", f"{name}: exit code {ran.code}")
        if len(ran.err) > LONG:
            self.outcome.add("garbled", f"{name}: {len(ran.err)} characters on stderr")
        elif not ran.taken and not ran.err.strip() and not ran.out.strip():
            self.outcome.add("garbled", f"{name}: refused without a word")

    @contextmanager
    def python(self, name: str) -> Iterator[list[BaseException]]:
        """A call of the Python API, watched as a command is; a ZooError in it is a refusal and lands in the list."""
        from zoo.errors import ZooError

        refused: list[BaseException] = []
        watch, begun = self.watch(), time.process_time()
        try:
            with watching(watch), limited(self.seconds), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield refused
        except ZooError as error:
            refused.append(error)
        except Exception as error:
            self.outcome.add("memory" if isinstance(error, MemoryError) else "internal", f"{name}: {where(error)}")
            refused.append(error)
        except TooLong as error:
            refused.append(error)
        self._judge(name, Ran(0, "", ""), watch)
        if time.process_time() - begun > self.seconds:
            self.outcome.add("time", f"{name}: {time.process_time() - begun:.1f} s of the processor")

    def close(self) -> None:
        """Compare the guarded folder, look for the mark, and take the folder away."""
        for change in changes(self.before, state(self.guarded))[:3]:
            self.outcome.add("outside", change.replace(str(self.root), "ROOT"))
        if self.mark.exists():
            self.outcome.add("code", "the payload left its mark")
        shutil.rmtree(self.root, ignore_errors=True)


def where(error: BaseException) -> str:
    """Type, place and text of an exception, in one short line without paths of this machine."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if "/zoo/" in f.filename or "/plugins/" in f.filename
    ]
    place = f"{'/'.join(Path(frames[-1].filename).parts[-3:])}:{frames[-1].lineno}" if frames else "?"
    try:
        text = str(error)
    except Exception as odd:
        text = f"(not printable: {type(odd).__name__})"
    text = CONTROL.sub("?", re.sub(r"/\S*/", "", text).replace("\n", " "))[:160]
    return f"{type(error).__name__} at {place}: {text}"


def call(arguments: list[str]) -> tuple[Ran, str]:
    """`zoo` with these arguments in this process, and the exception that surprised it (an empty string if none did)."""
    from zoo import cli

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    surprises: list[str] = []
    told = cli._fail

    def fail(message: str, code: int, debug: bool) -> None:
        if SURPRISE in message:
            error = sys.exc_info()[1]
            surprises.append(where(error) if error is not None else message)
        told(message, code, debug)

    code, argv = 0, sys.argv
    cli._fail = fail
    sys.argv = ["zoo", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("always")
            try:
                cli.main(arguments)
            except SystemExit as left:
                code = left.code if isinstance(left.code, int) else int(left.code is not None)
            except BaseException as error:  # past even the last handler
                surprises.append(f"past main: {where(error)}")
                code = 1
    finally:
        cli._fail, sys.argv = told, argv
    texts = [s.buffer.getvalue().decode("utf-8", "replace") for s in (out, err)]  # type: ignore[attr-defined]
    if "Traceback (most recent call last)" in texts[0] + texts[1] and not surprises:
        surprises.append("a traceback was printed")
    return Ran(code, *texts), surprises[0] if surprises else ""


def bound_memory(growth: int) -> None:
    """Let the address space of this process grow by so many bytes from now on."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + growth, hard))


@contextmanager
def own_home(root: Path) -> Iterator[None]:
    """Caches, temporary files and the present folder of a case lie in the case."""
    (root / "work" / "tmp").mkdir(parents=True)
    changed = {"HF_HOME": "hf", "XDG_CACHE_HOME": "cache", "ZOO_CACHE": "cache", "TMPDIR": "tmp", "HOME": "home"}
    old = {name: os.environ.get(name) for name in changed}
    cwd, tempdir = os.getcwd(), tempfile.tempdir
    for name, folder in changed.items():
        os.environ[name] = str(root / "work" / folder)
    tempfile.tempdir = str(root / "work" / "tmp")
    os.chdir(root / "work")
    try:
        yield
    finally:
        os.chdir(cwd)
        tempfile.tempdir = tempdir
        for name, value in old.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
