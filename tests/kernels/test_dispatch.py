from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from fusion import kernels
from fusion.errors import InputError
from fusion.kernels import _dispatch, _rows, hashing, ristretto

KERNELS = ["ristretto255", "elgamal", "sha256", "sha512"]


@pytest.mark.parametrize("kernel", KERNELS)
def test_portable_is_always_there_and_last(kernel):
    names = kernels.variants(kernel)
    assert names[-1] == "portable"
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_fastest_variant_is_active(kernel, monkeypatch):
    monkeypatch.delenv("FUSION_KERNEL", raising=False)
    assert kernels.active(kernel) == kernels.variants(kernel)[0]


def test_the_environment_forces_a_variant_where_it_exists(monkeypatch):
    for name in {name for kernel in KERNELS for name in kernels.variants(kernel)}:
        monkeypatch.setenv("FUSION_KERNEL", name)
        for kernel in KERNELS:
            names = kernels.variants(kernel)
            assert kernels.active(kernel) == (name if name in names else names[0])
            in_use = _dispatch.operations(None, kernel)
            assert in_use == _dispatch.operations(kernels.active(kernel), kernel)


def test_variants_are_different_code():
    for kernel in KERNELS:
        tables = [_dispatch.operations(name, kernel) for name in kernels.variants(kernel)]
        assert [_dispatch.ffi.string(table.name).decode() for table in tables] == list(kernels.variants(kernel))
        assert len(set(tables)) == len(tables)


def test_an_unknown_variant_names_the_known_ones(monkeypatch):
    monkeypatch.setenv("FUSION_KERNEL", "abacus")
    with pytest.raises(InputError, match=r"'abacus' cannot run here; choose one of .*portable"):
        kernels.active()
    with pytest.raises(InputError, match="'abacus' cannot run here"):
        hashing.sha256_rows(b"", np.zeros((1, 4), dtype=np.uint8), 32)
    with pytest.raises(InputError, match="'sliderule'"):
        ristretto.decode(np.zeros((1, 32), dtype=np.uint8), variant="sliderule")


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1_000, 3 * _rows._LARGEST_PIECE + 1])
@pytest.mark.parametrize("threads", [1, 2, 3, 7, None])
def test_pieces_cover_every_row_once(n, threads):
    seen = np.zeros(n, dtype=np.int64)

    def work(start: int, stop: int) -> None:
        assert start % 8 == 0
        assert 0 < stop - start <= _rows._LARGEST_PIECE
        seen[start:stop] += 1

    _rows.split(work, n, threads=threads, grain=8)
    assert (seen == 1).all()


def test_small_inputs_stay_on_the_calling_thread():
    names = set()
    _rows.split(lambda a, b: names.add(threading.get_ident()), 10, threads=8, grain=10)
    assert names == {threading.get_ident()}


def test_a_failure_in_one_thread_stops_the_others_and_is_raised():
    calls, release = [], threading.Event()

    def work(start: int, stop: int) -> None:
        calls.append(start)
        if start == 0:
            raise RuntimeError("first piece")
        release.wait(60)

    with pytest.raises(RuntimeError, match="first piece"):
        _rows.split(work, 100 * _rows._LARGEST_PIECE, threads=2, grain=1)
    release.set()
    time.sleep(0.2)  # unhindered, the other thread would take its 49 further pieces by now
    assert len(calls) <= 2


def test_the_kernel_runs_without_the_interpreter_lock():
    """While one thread computes, this one keeps counting: impossible if the call held the lock."""
    scalars = np.zeros((30_000, 32), dtype=np.uint8)
    done = threading.Event()

    def compute() -> None:
        ristretto.multiply_base(scalars, threads=1, variant="portable")
        done.set()

    worker = threading.Thread(target=compute)
    worker.start()
    turns = 0
    while not done.is_set():
        turns += 1
        time.sleep(0.001)
    worker.join()
    assert turns > 20


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_its_own_threads():
    scalars = np.zeros((1_000, 32), dtype=np.uint8)
    ristretto.multiply_base(scalars, threads=2)
    child = os.fork()
    if child == 0:
        ristretto.multiply_base(scalars, threads=2)
        os._exit(7)
    deadline = time.monotonic() + 60
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child hangs: it waits for threads that did not survive the fork")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(status) == 7
