"""The published measurements: PSNR on gray JPEGs (Classic5) and on the luma of 4x reductions (Set5, Set14)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from train.restoration.degrade import jpeg, resize
from zoo.restoration.jpeg_blockiness import correction_weight
from zoo.restoration.self_ensemble import self_ensemble

# ITU-R BT.601 luma in 16..235, as MATLAB's rgb2ycbcr: what every super-resolution table is measured on.
_BT601 = np.array([65.481, 128.553, 24.966]) / 255
BORDER = 4

Restore = Callable[[np.ndarray], np.ndarray]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal to noise of two images of the same shape on a scale of 0..255, in dB; infinite when equal."""
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float(10 * np.log10(255.0**2 / error)) if error else float("inf")


def luma(photo: np.ndarray) -> np.ndarray:
    """BT.601 luma. photo: (H, W, 3) uint8 RGB. Returns (H, W) float64 in 16..235."""
    return photo @ _BT601 + 16.0


def to_tensor(photo: np.ndarray, device: torch.device) -> Tensor:
    """(H, W, 3) uint8 to (1, 3, H, W) float32 in [0, 1], channels_last."""
    return torch.from_numpy(np.array(photo)).to(device).permute(2, 0, 1)[None].float() / 255


def to_photo(image: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [0, 1] to (H, W, 3) uint8, rounded and clipped."""
    return (image[0].float() * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def restorer(network: nn.Module, bf16: bool = False) -> Restore:
    """A network as a function from photo to photo, (H, W, 3) uint8 to (H', W', 3) uint8."""
    device = next(network.parameters()).device

    def restore(photo: np.ndarray) -> np.ndarray:
        training = network.training
        network.eval()
        with (
            torch.inference_mode(),
            torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16),
            # Every photo has another size: looking for the fastest kernel would take longer than the work.
            torch.backends.cudnn.flags(enabled=True, benchmark=False),
        ):
            result = to_photo(network(to_tensor(photo, device)))
        network.train(training)
        return result

    return restore


def ensembled(restore: Restore) -> Restore:
    """The same with self-ensemble, at eight times the work; see zoo.restoration.self_ensemble."""
    return lambda photo: self_ensemble(lambda turned, _: restore(turned), photo)


def where_needed(restore: Restore) -> Restore:
    """Artifact removal as the builder does it: only as far as a photo shows that it was a JPEG; see zoo."""

    def restore_where_needed(photo: np.ndarray) -> np.ndarray:
        share = correction_weight(photo)
        if not share:
            return photo
        return np.rint(share * restore(photo).astype(np.float32) + (1 - share) * photo).astype(np.uint8)

    return restore_where_needed


def artifacts_psnr(restore: Restore | None, photos: list[np.ndarray], quality: int) -> float:
    """Mean PSNR in dB on gray JPEGs (Classic5). photos: (H, W, 3) uint8; restore: None measures the JPEG itself."""
    metrics = []
    for photo in photos:
        gray = np.ascontiguousarray(photo[..., 0])
        damaged = jpeg(gray, quality)
        if restore is not None:
            restored = restore(np.repeat(damaged[..., None], 3, axis=2))
            damaged = np.rint(restored.mean(axis=2))
        metrics.append(psnr(gray, damaged))
    return float(np.mean(metrics))


def clean_psnr(restore: Restore, photos: list[np.ndarray]) -> float:
    """Lowest PSNR in dB of undamaged photos to what is made of them: are they left alone?

    photos: (H, W, 3) uint8. They are halved by area means first: some images of Set5 and Set14 are decompressed JPEGs
    themselves ("woman" comes back at 62 dB from another compression at quality 75, and at 50 dB from quality 95).
    """
    return min(psnr(half, restore(half)) for half in halved(photos))


def halved(photos: list[np.ndarray]) -> list[np.ndarray]:
    """Photos at half their size, by area means: what an earlier compression left is averaged out. uint8."""
    return [resize(photo, photo.shape[0] // 2, photo.shape[1] // 2, "box") for photo in photos]


def superres_psnr(restore: Restore | None, photos: list[np.ndarray]) -> float:
    """Mean luma PSNR in dB of 4x super-resolution (Set5, Set14), 4 border pixels cut.

    photos: (H, W, 3) uint8, cut to multiples of 4 and reduced by antialiased bicubic; restore: None measures bicubic
    enlargement.
    """
    metrics = []
    for photo in photos:
        photo, small = reduced_pair(photo)
        restored = resize(small, *photo.shape[:2]) if restore is None else restore(small)
        inner = slice(BORDER, -BORDER)
        metrics.append(psnr(luma(photo)[inner, inner], luma(restored)[inner, inner]))
    return float(np.mean(metrics))


def reduced_pair(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A photo cut to multiples of 4, and its antialiased bicubic reduction to a quarter. (H, W, 3) uint8 both."""
    height, width = (n - n % 4 for n in photo.shape[:2])
    photo = np.ascontiguousarray(photo[:height, :width])
    return photo, resize(photo, height // 4, width // 4)
