"""How often the key-value store fails, measured, against the theory that sets its sizes.

The product's own rate is too low to be measured. The same code with a band of 3 or 7 blocks, filled to the brim, fails
often enough to be compared with what following the elimination slot by slot predicts, and with the proven bound.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from reference import okvs as twin

from fusion.crypto import okvs

NATIVE = Path(__file__).parents[1] / "native"
CSRC = Path(__file__).parents[2] / "src" / "fusion" / "kernels" / "csrc"
pytestmark = pytest.mark.timeout(300)  # the builds, on a busy machine


@pytest.fixture(scope="module", params=[3, 7])
def band(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def program(band: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = os.environ.get("CC", "cc")
    assert shutil.which(compiler.split()[0]), f"no C compiler {compiler!r}: install gcc or clang, or set CC"
    built = tmp_path_factory.mktemp("native") / "failures"
    sources = [NATIVE / "okvs_failures.c", *(CSRC / name for name in ("aes.c", "aes_x86.c", "okvs.c"))]
    command = [*compiler.split(), "-std=c11", "-O2", f"-DOKVS_WORDS={band}", f"-I{CSRC}", *map(str, sources)]
    subprocess.run([*command, "-o", str(built)], check=True)
    return built


# Keys a run, slots, runs: from a tenth to a few per thousand failing.
CASES = {3: [(2000, 64, 3000), (8000, 260, 1500), (8000, 268, 2500)], 7: [(6000, 187, 1500), (12_000, 380, 1000)]}


def test_failures_are_as_frequent_as_predicted(program, band, monkeypatch):
    monkeypatch.setattr(twin, "BAND", band)
    for mean, slots, runs in CASES[band]:
        sizes = np.random.default_rng(slots).poisson(mean, runs)
        result = subprocess.run(
            [str(program), str(slots)], input="\n".join(map(str, sizes)), capture_output=True, text=True, check=True
        )
        counted, failures = map(int, result.stdout.split())
        assert counted == runs
        predicted = twin.failure_of_poisson_keys(mean, 1, slots)
        assert 0.001 < predicted < 0.5
        assert twin.inside_interval(failures, runs, predicted), f"{failures} of {runs}, predicted {predicted:.4f}"
        assert predicted < 2.0 ** (twin.log2_failure_bound(mean, slots) - 1)


def test_no_failure_at_the_products_sizes():
    """200 stores of 2^16 keys: none may fail, which shows a rate below 3.4 % with 99.9 % confidence, and no more."""
    n = 2**16
    keys = np.random.default_rng(1).integers(0, 256, (n, 16), dtype=np.uint8)
    sizes = okvs.parameters(n)
    for i in range(200):
        assert len(okvs.encode(sizes, i.to_bytes(16, "little"), keys, keys)) == sizes.columns


def test_small_stores_never_give_a_wrong_value():
    source = np.random.default_rng(2)
    for i in range(2000):
        n = int(source.integers(0, 150))
        sizes = okvs.parameters(n)
        keys, values = source.integers(0, 256, (2, n, 16), dtype=np.uint8)
        seed = i.to_bytes(16, "little")
        store = okvs.encode(sizes, seed, keys, values, threads=1)
        assert (okvs.decode(sizes, seed, keys, store, threads=1) == values).all()
