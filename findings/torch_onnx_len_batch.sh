#!/bin/bash
# A generator for ONNX with a batch of any size (dynamic_shapes): expected torch.onnx.export(dynamo=True) to refuse, as torch.export does, a module
# that asks len(x), which fixes the batch. It writes the graph with the batch of the example, without an error or a warning, and the file fails at
# other batches; x.shape[0] in the same place stays dynamic. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install torch==2.14.1 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import contextlib
import io
import warnings
from importlib.metadata import version

import numpy as np
import onnxruntime
import torch

print({name: version(name) for name in ("torch", "onnx", "onnxscript", "onnxruntime")})


class ByLen(torch.nn.Module):
    def forward(self, codes):
        return codes.view(len(codes), -1) * 2


class ByShape(torch.nn.Module):
    def forward(self, codes):
        return codes.view(codes.shape[0], -1) * 2


example, shapes = (torch.zeros(2, 3, 4),), ({0: torch.export.Dim("batch")},)
inputs = {}
for module in (ByLen(), ByShape()):
    name, told = type(module).__name__, io.StringIO()
    with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        warnings.simplefilter("always")
        program = torch.onnx.export(module.eval(), example, dynamo=True, verbose=False, dynamic_shapes=shapes)
    inputs[name] = [d.dim_param or d.dim_value for d in program.model_proto.graph.input[0].type.tensor_type.shape.dim]
    about_batch = [str(w.message)[:80] for w in warned if "batch" in str(w.message).lower()]
    print(name, "input", inputs[name], "- warnings that name the batch:", about_batch, "- printed:", bool(told.getvalue().strip()))
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    try:
        print(name, "at batch 1 gives", session.run(None, {"codes": np.zeros((1, 3, 4), np.float32)})[0].shape)
    except Exception as error:
        print(name, "at batch 1:", str(error).splitlines()[0][:120])
    if name == "ByLen":
        assert not about_batch, "it now warns"
try:
    torch.export.export(ByLen().eval(), example, dynamic_shapes=shapes)
except Exception as error:
    print("torch.export alone refuses:", str(error).splitlines()[0][:60])
else:
    raise SystemExit("torch.export takes it now")
assert inputs == {"ByLen": [2, 3, 4], "ByShape": ["batch", 3, 4]}, inputs
PY
