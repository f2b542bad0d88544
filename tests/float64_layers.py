"""Layers of networks restated in float64 with numpy."""

import numpy as np
import torch


def values(tensor):
    return tensor.detach().numpy().astype(np.float64)


def linear(layer, x):
    return x @ values(layer.weight).T + values(layer.bias)


def through(layers, x, *, of_batch=False):
    """Dense layers; BatchNorm by the statistics of the batch, or by the running ones."""
    for layer in layers:
        if isinstance(layer, torch.nn.Linear):
            x = linear(layer, x)
        elif isinstance(layer, torch.nn.BatchNorm1d):
            mean, variance = (
                (x.mean(axis=0), x.var(axis=0))
                if of_batch
                else (values(layer.running_mean), values(layer.running_var))
            )
            x = (x - mean) / np.sqrt(variance + layer.eps) * values(layer.weight) + values(layer.bias)
        else:
            assert isinstance(layer, torch.nn.ReLU)
            x = np.maximum(x, 0)
    return x


def windows(count=50, *, frames=5, n_mels=16):
    return np.random.default_rng(0).normal(-40, 8, (count, frames, n_mels)).astype(np.float32)


def standardise(net):
    """Give a network's input a mean and a gain."""
    net.mean.copy_(torch.full_like(net.mean, -38.0))
    net.gain.copy_(torch.linspace(0.05, 0.2, len(net.gain)))


def standardised(net, given):
    return (given.astype(np.float64) - values(net.mean)) * values(net.gain)


def divergence(mean, log_variance):
    return 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)


def losses(net, given, ids=None):
    """The losses of a batch in training mode, drawn with seed 3."""
    torch.manual_seed(3)
    net.train()
    ids = torch.zeros(len(given), dtype=torch.int64) if ids is None else torch.from_numpy(ids)
    return {name: float(loss.detach()) for name, loss in net.losses(torch.from_numpy(given), ids).items()}


def errors(net, given):
    net.eval()
    return net.errors(torch.from_numpy(given)).detach().numpy()


def draw(shape):
    """What a network draws in `losses`."""
    torch.manual_seed(3)
    return torch.randn(shape).numpy().astype(np.float64)
