"""Adam on a network's active prefix, with the released program's barrier: one bad gradient skips the whole update."""

import torch
from torch import Tensor
from torch.optim.adam import adam


class FusedAdam:
    """Adam (Kingma & Ba 2015) with device-resident learning rate, step count and overflow barrier.

    The update is torch's fused kernel. Nothing is read back to the host, so a CUDA graph can hold it.

    Args:
        vector: (P,) float32, updated in place: a prefix of FlatParameters.vector.
        beta1: decay of the mean gradient; 0 in the paper.
        beta2: decay of the mean squared gradient.
        epsilon: added to the root of the mean square after its bias is corrected, as the article's algorithm has it;
            the released programs add it before, which in the first steps makes it up to ten times larger.
    """

    def __init__(self, vector: Tensor, *, beta1: float, beta2: float, epsilon: float) -> None:
        self.vector = vector
        self.betas = (float(beta1), float(beta2))
        self.epsilon = epsilon
        self.learning_rate = torch.zeros((), device=vector.device)
        self.mean = torch.zeros_like(vector)
        self.mean_square = torch.zeros_like(vector)
        self.count = torch.zeros((), device=vector.device)

    def reset(self) -> None:
        """Forget all history, in place; done at both ends of every fade, as the released programs do."""
        for state in (self.mean, self.mean_square, self.count):
            state.zero_()

    def update(self, gradient: Tensor) -> Tensor:
        """Take one step, or none at all if any entry of the gradient is not finite.

        Args:
            gradient: (P,) float32.

        Returns:
            () float32: 1 where the update was skipped, else 0.
        """
        # One pass instead of three: a sum with a NaN or an infinity in it is not finite either (inf - inf is NaN).
        overflow = (~torch.isfinite(gradient.sum())).float()
        adam(
            [self.vector],
            [gradient],
            [self.mean],
            [self.mean_square],
            [],
            [self.count],
            fused=True,
            capturable=self.vector.is_cuda,
            found_inf=overflow,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=self.epsilon,
            maximize=False,
        )
        return overflow

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of the state, for a checkpoint."""
        return {name: getattr(self, name).detach().cpu().clone() for name in ("mean", "mean_square", "count")}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore the state, in place."""
        for name in ("mean", "mean_square", "count"):
            getattr(self, name).copy_(state[name])
