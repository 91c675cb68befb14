"""Colours that a colour-blind reader can tell apart, and that print in grey."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# The colours of groups stand in the style sheet: Okabe and Ito's set without black and yellow, a little
# lighter on a dark page.
GROUPS = tuple(f"var(--group{k})" for k in range(7))

STEPS = 254


def ramp() -> NDArray[np.uint8]:
    """(STEPS, 3) sRGB from a dark violet over green to a light yellow, its lightness rising evenly (OKLab)."""
    t = np.linspace(0.0, 1.0, STEPS)
    lightness, hue = 0.34 + 0.57 * t, np.radians(305.0 - 203.0 * t)
    chroma = 0.125 + 0.035 * t
    return _srgb(np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1))


def hexed(colours: NDArray[np.uint8]) -> list[str]:
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours.tolist()]


def levels(values: NDArray[Any], low: float, high: float) -> NDArray[np.int64]:
    """The ramp's step number of each value between low and high (values beyond an end get that end's step);
    −1 for NaN.
    """
    share = (np.nan_to_num(values, nan=low) - low) / (high - low or 1.0)
    step = np.clip(np.round(share * (STEPS - 1)), 0, STEPS - 1).astype(np.int64)
    return np.where(np.isnan(values), -1, step)


def _srgb(oklab: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Björn Ottosson's OKLab to sRGB; what sRGB cannot show is clipped."""
    to_cone = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
                        [1, -0.0894841775, -1.2914855480]])  # fmt: skip
    to_rgb = np.array([[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
                       [-0.0041960863, -0.7034186147, 1.7076147010]])  # fmt: skip
    linear = np.clip((oklab @ to_cone.T) ** 3 @ to_rgb.T, 0.0, 1.0)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(shown * 255), np.uint8)
