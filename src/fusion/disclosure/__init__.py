"""What may be released: bounds on what each person adds, small groups hidden, noise with a stated epsilon."""

from fusion.disclosure.bounds import Clipped, Limited, clip, limit_rows
from fusion.disclosure.noise import Guarantee, Noise, gaussian, laplace
from fusion.disclosure.released import Release, release
from fusion.disclosure.suppression import suppress

__all__ = [
    "Clipped",
    "Guarantee",
    "Limited",
    "Noise",
    "Release",
    "clip",
    "gaussian",
    "laplace",
    "limit_rows",
    "release",
    "suppress",
]
