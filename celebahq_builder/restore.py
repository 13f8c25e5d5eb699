"""Restore a photograph: remove its JPEG artifacts, enlarge it four times (paper, Appendix C). Array -> array, tiled."""

from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np

from celebahq.device import choose_device
from celebahq_builder.tiles import Box, run_tiled
from celebahq_builder.worker_process import ask, may_ask

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.restoration.checkerboard import CheckerboardFilter
    from zoo.restoration.networks import ArtifactRemover, SuperResolver

    Network: TypeAlias = ArtifactRemover | SuperResolver | CheckerboardFilter

SCALE = 4
SIZES = ("full", "fast", "fast-free")
# Sides of a tile in pixels of the input. On a CPU what it makes of one should stay near the caches; a GPU wants work.
_TILES = {"artifacts": {"cpu": 384, "cuda": 512}, "superres": {"cpu": 192, "cuda": 256}}
_BATCH = {"cpu": 1, "cuda": 8}


def remove_artifacts(
    photo: np.ndarray,
    size: str = "full",
    device: str | None = None,
    part: Box | None = None,
    ensemble: bool = False,
) -> np.ndarray:
    """Remove JPEG artifacts from a photo of unknown quality; one that shows no trace of JPEG is left as it is.

    Args:
        photo: (H, W, 3) uint8 RGB, any size.
        size: "full", or "fast" at less than a sixth of the work; "fast-free" is as fast, and was trained on free
            images alone.
        device: "cpu", "cuda" or "cuda:N"; None: "cuda" where there is one.
        part: what of the photo is wanted; None: all. The rest stays as it is, or becomes darker.
        ensemble: average what the network makes of the photo turned and mirrored (self-ensemble, x8): a little nearer
            to the original, for eight times the work.

    Returns:
        (H, W, 3) uint8 RGB. It does not depend on how the photo is cut into tiles but for roundings of single values,
        at most 1 gray level.

    Raises:
        ValueError: another shape, dtype or size.
        DeviceError: a device that is not here.
        zoo.weights.ModelError: the package was installed without its weights.
    """
    import cv2

    from zoo.restoration.jpeg_blockiness import correction_weight

    name, device = artifacts_name(size), _chosen(device)
    _check(photo)
    share = correction_weight(photo)
    if not share:
        return photo.copy()
    restored = _restore(photo, name, device, part, ensemble)
    return cv2.addWeighted(restored, share, photo, 1 - share, 0, dst=restored)


def super_resolve(
    photo: np.ndarray,
    size: str = "full",
    kind: Literal["gan", "psnr"] = "gan",
    device: str | None = None,
    part: Box | None = None,
    ensemble: bool = False,
) -> np.ndarray:
    """Enlarge a photo four times.

    Args:
        photo: (H, W, 3) uint8 RGB, any size.
        size: "full", or "fast" at about a seventh of the work; "fast-free" is as fast, and was trained on free
            images alone.
        kind: "gan" invents texture that looks like the original's; "psnr" only what is certain, which is smoother.
        device: "cpu", "cuda" or "cuda:N"; None: "cuda" where there is one.
        part: what of the photo is wanted; None: all. The rest of the result is black.
        ensemble: as for `remove_artifacts`; nearer with "psnr". With "gan" it averages texture away.

    Returns:
        (4H, 4W, 3) uint8 RGB; as for `remove_artifacts`.

    Raises:
        ValueError: another shape, dtype, size or kind.
        DeviceError: a device that is not here.
        zoo.weights.ModelError: the package was installed without its weights.
    """
    name, device = superres_name(size, kind), _chosen(device)
    _check(photo)
    return _restore(photo, name, device, part, ensemble)


def _chosen(device: str | None) -> str:
    """Return the device; on a node of a cluster whose networks are elsewhere, it need not be here."""
    return str(device) if may_ask() else str(choose_device(device))


def artifacts_name(size: str) -> str:
    return f"artifacts-{_checked_size(size)}"


def superres_name(size: str, kind: str = "gan") -> str:
    size = _checked_size(size)
    if kind not in ("gan", "psnr"):
        raise ValueError(f"kind: got {kind!r}, expected 'gan' or 'psnr'")
    return f"superres-{size}-{kind}"


def _checked_size(size: str) -> str:
    if size not in SIZES:
        raise ValueError(f"size: got {size!r}, expected {', '.join(map(repr, SIZES[:-1]))} or {SIZES[-1]!r}")
    return size


def margin_of(name: str) -> int:
    """How many pixels around a part of a photo a network must be shown to restore that part as it would the whole."""
    return load_network(name, "cpu").margin


@cache
def load_network(name: str, device: str) -> "Network":
    """A network that ships with the package, on its device; each process loads it once."""
    import torch

    from zoo.restoration.checkerboard import CheckerboardFilter
    from zoo.restoration.weights import load_restoration, shipped_folder

    network: Network = load_restoration(shipped_folder(name))
    if name.endswith("-gan"):
        network = CheckerboardFilter(cast("SuperResolver", network))
    # Channels last: a seventh to two fifths less work on a CPU, and what tensor cores want.
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it


def _check(photo: np.ndarray) -> None:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise ValueError(f"photo: got shape {photo.shape} of {photo.dtype}, expected (H, W, 3) of uint8")


def _restore(photo: np.ndarray, name: str, device: str, part: Box | None, ensemble: bool = False) -> np.ndarray:
    if ensemble:  # of whole photos: turned and mirrored tiles would have the network's cells elsewhere than these
        from zoo.restoration.self_ensemble import self_ensemble

        return self_ensemble(lambda turned, wanted: _restore(turned, name, device, wanted), photo, part)
    elsewhere = may_ask()
    network = load_network(name, "cpu" if elsewhere else device)
    kind = name.partition("-")[0]
    is_gray = (photo[..., 0] == photo[..., 1]).all() and (photo[..., 1] == photo[..., 2]).all()

    def restore(images: np.ndarray) -> np.ndarray:
        made = ask((name, images)) if elsewhere else forward(network, images)
        if is_gray:  # or it came back with tints of up to 14 gray levels
            made[:] = np.rint(made.mean(axis=3, dtype=np.float32, keepdims=True))
        return made

    return run_tiled(
        restore,
        photo,
        scale=SCALE if kind == "superres" else 1,
        tile=_TILES[kind][device.partition(":")[0]],
        margin=network.margin,
        batch=_BATCH[device.partition(":")[0]],
        part=part,
    )


def forward(network: "Network", images: np.ndarray, rounded: bool = True) -> np.ndarray:
    """Run a network on (N, h, w, 3) uint8. Returns (N, h', w', 3): uint8, or not rounded as float32 in about [0, 1].

    Half precision where the device has arithmetic for it: float16 on CUDA; bfloat16 on a CPU that multiplies it, where
    it halves the time for less than 0.01 dB. The photo itself is added in float32.
    """
    import torch

    from zoo.restoration.checkerboard import CheckerboardFilter

    device = next(network.parameters()).device
    dtype = torch.float16 if device.type == "cuda" else torch.bfloat16
    half = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    try:
        with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=half):
            # (N, h, w, 3) seen as (N, 3, h, w) is channels_last without a copy.
            given = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(255)
            if rounded and isinstance(network, CheckerboardFilter):
                # Filtered before its subpixels take their places; as bytes they do it faster.
                return _in_their_places(_as_bytes(network.subpixels(given).permute(0, 2, 3, 1)))
            made = network(given).permute(0, 2, 3, 1)
            return (_as_bytes(made) if rounded else made).cpu().numpy()
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"GPU: {str(error).splitlines()[0]}") from None


def _as_bytes(made: "Tensor") -> "Tensor":
    import torch

    return made.mul(255).round_().clamp_(0, 255).to(torch.uint8)


def _in_their_places(subpixels: "Tensor") -> np.ndarray:
    """Return (N, 4h, 4w, 3) of (N, h, w, 48): color, row, column, as pixel_shuffle takes them."""
    count, height, width, _ = subpixels.shape
    apart = subpixels.view(count, height, width, 3, SCALE, SCALE).permute(0, 1, 4, 2, 5, 3)
    return apart.reshape(count, SCALE * height, SCALE * width, 3).cpu().numpy()
