"""The border to plugins: what they run, raise and hand over is met here, and each fault is named as its plugin's. No torch in here.

`plugin_code` stands around every piece of a plugin that runs; `checked_part` and `checked_entry` look at what it hands over when
the registry takes it, so that nothing behind the registry asks for types again. What models return is `zoo.interfaces.border`'s.
"""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType, TracebackType
from typing import Any

from zoo.errors import PluginError, ZooError
from zoo.files.names import is_name, one_line
from zoo.registry.kinds import kind_of
from zoo.registry.plugin import FIRST_PARTY, Match, PluginRecord, Variant

ADVICE = "Update or uninstall it, or leave it out with ZOO_PLUGINS."
DETECT_SECONDS = 30.0
"""How long a third party's `detect` may look at one network."""


def told(error: BaseException) -> str:
    """Any exception in one short line, also one that cannot be printed: `ValueError: no`; a ZooError without its class."""
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = "its text cannot be read"
    name = one_line(type(error).__name__, 80)
    return one_line(text if isinstance(error, ZooError) and text else f"{name}: {text}" if text else name, 500)


@contextmanager
def plugin_code(what: str) -> Iterator[None]:
    """Around code of a plugin: whatever it raises becomes `PluginError("WHAT (reason). ADVICE")`, SystemExit too.

    Errors of the zoo pass as they are, and so does Ctrl-C of the user, told apart from a KeyboardInterrupt that the code raised.
    """
    with _interrupts() as pressed:
        try:
            yield
        except ZooError:
            raise
        except BaseException as error:
            if isinstance(error, GeneratorExit) or (isinstance(error, KeyboardInterrupt) and pressed()):
                raise
            raise PluginError(f"{what} ({told(error)}). {ADVICE}") from error


@contextmanager
def plugin_values(record: PluginRecord, what: str) -> Iterator[None]:
    """Around code of ours that works with what a plugin gave it (`record`): what fails there because of a wrong value, also in a
    frame of ours, becomes `PluginError("Plugin …: WHAT (reason). ADVICE")`. Does nothing for first-party plugins.

    Errors of the zoo, of files and of memory and Ctrl-C pass as they are.
    """
    try:
        yield
    except (ZooError, OSError, MemoryError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        if record.distribution == FIRST_PARTY or "memory" in told(error) or reads_metadata(error):
            raise
        raise PluginError(f"Plugin {record.label}: {what} ({told(error)}). {ADVICE}") from error


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed meanwhile; only the main thread ever gets one."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: False
        return
    seen: list[int] = []

    def noting(number: int, frame: Any) -> Any:
        seen.append(number)
        return before(number, frame)

    signal.signal(signal.SIGINT, noting)
    try:
        yield lambda: bool(seen)
    finally:
        if signal.getsignal(signal.SIGINT) is noting:  # code within may have put its own there
            signal.signal(signal.SIGINT, before)


# --- what a plugin hands over -------------------------------------------------------------------------------------


def checked_part(part: str, value: Any, kind: str) -> Any:
    """The value behind an import string of an Architecture. Raises TypeError that says what was expected; run it in `plugin_code`.

    Variants come back as a dict of its own.
    """
    if part == "model":
        _model_class(value, kind)
    elif part in ("config", "options"):
        _expect(_is_config(value), value, "a dataclass")
    elif part == "variants":
        _expect(isinstance(value, Mapping), value, "a mapping of names to Variant")
        value = dict(value)
        for name, variant in value.items():
            _variant(name, variant)
    elif part == "trainer":
        _expect(callable(value), value, "a Trainer class")
    elif part == "official":
        _expect(callable(getattr(value, "detect", None)), value, "a module with `detect` and `convert`")
        _expect(callable(getattr(value, "convert", None)), value, "a module with `detect` and `convert`")
    return value


def checked_entry(table: str, value: Any) -> Any:
    """The value behind a name of a table. Raises TypeError; run it in `plugin_code`. Label spaces are read by `Registry.label_space`."""
    if table in ("networks", "losses", "datasets", "metrics"):
        _expect(callable(value), value, "something that can be called")
    if table == "datasets":
        options = getattr(value, "options", ())
        fits = isinstance(options, tuple | list) and all(isinstance(name, str) for name in options)
        _expect(fits, options, "`options` as a tuple of names")
    return value


def _model_class(value: Any, kind: str) -> None:
    own = kind_of(value) if isinstance(value, type) else None
    _expect(own is not None, value, "a class derived from one of zoo.plugin's kinds of model")
    if own is None or own.name != kind:
        raise TypeError(f"it is {own.with_article if own else 'no model'}, its plugin says {kind!r}")
    abstract = sorted(getattr(value, "__abstractmethods__", ()))
    if abstract:
        raise TypeError(f"{value.__name__} lacks {', '.join(abstract)}")
    assets: Any = value.ASSETS
    _expect(isinstance(assets, Mapping), assets, "ASSETS as a mapping of names to Asset")
    for name, asset in assets.items():
        fits = isinstance(name, str) and is_name(name) and getattr(asset, "kind", None) in ("tensors", "json")
        _expect(fits, {name: asset}, "ASSETS as a mapping of names to Asset")
    _expect(value.OPTIONS is None or _is_config(value.OPTIONS), value.OPTIONS, "OPTIONS as a dataclass or None")
    _expect(isinstance(value.REPORTS_STEPS, bool), value.REPORTS_STEPS, "REPORTS_STEPS as true or false")


def _variant(name: Any, variant: Any) -> None:
    if not isinstance(name, str) or not is_name(name):
        raise TypeError(f"a variant has the name {name!r}, expected letters, digits, dots, dashes and underscores")
    _expect(isinstance(variant, Variant), variant, f"a Variant under {name!r}")
    _expect(_is_config(type(variant.config)), variant.config, f"a config in the Variant {name!r}")
    training = variant.training
    _expect(
        training is None or _is_config(type(training)), training, f"training options or None in the Variant {name!r}"
    )
    _expect(isinstance(variant.title, str), variant.title, f"a text as title of the Variant {name!r}")


def _is_config(value: Any) -> bool:
    return isinstance(value, type) and dataclasses.is_dataclass(value)


def _expect(fits: bool, value: Any, expected: str) -> None:
    if not fits:
        got = value.__name__ if isinstance(value, type | ModuleType) else type(value).__name__
        raise TypeError(f"expected {expected}, got {got}")


# --- detectors ----------------------------------------------------------------------------------------------------


def detected(detect: Callable[..., Any], shapes: dict[str, tuple[int, ...]], *, limited: bool) -> Match | None:
    """What a plugin's `detect` says of keys and shapes. Raises PluginError if it fails, or gives something else than a Match or None;
    `limited`: also if it takes longer than DETECT_SECONDS, and then it is left behind in its thread, which ends with the process."""
    if not limited:
        with plugin_code("its detector failed"):
            return _match(detect(shapes))
    answer: list[Match | None] = []
    failure: list[BaseException] = []

    def ask() -> None:
        try:
            with plugin_code("its detector failed"):
                answer.append(_match(detect(dict(shapes))))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DETECT_SECONDS)
    if failure:
        raise failure[0]
    if not answer:
        raise PluginError(f"its detector took longer than {DETECT_SECONDS:.0f} seconds. {ADVICE}")
    return answer[0]


def _match(value: Any) -> Match | None:
    if value is None:
        return None
    _expect(isinstance(value, Match), value, "a Match or None")
    _expect(isinstance(value.role, str), value.role, "a text as role of its Match")
    fits = isinstance(value.config, Mapping) and all(isinstance(name, str) for name in value.config)
    _expect(fits, value.config, "a mapping of fields as config of its Match")
    _expect(isinstance(value.matched, int), value.matched, "a number as matched of its Match")
    for name in ("ambiguous", "missing", "unknown", "misfit"):
        names = getattr(value, name)
        fits = isinstance(names, tuple | list) and all(isinstance(key, str) for key in names)
        _expect(fits, names, f"a tuple of names as {name} of its Match")
    return value


# --- whose fault --------------------------------------------------------------------------------------------------


def culprit(error: BaseException, records: list[PluginRecord]) -> PluginRecord | None:
    """The third party whose code raised an exception or called what raised it, by the modules of the traceback."""
    packages = {package: r for r in records if r.distribution != FIRST_PARTY for package in _packages(r)}
    for package in reversed(list(_frames(error.__traceback__))):
        if package in packages:
            return packages[package]
    return None


def reads_metadata(error: BaseException) -> bool:
    """Whether it was raised where the metadata of the environment's distributions is read."""
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("importlib.metadata"):
            return True
        trace = trace.tb_next
    return False


def _packages(record: PluginRecord) -> set[str]:
    """Names of the top packages from which a plugin names classes; none of the zoo's own."""
    plugin = record.plugin
    if plugin is None:
        return set()
    parts = ("model", "config", "variants", "trainer", "official", "options")
    targets = [t for a in plugin.architectures for p in parts if (t := getattr(a, p))]
    targets += [
        t
        for table in (plugin.networks, plugin.losses, plugin.datasets, plugin.metrics, plugin.tables)
        for t in table.values()
    ]
    return {t.partition(":")[0].partition(".")[0] for t in targets} - {"zoo", "zoo_plugins", "torch"}


def _frames(trace: TracebackType | None) -> Iterator[str]:
    """The top packages of the frames of a traceback, the innermost last."""
    while trace is not None:
        yield str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        trace = trace.tb_next
