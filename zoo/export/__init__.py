"""Models as ONNX files, compared with torch before they are left behind (docs/exporting.md). Needs `maskzoo[onnx]`."""
