"""What every kernel must compute, from its mathematics in NumPy.

A reference takes a workload's parameters and returns its output arrays by name. It uses what NumPy has for
the problem (solve, matrix products, closed forms) where the C has loops, so that the two share no mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Outputs = dict[str, Array]

KERNELS: dict[str, Callable[..., Outputs]] = {}


def kernel(name: str) -> Callable[[Callable[..., Outputs]], Callable[..., Outputs]]:
    def register(function: Callable[..., Outputs]) -> Callable[..., Outputs]:
        KERNELS[name] = function
        return function

    return register


def table(shape: tuple[int, ...], formula: Callable[..., Array]) -> Array:
    """The array whose elements are `formula` of their integer indices."""
    return formula(*np.indices(shape)) + np.zeros(shape)


# Data mining


@kernel("correlation")
def correlation(M: int, N: int) -> Outputs:
    return {"corr": np.corrcoef(table((N, M), lambda i, j: i * j / M + i), rowvar=False)}


@kernel("covariance")
def covariance(M: int, N: int) -> Outputs:
    return {"cov": np.cov(table((N, M), lambda i, j: i * j / M), rowvar=False)}


# Linear algebra: BLAS


@kernel("gemm")
def gemm(NI: int, NJ: int, NK: int) -> Outputs:
    A = table((NI, NK), lambda i, k: i * (k + 1) % NK / NK)
    B = table((NK, NJ), lambda k, j: k * (j + 2) % NJ / NJ)
    C = table((NI, NJ), lambda i, j: (i * j + 1) % NI / NI)
    return {"C": 1.5 * A @ B + 1.2 * C}


@kernel("gemver")
def gemver(N: int) -> Outputs:
    ramp = np.arange(1, N + 1) / N
    A = table((N, N), lambda i, j: i * j % N / N)
    A = A + np.outer(np.arange(N), ramp / 4) + np.outer(ramp / 2, ramp / 6)
    x = 1.2 * A.T @ (ramp / 8) + ramp / 9
    return {"w": 1.5 * A @ x}


@kernel("gesummv")
def gesummv(N: int) -> Outputs:
    A = table((N, N), lambda i, j: (i * j + 1) % N / N)
    B = table((N, N), lambda i, j: (i * j + 2) % N / N)
    return {"y": (1.5 * A + 1.2 * B) @ (np.arange(N) / N)}


@kernel("symm")
def symm(M: int, N: int) -> Outputs:
    lower = np.tril(table((M, M), lambda i, j: (i + j) % 100 / M))
    B = table((M, N), lambda i, j: (N + i - j) % 100 / M)
    C = table((M, N), lambda i, j: (i + j) % 100 / M)
    return {"C": 1.5 * (lower + np.tril(lower, -1).T) @ B + 1.2 * C}


@kernel("syr2k")
def syr2k(M: int, N: int) -> Outputs:
    A = table((N, M), lambda i, j: (i * j + 1) % N / N)
    B = table((N, M), lambda i, j: (i * j + 2) % M / M)
    C = table((N, N), lambda i, j: (i * j + 3) % N / M)
    return {"C": np.tril(1.5 * (A @ B.T + B @ A.T) + 1.2 * C) + np.triu(C, 1)}


@kernel("syrk")
def syrk(M: int, N: int) -> Outputs:
    A = table((N, M), lambda i, j: (i * j + 1) % N / N)
    C = table((N, N), lambda i, j: (i * j + 2) % M / M)
    return {"C": np.tril(1.5 * A @ A.T + 1.2 * C) + np.triu(C, 1)}


@kernel("trmm")
def trmm(M: int, N: int) -> Outputs:
    A = np.tril(table((M, M), lambda i, j: (i + j) % M / M), -1) + np.eye(M)
    return {"B": 1.5 * A.T @ table((M, N), lambda i, j: (N + i - j) % N / N)}


# Linear algebra: kernels


@kernel("2mm")
def two_products(NI: int, NJ: int, NK: int, NL: int) -> Outputs:
    A = table((NI, NK), lambda i, k: (i * k + 1) % NI / NI)
    B = table((NK, NJ), lambda k, j: k * (j + 1) % NJ / NJ)
    C = table((NJ, NL), lambda j, m: (j * (m + 3) + 1) % NL / NL)
    D = table((NI, NL), lambda i, m: i * (m + 2) % NK / NK)
    return {"D": 1.5 * A @ B @ C + 1.2 * D}


@kernel("3mm")
def three_products(NI: int, NJ: int, NK: int, NL: int, NM: int) -> Outputs:
    A = table((NI, NK), lambda i, k: (i * k + 1) % NI / (5 * NI))
    B = table((NK, NJ), lambda k, j: (k * (j + 1) + 2) % NJ / (5 * NJ))
    C = table((NJ, NM), lambda j, m: j * (m + 3) % NL / (5 * NL))
    D = table((NM, NL), lambda m, n: (m * (n + 2) + 2) % NK / (5 * NK))
    return {"G": (A @ B) @ (C @ D)}


@kernel("atax")
def atax(M: int, N: int) -> Outputs:
    A = table((M, N), lambda i, j: (i + j) % N / (5 * M))
    return {"y": A.T @ (A @ (1 + np.arange(N) / N))}


@kernel("bicg")
def bicg(M: int, N: int) -> Outputs:
    A = table((N, M), lambda i, j: i * (j + 1) % N / N)
    return {"s": A.T @ (np.arange(N) / N), "q": A @ (np.arange(M) / M)}


@kernel("doitgen")
def doitgen(NQ: int, NR: int, NP: int) -> Outputs:
    A = table((NR, NQ, NP), lambda r, q, p: (r * q + p) % NP / NP)
    return {"A": A @ table((NP, NP), lambda s, p: s * p % NP / NP)}


@kernel("mvt")
def mvt(N: int) -> Outputs:
    i = np.arange(N)
    A = table((N, N), lambda i, j: i * j % N / N)
    return {"x1": i / N + A @ ((i + 3) % N / N), "x2": (i + 1) % N / N + A.T @ ((i + 4) % N / N)}


# Linear algebra: solvers


def unit_lower(N: int) -> Array:
    """The L of the matrix A = L L^T that cholesky, lu and ludcmp factorise."""
    return np.tril(table((N, N), lambda i, j: 1 - j / N), -1) + np.eye(N)


@kernel("cholesky")
def cholesky(N: int) -> Outputs:
    L = unit_lower(N)
    return {"A": L + np.triu(L @ L.T, 1)}


@kernel("lu")
def lu(N: int) -> Outputs:
    L = unit_lower(N)
    return {"A": np.tril(L, -1) + L.T}


@kernel("ludcmp")
def ludcmp(N: int) -> Outputs:
    L = unit_lower(N)
    return {"x": np.linalg.solve(L.T, np.linalg.solve(L, np.arange(1, N + 1) / N / 2 + 4))}


@kernel("durbin")
def durbin(N: int) -> Outputs:
    r = N + 1.0 - np.arange(N)
    T = np.append(1.0, r)[table((N, N), lambda i, j: abs(i - j)).astype(int)]
    return {"y": np.linalg.solve(T, -r)}


@kernel("gramschmidt")
def gramschmidt(M: int, N: int) -> Outputs:
    """A has a rank below N, so the last columns of Q are normalised rounding errors, and only sums in the
    definition's order give the same ones; Q R = A holds for any order and is checked besides."""
    start = table((M, N), lambda i, j: i * j % M / M * 100 + 10)
    A, Q, R = start.copy(), np.zeros((M, N)), np.zeros((N, N))
    for k in range(N):
        R[k, k] = np.sqrt(np.add.accumulate(A[:, k] ** 2)[-1])
        Q[:, k] = A[:, k] / R[k, k]
        R[k, k + 1 :] = np.add.accumulate(Q[:, k, None] * A[:, k + 1 :])[-1]
        A[:, k + 1 :] -= np.outer(Q[:, k], R[k, k + 1 :])
    assert np.allclose(Q @ R, start, rtol=1e-12)
    return {"R": R, "Q": Q}


@kernel("trisolv")
def trisolv(N: int) -> Outputs:
    L = np.tril(table((N, N), lambda i, j: (i + N - j + 1) * 2 / N))
    return {"x": np.linalg.solve(L, np.arange(N))}


# Medley


@kernel("deriche")
def deriche(W: int, H: int) -> Outputs:
    alpha = 0.25
    image = table((W, H), lambda i, j: (313 * i + 991 * j) % 65536 / 65535)
    e = np.exp(-alpha)
    k = (1 - e) ** 2 / (1 + 2 * alpha * e - np.exp(2 * alpha))
    feedback = (2**-alpha, -(e**2))

    def recursive(x: Array, now: float, before: float, before2: float) -> Array:
        y = np.zeros((len(x) + 2, x.shape[1]))
        x = np.vstack([np.zeros((2, x.shape[1])), x])
        for n in range(2, len(x)):
            fed = now * x[n] + before * x[n - 1] + before2 * x[n - 2]
            y[n] = fed + feedback[0] * y[n - 1] + feedback[1] * y[n - 2]
        return y[2:]

    def smooth(x: Array) -> Array:
        """Along the first axis: the causal filter, plus the anticausal one on the line read backwards."""
        forth = recursive(x, k, k * e * (alpha - 1), 0)
        back = recursive(x[::-1], 0, k * e * (alpha + 1), -k * e**2)[::-1]
        return forth + back

    return {"smooth": smooth(smooth(image.T).T)}


@kernel("floyd-warshall")
def floyd_warshall(N: int) -> Outputs:
    i, j = np.indices((N, N))
    far = ((i + j) % 13 == 0) | ((i + j) % 7 == 0) | ((i + j) % 11 == 0)
    path = np.where(far, 999, i * j % 7 + 1)
    for k in range(N):
        path = np.minimum(path, path[:, k, None] + path[k])
    return {"path": path}


@kernel("nussinov")
def nussinov(N: int) -> Outputs:
    base = (np.arange(N) + 1) % 4
    best = np.zeros((N + 1, N + 1), dtype=int)  # best[i, j]: pairs within the half-open range from i to j
    for length in range(2, N + 1):
        i = np.arange(N - length + 1)
        j = i + length
        paired = (base[i] + base[j - 1] == 3) & (length > 2)  # neighbours cannot pair
        most = best[i + 1, j - 1] + paired
        for cut in range(1, length):
            np.maximum(most, best[i, i + cut] + best[i + cut, j], out=most)
        best[i, j] = most
    return {"table": np.triu(best[:N, 1:])}


# Stencils


@kernel("adi")
def adi(TSTEPS: int, N: int) -> Outputs:
    u = table((N, N), lambda i, j: (i + N - j) / N)
    ratio = N * N / TSTEPS  # time step over squared distance
    along, across = -ratio, -ratio / 2  # off-diagonals of the two implicit systems

    def half_step(field: Array, after: Array, implicit: float, explicit: float) -> None:
        """Implicit along the first axis, whose ends are held at 1, explicit along the second."""
        inner = field[1:-1]
        known = (1 + 2 * explicit) * inner[:, 1:-1] - explicit * (inner[:, :-2] + inner[:, 2:])
        known[[0, -1]] -= implicit
        off = np.full(N - 3, implicit)
        system = np.diag(np.full(N - 2, 1 - 2 * implicit)) + np.diag(off, 1) + np.diag(off, -1)
        after[[0, -1], 1:-1] = 1
        after[1:-1, 1:-1] = np.linalg.solve(system, known)

    v = np.zeros((N, N))
    for _ in range(TSTEPS):
        half_step(u, v, along, across)
        half_step(v.T, u.T, across, along)
    return {"u": u}


@kernel("fdtd-2d")
def fdtd_2d(TMAX: int, NX: int, NY: int) -> Outputs:
    ex = table((NX, NY), lambda i, j: i * (j + 1) / NX)
    ey = table((NX, NY), lambda i, j: i * (j + 2) / NY)
    hz = table((NX, NY), lambda i, j: i * (j + 3) / NX)
    for t in range(TMAX):
        ey[0] = t
        ey[1:] -= 0.5 * np.diff(hz, axis=0)
        ex[:, 1:] -= 0.5 * np.diff(hz, axis=1)
        hz[:-1, :-1] -= 0.7 * (np.diff(ex, axis=1)[:-1] + np.diff(ey, axis=0)[:, :-1])
    return {"ex": ex, "ey": ey, "hz": hz}


@kernel("heat-3d")
def heat_3d(TSTEPS: int, N: int) -> Outputs:
    A = table((N, N, N), lambda i, j, k: (i + j + N - k) * 10 / N)
    inner = (slice(1, -1),) * 3
    for _ in range(2 * TSTEPS):
        second = sum(np.roll(A, -1, axis) - 2 * A + np.roll(A, 1, axis) for axis in range(3))
        A[inner] += 0.125 * np.asarray(second)[inner]
    return {"A": A}


@kernel("jacobi-1d")
def jacobi_1d(TSTEPS: int, N: int) -> Outputs:
    A, B = (np.arange(N) + 2) / N, (np.arange(N) + 3) / N
    for _ in range(TSTEPS):
        B[1:-1] = np.convolve(A, np.full(3, 0.33333), "valid")
        A[1:-1] = np.convolve(B, np.full(3, 0.33333), "valid")
    return {"A": A}


@kernel("jacobi-2d")
def jacobi_2d(TSTEPS: int, N: int) -> Outputs:
    A = table((N, N), lambda i, j: (i * (j + 2) + 2) / N)
    B = table((N, N), lambda i, j: (i * (j + 3) + 3) / N)
    for _ in range(TSTEPS):
        for old, new in ((A, B), (B, A)):
            rows = old[:-2, 1:-1] + old[1:-1, 1:-1] + old[2:, 1:-1]
            new[1:-1, 1:-1] = (rows + old[1:-1, :-2] + old[1:-1, 2:]) / 5
    return {"A": A}


@kernel("seidel-2d")
def seidel_2d(TSTEPS: int, N: int) -> Outputs:
    """Within a row, x[j] = (known[j] + x[j-1]) / 9: a geometric series, cut where it falls below 1e-22."""
    A = table((N, N), lambda i, j: (i * (j + 2) + 2) / N)
    series = 9.0 ** -np.arange(1, 25)
    for _ in range(TSTEPS):
        for i in range(1, N - 1):
            around = A[i - 1] + A[i + 1]
            known = around[:-2] + around[1:-1] + around[2:] + A[i, 1:-1] + A[i, 2:]
            known[0] += A[i, 0]
            A[i, 1:-1] = np.convolve(known, series)[: N - 2]
    return {"A": A}
