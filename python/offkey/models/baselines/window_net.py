"""What a network that looks at windows of frames gives, and the dense layers that such networks are made of."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["GaussianCode", "WindowNet", "dense", "glorot"]

_LARGEST_LOG_VARIANCE = 20.0


class WindowNet(nn.Module, abc.ABC):
    """A network that is trained on windows of frames and scores them.

    Its input is standardised by `mean` and `gain`, ``(n_mels,)``, which leave it as it is until they are set.

    Parameters
    ----------
    n_mels
        Values of a frame.
    """

    mean: Tensor
    gain: Tensor
    tasks: tuple[str, ...]
    """Which losses `losses` returns beside "total"."""

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("gain", torch.ones(n_mels))

    def standardised(self, windows: Tensor) -> Tensor:
        """Return windows ``(n, frames, n_mels)`` in dB as the layers see them."""
        return (windows - self.mean) * self.gain

    @abc.abstractmethod
    def losses(self, windows: Tensor, ids: Tensor) -> dict[str, Tensor]:
        """Return the mean losses of a batch: "total", and the parts that `tasks` names.

        Parameters
        ----------
        windows
            ``(n, frames, n_mels)`` in dB.
        ids
            ``(n,)`` int64: positions of their machine IDs.
        """

    @abc.abstractmethod
    def errors(self, windows: Tensor) -> Tensor:
        """Return by how much windows are unlike normal ones: ``(n,)``, or ``(n, ids)`` where it depends on the ID."""

    def numbers(self) -> int:
        """Return how many numbers training sets: weights, and the means and variances that scoring normalises by."""
        running = (b for name, b in self.named_buffers() if name.endswith(("running_mean", "running_var")))
        return sum(tensor.numel() for tensor in (*self.parameters(), *running))


def dense(sizes: Sequence[int], *, batch_norm: bool) -> list[nn.Module]:
    """Return linear layers between the sizes, each followed by a ReLU, and by BatchNorm before it where that is on.

    Weights are drawn as Glorot and Bengio (2010) propose, biases are 0: what Keras, in which the baselines were
    published, does by default.
    """
    layers: list[nn.Module] = []
    for size, next_size in itertools.pairwise(sizes):
        layers.append(glorot(nn.Linear(size, next_size)))
        layers += [nn.BatchNorm1d(next_size)] * batch_norm + [nn.ReLU()]
    return layers


def glorot(layer: nn.Linear) -> nn.Linear:
    """Give a layer its first weights (see `dense`)."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class GaussianCode(nn.Module):
    """A code that is drawn around a mean, and how far from a standard normal one: what makes a network variational.

    D. Kingma and M. Welling, "Auto-encoding variational Bayes", 2014. In eval mode the code is the mean.

    Parameters
    ----------
    size
        Of what comes in.
    dim
        Of the code.
    """

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.mean = glorot(nn.Linear(size, dim))
        self.log_variance = glorot(nn.Linear(size, dim))

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes ``(n, dim)`` and the divergences ``(n,)`` from a standard normal distribution."""
        mean = self.mean(hidden)
        log_variance = self.log_variance(hidden).clamp(max=_LARGEST_LOG_VARIANCE)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1)
        code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean) if self.training else mean
        return code, divergence
