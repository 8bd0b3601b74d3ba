"""Noise on the sums of a run: enough of it, whoever leaves, and no more than was asked for."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from scipy.stats import kstest, laplace, norm

from fusion.disclosure.noise import gaussian_epsilon, gaussian_scale
from fusion.errors import InputError
from fusion.flower import Noise, SecureFedAvg, SecureMod, Terms
from fusion.flower.homomorphic import joint_parameters
from tests.flower.federation import Federation, run

LIMIT = ((1 << 31) - 1) // 10
SIZE = 3000


@pytest.mark.parametrize("delta", [None, 1e-6])
@pytest.mark.parametrize("by", ["clients", "server"])
@pytest.mark.parametrize(("epsilon", "rounds", "parts"), [(1.0, 1, 1), (0.5, 10, 3), (8.0, 100, 1), (50.0, 3, 2)])
def test_a_run_spends_what_was_asked_for(epsilon: float, rounds: int, parts: int, delta: Any, by: str) -> None:
    amount = Noise(epsilon=epsilon, delta=delta, by=by).amount(LIMIT, parts=parts, rounds=rounds, honest=4)
    assert amount.holders == (4 if by == "clients" else 1)
    spent = [amount.spent(number) for number in range(rounds + 1)]
    assert spent[0] == 0
    assert spent == sorted(spent)
    assert spent[-1] <= epsilon
    assert spent[-1] == pytest.approx(epsilon, rel=1e-3)


@pytest.mark.parametrize("delta", [None, 1e-6])
def test_what_a_client_sends_fits_the_sum(delta: float | None) -> None:
    for epsilon in (0.3, 5.0, 90.0):
        amount = Noise(epsilon=epsilon, delta=delta).amount(LIMIT, parts=1, rounds=4, honest=4)
        assert np.abs(amount.share(200_000)).max() + amount.steps <= LIMIT
        tail = 60 if delta is None else 12
        assert amount.steps + tail * amount.scale <= LIMIT


def test_the_closed_form_of_laplace_noise() -> None:
    amount = Noise(epsilon=0.3).amount(LIMIT, parts=2, rounds=7, honest=4)
    assert amount.scale == math.ceil(2 * 7 * amount.steps / Fraction(0.3))


def test_gaussian_accounting_is_that_of_one_release_of_all_rounds() -> None:
    """Against OpenDP's own search, and against the closed form of concentrated privacy."""
    scale = gaussian_scale(sensitivity=1000, epsilon=1.0, delta=1e-6)
    assert gaussian_epsilon(sensitivity=1000, scale=scale, delta=1e-6) == pytest.approx(1.0, rel=1e-6)
    ten = gaussian_epsilon(sensitivity=1000 * math.sqrt(10), scale=scale, delta=1e-6)
    rho = 10 * (1000 / scale) ** 2 / 2
    assert 1.0 < ten <= rho + 2 * math.sqrt(rho * math.log(1e6))


@pytest.mark.parametrize("delta", [None, 1e-6])
def test_shares_of_the_honest_are_the_whole_noise(delta: float | None) -> None:
    amount = Noise(epsilon=2.0, delta=delta).amount(LIMIT, parts=1, rounds=5, honest=4)
    total = sum(amount.share(20_000) for _ in range(4))
    if delta is None:
        assert kstest(total / amount.scale, laplace.cdf).pvalue > 1e-9
    else:
        assert kstest(total / (amount.scale * 2), norm.cdf).pvalue > 1e-9
    assert np.std(sum(amount.share(20_000) for _ in range(3))) < np.std(total)  # of three it is less


def test_more_noise_than_the_sums_hold() -> None:
    with pytest.raises(InputError, match="more noise than the sums can hold"):
        Noise(epsilon=1e-4).amount(LIMIT, parts=1, rounds=100, honest=4)
    with pytest.raises(InputError, match="more noise than the sums can hold"):
        Noise(epsilon=1e-5, delta=1e-6).amount(LIMIT, parts=1, rounds=1000, honest=4)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"epsilon": 0}, "epsilon"),
        ({"epsilon": 101}, "epsilon"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"epsilon": 1.0, "delta": 0}, "delta"),
        ({"epsilon": 1.0, "delta": 1.0}, "delta"),
        ({"epsilon": 1.0, "by": "nobody"}, "noise is added by"),
    ],
)
def test_arguments(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Noise(**arguments)


def silent(terms: Terms) -> ClientApp:
    """Its updates are zero, so that the model shows the noise."""
    made = ClientApp(mods=[SecureMod(terms)])

    @made.train()
    def train(message: Message, context: Context) -> Message:
        arrays = message.content["arrays"]
        return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord({"loss": 0.0})}), reply_to=message)

    return made


@pytest.mark.parametrize("by", ["clients", "server"])
@pytest.mark.parametrize("delta", [None, 1e-6])
def test_a_run_with_noise(federation: Federation, by: str, delta: float | None) -> None:
    """Four clients, one of whom may collude and one may leave: two honest ones make the noise whole."""
    terms = Terms(clip=1.0, metrics={"loss": 10.0}, noise=Noise(epsilon=5.0, delta=delta, by=by))
    grid = federation.grid(silent(terms))
    grid.on_the_way = lambda message, step: (
        [] if message.metadata.dst_node_id == 3 and step == "train vector" else [message]
    )
    strategy = SecureFedAvg(terms, federation.clients)
    start = ArrayRecord({"zero": Array(np.zeros(SIZE))})
    found = run(grid, strategy, rounds=1, arrays=start)
    assert not grid.refusals
    assert strategy.epsilon_spent == pytest.approx(5.0, rel=1e-3)
    total = found.arrays["zero"].numpy() * 3  # a mean over three
    parts = 2  # update and metric
    if delta is None:
        scale = parts / 5.0
        whole = math.sqrt(2) * scale
    else:
        whole = gaussian_scale(sensitivity=1 << 20, epsilon=5.0, delta=delta) / (1 << 20) * math.sqrt(parts)
    # of the clients there are three, where two are enough
    expected = whole * (math.sqrt(3 / 2) if by == "clients" else 1)
    assert total.std() == pytest.approx(expected, rel=0.15)
    assert found.train_metrics_clientapp[1]["loss"] != 0


def test_epsilon_spent_without_noise_and_before_a_run(federation: Federation) -> None:
    assert SecureFedAvg(Terms(bound=1.0), federation.clients).epsilon_spent == math.inf
    terms = Terms(clip=1.0, noise=Noise(epsilon=1.0))
    assert SecureFedAvg(terms, federation.clients).epsilon_spent == 0.0


@pytest.mark.parametrize("scale", [0.7, 0.85, 1.0])
@pytest.mark.parametrize("holders", [2, 3, 5])
def test_sums_of_discrete_gaussians_are_as_near_to_one_as_is_said(scale: float, holders: int) -> None:
    """The factor that the notes of `Noise` give, for scales at which it can be seen at all."""

    def mass(scale: float) -> np.ndarray:
        found = np.exp(-(np.arange(-60, 61) ** 2) / (2 * scale**2))
        return found / found.sum()

    total = mass(scale)
    for _ in range(holders - 1):
        total = np.convolve(total, mass(scale))
    middle = len(total) // 2
    near = slice(middle - 4, middle + 5)
    one = mass(scale * math.sqrt(holders))[60 - 4 : 60 + 5]
    off = np.abs(np.log(total[near] / one)).max()
    bound = 10 * sum(math.exp(-2 * math.pi**2 * scale**2 * k / (k + 1)) for k in range(1, holders))
    assert 1e-12 < off <= bound


@pytest.mark.parametrize("made", [Terms.parameters, joint_parameters])
def test_who_finds_another_step_is_in_no_sum_with_us(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with another OpenDP: a model whose clients count in other steps than the server would be wrong unnoticed."""
    terms = Terms(clip=1.0, noise=Noise(epsilon=4.0, delta=1e-6))

    def digest() -> bytes:
        return made(terms, ["a", "b", "c"], lane="train", values=10, rounds=5, about=b"").digest

    ours = digest()
    assert digest() == ours
    monkeypatch.setattr("fusion.flower.noise._scale_for_one", lambda epsilon, delta: 100.0)
    assert digest() != ours
