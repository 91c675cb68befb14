"""Two-tower embedding networks (Eq. 4), several members at once, and their gradients by hand.

Every array has a leading axis E, the members of an ensemble: independent networks trained side by side as one
batch of matrix products. All parameters of a member lie in one row of one (E, n) array, so that an optimiser
step is a handful of operations on two flat arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GELU_SCALE = math.sqrt(2.0 / math.pi)
GELU_CUBIC = 0.044715


@dataclass(frozen=True)
class Parameters:
    """Named arrays that are views of one flat (E, n) array."""

    flat: Array
    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def zeros(cls, members: int, shapes: dict[str, tuple[int, ...]], dtype: Any = np.float32) -> Self:
        size = sum(math.prod(shape) for shape in shapes.values())
        return cls(np.zeros((members, size), dtype), shapes)

    def views(self) -> dict[str, Array]:
        """(E, *shape) views by name."""
        arrays, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            arrays[name] = self.flat[:, start:stop].reshape(len(self.flat), *shape)
            start = stop
        return arrays

    def is_matrix(self) -> NDArray[np.bool_]:
        """(n,) true where a number belongs to a weight matrix: what weight decay is meant for."""
        return np.concatenate(
            [np.full(math.prod(shape), name.endswith("weight")) for name, shape in self.shapes.items()]
            or [np.zeros(0)]
        ).astype(bool)


def tower_shapes(
    name: str, entities: int, features: int, learned: int, hidden: Sequence[int], outputs: int
) -> dict[str, tuple[int, ...]]:
    """Shapes of a tower's parameters: learned features φ, then weight and bias of each layer."""
    widths = [features + learned, *hidden, outputs]
    shapes: dict[str, tuple[int, ...]] = {f"{name}.phi": (entities, learned)} if learned else {}
    for layer, (inside, outside) in enumerate(pairwise(widths)):
        shapes[f"{name}.{layer}.weight"] = (inside, outside)
        shapes[f"{name}.{layer}.bias"] = (1, outside)
    return shapes


def initialise(
    parameters: Parameters, rng: np.random.Generator, *, output_gain: float, phi: str = "normal"
) -> None:
    """Weights of variance 1/inputs (last layer times output_gain), biases zero, φ normal or U(0, 1)."""
    views = parameters.views()
    last: dict[str, int] = {}
    for name in views:
        if name.endswith("weight"):
            tower, layer, _ = name.split(".")
            last[tower] = max(last.get(tower, 0), int(layer))
    for name, view in views.items():
        if name.endswith("weight"):
            tower, layer, _ = name.split(".")
            gain = output_gain if int(layer) == last[tower] else math.sqrt(2.0 if int(layer) else 1.0)
            view[...] = rng.standard_normal(view.shape) * (gain / math.sqrt(max(view.shape[-2], 1)))
        elif name.endswith("phi"):
            view[...] = rng.random(view.shape) if phi == "uniform" else rng.standard_normal(view.shape)


class Tower:
    """f([x, φ]) of one side for all members, forward and backward, with buffers made once."""

    def __init__(self, name: str, x: Array, values: dict[str, Array], gradients: dict[str, Array]) -> None:
        self.x = x
        self.phi, self.phi_gradient = values.get(f"{name}.phi"), gradients.get(f"{name}.phi")
        depth = sum(key.startswith(f"{name}.") and key.endswith("weight") for key in values)
        self.weights = [values[f"{name}.{layer}.weight"] for layer in range(depth)]
        self.biases = [values[f"{name}.{layer}.bias"] for layer in range(depth)]
        self.weight_gradients = [gradients[f"{name}.{layer}.weight"] for layer in range(depth)]
        self.bias_gradients = [gradients[f"{name}.{layer}.bias"] for layer in range(depth)]
        members, dtype = self.weights[0].shape[0], self.weights[0].dtype
        make = [np.empty((members, len(x), bias.shape[-1]), dtype) for bias in self.biases]
        self.pre = make
        self.slope = [np.empty_like(a) for a in make[:-1]]
        self.post = [np.empty_like(a) for a in make[:-1]]
        self.scratch = [np.empty_like(a) for a in make[:-1]]
        self.known = x.shape[1]

    def forward(self) -> Array:
        """(E, n, outputs)."""
        for layer, pre in enumerate(self.pre):
            weight = self.weights[layer]
            if layer:
                np.matmul(self.post[layer - 1], weight, out=pre)
            else:
                np.matmul(self.x, weight[:, : self.known], out=pre)
                if self.phi is not None:
                    pre += self.phi @ weight[:, self.known :]
            pre += self.biases[layer]
            if layer < len(self.post):
                gelu(pre, self.post[layer], self.slope[layer], self.scratch[layer])
        return self.pre[-1]

    def backward(self, upstream: Array) -> None:
        """Fill the gradients from d loss / d output (E, n, outputs)."""
        for layer in range(len(self.pre) - 1, -1, -1):
            weight = self.weights[layer]
            np.sum(upstream, axis=1, keepdims=True, out=self.bias_gradients[layer])
            if layer:
                np.matmul(self.post[layer - 1].swapaxes(1, 2), upstream, out=self.weight_gradients[layer])
                below = np.matmul(upstream, weight.swapaxes(1, 2), out=self.scratch[layer - 1])
                below *= self.slope[layer - 1]
                upstream = below
            else:
                gradient = self.weight_gradients[layer]
                np.matmul(self.x.T, upstream, out=gradient[:, : self.known])
                if self.phi is not None and self.phi_gradient is not None:
                    np.matmul(self.phi.swapaxes(1, 2), upstream, out=gradient[:, self.known :])
                    np.matmul(upstream, weight[:, self.known :].swapaxes(1, 2), out=self.phi_gradient)


def gelu(x: Array, out: Array, slope: Array, scratch: Array) -> None:
    """GELU by its tanh form and its derivative, in place: ½x(1 + tanh(c(x + 0.0447x³)))."""
    np.multiply(x, x, out=scratch)  # x²
    np.multiply(scratch, GELU_CUBIC * GELU_SCALE, out=out)
    out += GELU_SCALE
    out *= x
    np.tanh(out, out=out)  # T
    scratch *= 3.0 * GELU_CUBIC * GELU_SCALE
    scratch += GELU_SCALE
    scratch *= x  # x · d(inside)/dx
    np.multiply(out, out, out=slope)
    np.subtract(1.0, slope, out=slope)
    slope *= scratch
    slope += out
    slope += 1.0
    slope *= 0.5  # ½(1 + T) + ½x(1 − T²)·inside′
    out += 1.0
    out *= x
    out *= 0.5
