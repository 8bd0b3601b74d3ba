"""Encrypted columns that add up: whoever computes sees nothing, whoever decrypts sees sums; and sums by masks alone."""

from fusion.aggregation import ideal
from fusion.aggregation.arrays import EncryptedArray, Groups
from fusion.aggregation.frames import EncryptedFrame, EncryptedGroups, FrameGroups
from fusion.aggregation.keys import PrivateKey, PublicKey, generate
from fusion.aggregation.masked import SecureSum, secure_sum
from fusion.aggregation.transfer import exchange

__all__ = [
    "EncryptedArray",
    "EncryptedFrame",
    "EncryptedGroups",
    "FrameGroups",
    "Groups",
    "PrivateKey",
    "PublicKey",
    "SecureSum",
    "exchange",
    "generate",
    "ideal",
    "secure_sum",
]
