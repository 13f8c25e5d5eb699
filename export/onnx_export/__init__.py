"""A generator to one ONNX file: traced, rewritten for speed and portability, compared with PyTorch."""
