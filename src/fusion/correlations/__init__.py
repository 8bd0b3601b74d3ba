"""Randomness that two parties make together: oblivious transfers and vector oblivious linear evaluations.

`base_ot` makes a few transfers with a group, `ot_extension` many from few with hashing, `vole` correlations of a
million elements from a few thousand transfers. Each is a pair of roles; a protocol runs inside an operation of a
channel, after its announcement. All of it is for semi-honest parties.
"""
