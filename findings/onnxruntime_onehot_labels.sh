#!/bin/bash
# A label map enters an ONNX graph through OneHot or through Gather: expected both to refuse 255 in a graph of four classes. Gather does; OneHot
# gives 255 a vector of zeros and -1 that of the last class, without a word. Exits 1 if that changes.
set -eu
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PY'
import numpy as np, onnx, onnxruntime
from onnx import TensorProto as T, helper as h

print("onnxruntime", onnxruntime.__version__, "onnx", onnx.__version__)


def run(node, constants):
    inputs = [h.make_tensor_value_info("labels", T.INT64, [3])]
    outputs = [h.make_tensor_value_info("out", T.FLOAT, None)]
    model = h.make_model(h.make_graph([node], "g", inputs, outputs, constants), opset_imports=[h.make_opsetid("", 20)])
    model.ir_version = 10
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"labels": np.array([3, 255, -1])})[0]


planes = run(
    h.make_node("OneHot", ["labels", "depth", "values"], ["out"], axis=-1),
    [h.make_tensor("depth", T.INT64, [1], [4]), h.make_tensor("values", T.FLOAT, [2], [0, 1])],
)
print("OneHot of 3, 255, -1:", planes.tolist())
assert planes.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1]], "OneHot now treats such labels otherwise"
try:
    run(h.make_node("Gather", ["table", "labels"], ["out"]), [h.make_tensor("table", T.FLOAT, [4], [0, 1, 2, 3])])
except Exception as error:
    print("Gather:", str(error).split(" : ")[-1][:150])
else:
    raise SystemExit("Gather now takes 255")
PY
