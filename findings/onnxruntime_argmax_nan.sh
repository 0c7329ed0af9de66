#!/bin/bash
# From scores to a label map: numpy.argmax (and torch's) answer with the place of a NaN, so that a broken network gives a broken map that is seen.
# Expected the same of ONNX's ArgMax; onnxruntime passes over NaN and gives the largest of the others. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import numpy as np, onnx, onnxruntime
from onnx import TensorProto as T, helper as h

print("onnxruntime", onnxruntime.__version__, "onnx", onnx.__version__, "numpy", np.__version__)
node = h.make_node("ArgMax", ["scores"], ["map"], axis=1, keepdims=0)
graph = h.make_graph(
    [node], "g", [h.make_tensor_value_info("scores", T.FLOAT, [2, 4])], [h.make_tensor_value_info("map", T.INT64, [2])]
)
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 20)])
model.ir_version = 10
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
scores = np.array([[1, np.nan, 3, 0], [1, 0, 3, 0]], np.float32)
labels = session.run(None, {"scores": scores})[0].tolist()
print("onnxruntime", labels, "numpy", scores.argmax(1).tolist())
assert labels == [2, 2], "ArgMax now sees NaN"
assert scores.argmax(1).tolist() == [1, 2]
PY
