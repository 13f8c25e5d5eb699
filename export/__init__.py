"""A trained generator to ONNX and to images."""
