"""What Pitot is compared with, behind the same interface: fit, predict, bound, pools."""

from pitot_core.baselines.additive import LogLinear, StartUp
from pitot_core.baselines.attention import Attention
from pitot_core.baselines.boosting import Boosting
from pitot_core.baselines.factorisation import MatrixFactorisation
from pitot_core.baselines.neural import NeuralNetwork
from pitot_core.baselines.point import PointModel

__all__ = [
    "Attention",
    "Boosting",
    "LogLinear",
    "MatrixFactorisation",
    "NeuralNetwork",
    "PointModel",
    "StartUp",
]
