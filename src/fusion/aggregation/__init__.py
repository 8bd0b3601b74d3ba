"""Sums over what several parties hold, without showing what each holds."""

from fusion.aggregation.masked import SecureSum, secure_sum

__all__ = ["SecureSum", "secure_sum"]
