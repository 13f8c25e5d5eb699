"""What the torch families share: transposed and fused kernels as plain convolutions, and whether weights are scaled."""

import math

from torch import Tensor


def upsampling_kernel(weight: Tensor) -> Tensor:
    """Return the 3x3 convolution (out, in, 3, 3) after doubling that a fused transposed one (in, out, 3, 3) stands for.

    The fused layer sums four shifts of its kernel and strides by 2: the same arithmetic as nearest neighbour doubling
    and a convolution whose kernel is turned by 180 degrees.
    """
    return weight.transpose(0, 1).flip(2, 3)


def dense_of_padded(weight: Tensor) -> Tensor:
    """Return the dense weight (out * 16, in) of a 4x4 convolution (out, in, 4, 4) with padding 3 on a single pixel."""
    return weight.flip(2, 3).permute(0, 2, 3, 1).reshape(-1, weight.shape[1])


def dense_of_transposed(weight: Tensor) -> Tensor:
    """Return the dense weight (out * 16, in) of a transposed 4x4 convolution (in, out, 4, 4) of a single pixel."""
    return weight.permute(1, 2, 3, 0).reshape(-1, weight.shape[0])


def is_equalized(kernels: list[Tensor]) -> bool:
    """Tell whether 3x3 kernels (out, in, 3, 3) are multiplied by He's constant at run time, for files that do not say.

    Such weights have about unit variance, the others about He's: the mean of log(rms) over the layers is compared with
    the middle between the two, a factor of 4 from either for 64 feature maps and of 7 for 512.
    """
    distance = 0.0
    for kernel in kernels:
        rms = kernel.float().square().mean().sqrt().clamp_min(1e-12).item()
        distance += math.log(rms) - math.log(math.sqrt(2 / kernel[0].numel())) / 2
    return distance >= 0
