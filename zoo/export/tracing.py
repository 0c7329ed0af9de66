"""A model's graphs as ONNX: the copy that is traced, the tracing, weights in half precision."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from zoo.errors import PluginError, UsageError, ZooError
from zoo.interfaces.exports import Exports, Graph
from zoo.interfaces.models import Model
from zoo.nn.spectral import fold_spectral
from zoo.registry import told

if TYPE_CHECKING:
    import onnx  # pyright: ignore[reportMissingImports]

OPSET = 20
LARGEST_BATCH = 4096
SMALL = 1024
"""Weights of fewer numbers keep their 32 bits: biases, statistics, constants of shapes."""

M = TypeVar("M", bound=Model)


def require_onnx() -> None:
    """Raises UsageError, with the command that mends it, where the libraries of the extra are not installed."""
    missing = []
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise UsageError(f"Exporting needs {', '.join(missing)}: pip install 'maskzoo[onnx]'")


def folded(model: M) -> M:
    """The copy of a model whose graphs are traced: on the CPU in float32, evaluation mode, spectral norms folded.

    The fast inference form itself goes by distinct windows of a map, whose number depends on the map, so it is no graph.
    """
    made = copy.deepcopy(model).to("cpu").float().eval().requires_grad_(False)
    fold_spectral(made)
    return made


def exports_of(model: Model, name: str) -> Exports:
    """What a folded model says of its graphs. Raises UsageError where it has none, PluginError where a plugin's `exports` fails."""
    try:
        made = model.exports()
    except ZooError:
        raise
    except Exception as error:
        raise PluginError(f"{name}: what it says of its graphs cannot be used ({told(error)}).") from error
    if not isinstance(made, Exports) or not made.graphs:
        raise PluginError(f"{name}: `exports` should give zoo.interfaces.exports.Exports with at least one graph.")
    return made


@torch.no_grad()
def trace(graph: Graph, examples: tuple[Tensor, ...]) -> onnx.ModelProto:
    """One graph as ONNX with a dynamic batch. examples: its inputs for a batch of two. Raises PluginError for what cannot be traced."""
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                graph.module.eval(), examples, dynamo=True, opset_version=OPSET, verbose=False,
                dynamic_shapes=tuple({0: batch} for _ in examples),
                input_names=[p.name for p in graph.inputs], output_names=[p.name for p in graph.outputs],
            )  # fmt: skip
    except Exception as error:
        raise PluginError(f"The graph {graph.name!r} cannot be traced ({told(error)}).") from error
    proto: onnx.ModelProto = program.model_proto
    if fixed := [i.name for i in proto.graph.input if not i.type.tensor_type.shape.dim[0].dim_param]:
        raise PluginError(
            f"The graph {graph.name!r} takes a fixed batch ({', '.join(fixed)}): somewhere its module asks for len() of a tensor, or for"
            " an index for each sample; x.shape[0] and products do."
        )
    return proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks on stdout, by warnings and by log lines, about its own insides."""
    loggers = [logging.getLogger(n) for n in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [x.level for x in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def halve(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its weights stored in float16 and a cast behind each, in place: half the bytes, computed in float32 as before
    (runtimes fold the casts while they load). Weights beyond what float16 holds stay as they are."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper  # pyright: ignore[reportMissingImports]

    casts = []
    for tensor in proto.graph.initializer:
        if tensor.data_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < SMALL or tensor.data_type == TensorProto.DOUBLE:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.isfinite(half).all():
            continue
        name, stored = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(half, stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*casts, *nodes])
    return proto
