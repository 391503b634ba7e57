"""The core of the ZVH gateway and its edges. Knows no partner."""

__version__ = "0.1.0"
