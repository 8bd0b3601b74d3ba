"""The part of the build that pyproject.toml cannot say: the C kernel and its stable ABI."""

from setuptools import setup

setup(
    cffi_modules=["src/fusion/kernels/_build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
