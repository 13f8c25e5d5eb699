"""Generate images from a model folder with PyTorch, called as an .onnx generator is."""

from pathlib import Path

import numpy as np
import torch

import zoo
from celebahq.device import choose_device
from celebahq.files import sha256_of
from export.config import UsageError
from export.sample import to_uint8
from zoo import weights
from zoo.folder import WEIGHTS_NAMES, ModelError, label_names, read_config


class TorchGenerator:
    """A model folder's generator: call it with latents, arrays in and out.

    Attributes:
        latent_size, label_size, label_names, resolution, runs_on, note: as export.sample.OnnxGenerator has them.
        metadata: source_sha256, of the weights.
    """

    note = ""

    def __init__(self, model: str | Path, device: str = "auto") -> None:
        """Load a model folder, run folder or published model onto "cpu", "cuda", or "auto": CUDA where there is one.

        Raises:
            UsageError: the model cannot be used.
            celebahq.errors.DeviceError: CUDA was asked for and is not there.
        """
        self._device = choose_device(device)
        try:
            folder = zoo.model_folder(model)
            self._generator = weights.load(folder)
        except ModelError as error:
            raise UsageError(str(error)) from None
        self._generator.to(self._device)
        torch.backends.cudnn.allow_tf32 = False  # the same face on every machine, as far as float32 goes
        config = self._generator.config
        self.latent_size = config.latent_size
        self.label_size = config.label_size
        self.label_names = label_names(read_config(folder), config.label_size)
        self.resolution = config.resolution
        name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "CPU"
        self.runs_on = f"PyTorch on {name}"
        self.metadata = {"source_sha256": sha256_of(folder / WEIGHTS_NAMES["Generator"])}

    @torch.inference_mode()
    def __call__(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Generate. z: (N, latent_size), label: (N, label_size) if conditional. Returns (N, C, R, R) float32."""
        inputs = [torch.from_numpy(array).to(self._device) for array in (z, label) if array is not None]
        return self._generator(*inputs).cpu().numpy()

    def uint8_images(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Generate (N, R, R, C) uint8."""
        return to_uint8(self(z, label))
