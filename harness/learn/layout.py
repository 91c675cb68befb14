"""Workloads and platforms in two dimensions, near to each other where a model finds them alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core import Pitot

FEWEST, MOST = 5, 400
SWEEPS = 500  # of t-SNE: 1,000 move nothing any more


@dataclass(frozen=True)
class Layout:
    """names (n,) with their places (n, 2), and the group (suite or engine) of each."""

    names: Sequence[str]
    groups: Sequence[str]
    places: NDArray[Any]


def layouts(model: Pitot, seed: int = 0) -> tuple[Layout | None, Layout | None]:
    """Of workloads and of platforms, by t-SNE; None where there are fewer than five, or their profiles do not differ.

    The profile of a workload is its predicted log time on every platform, minus the mean (and the other way round for
    a platform): unlike embeddings, profiles can be compared between models. Of very many names only every k-th is used.
    """
    assert model.features is not None
    table = model.alone()
    workloads = (table - table.mean(axis=0))[model.seen_platforms].T
    platforms = (table - table.mean(axis=1, keepdims=True))[:, model.seen_workloads]
    names = np.array(model.features.workload_names), np.array(model.features.platform_names)
    return (
        _layout(workloads[model.seen_workloads], names[0][model.seen_workloads], "/", seed),
        _layout(platforms[model.seen_platforms], names[1][model.seen_platforms], ":", seed),
    )


def _layout(profiles: NDArray[Any], names: NDArray[Any], separator: str, seed: int) -> Layout | None:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    every = -(-len(names) // MOST)
    profiles, names = profiles[::every], names[::every]
    if len(names) < FEWEST or min(profiles.shape) < 2 or not np.ptp(profiles, axis=0).any():
        return None  # as on a single platform, where there is nothing that they could be unlike in
    perplexity = min(30.0, (len(names) - 1) / 3)
    # For so few points the exact gradient is fast, and needs no threads that wait for each other on a busy machine.
    with threadpool_limits(1):
        places = TSNE(
            perplexity=perplexity, init="pca", method="exact", max_iter=SWEEPS, random_state=seed
        ).fit_transform(profiles)
    listed: list[str] = names.tolist()
    return Layout(listed, [name.replace(":", separator, 1).split(separator)[0] for name in listed], places)
