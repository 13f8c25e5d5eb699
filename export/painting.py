"""What paints: the generator that a MODEL means, which file it is of, and how fast it goes."""

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

from export.sample import UsageError, load_onnx


def load_generator(model: str, device: str) -> Any:
    """Return an OnnxGenerator for an .onnx file, without importing torch, or a TorchGenerator for a model folder.

    Args:
        model: an .onnx file, a model folder, a run folder or the name of a published model.
        device: "auto", "cpu" or "cuda".

    Raises:
        UsageError: the model cannot be used.
    """
    path = Path(model)
    if path.suffix == ".onnx" and not path.is_dir() and "//" not in model:  # an address is a model of the Hub
        return load_onnx(path, device)
    if path.is_file():
        raise UsageError(f"--model: got the file {path}, expected a model folder or an .onnx file")
    from export.torch_generator import TorchGenerator

    return TorchGenerator(model, device)


def model_sha256(paint: Any, model: str) -> str:
    """Return the sha256 of the weights; of a foreign .onnx, which says nothing of where it is from, of the file."""
    known = paint.metadata.get("source_sha256")
    if known:
        return known
    with Path(model).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Clock:
    """Time spent painting; prints rate and time to go, at most every few seconds, in place on a terminal."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.seconds = 0.0
        self._shown = time.perf_counter()
        self._terminal = sys.stderr.isatty()

    def say(self, sentence: str) -> None:
        """Print a sentence, if there is one, before the work."""
        if sentence:
            print(sentence, file=sys.stderr, flush=True)

    def add(self, images: int, seconds: float) -> None:
        """Count a painted batch."""
        self.done += images
        self.seconds += seconds
        now = time.perf_counter()
        if now - self._shown < (0.5 if self._terminal else 10) and not (self._terminal and self.done == self.total):
            return
        self._shown = now
        rate = self.done / self.seconds
        line = f"{self.done} of {self.total} images, {rate:.2f}/s, {(self.total - self.done) / rate:.0f} s to go"
        start, end = ("\r\x1b[K", "\n" if self.done == self.total else "") if self._terminal else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)
