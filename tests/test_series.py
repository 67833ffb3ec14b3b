"""Generated series against closed forms, other solvers and published values."""

import csv
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.series import (
    MACKEY_GLASS,
    ROESSLER_EXPONENT,
    Series,
    google_stock,
    lorenz63,
    lorenz63_velocity,
    mackey_glass,
    roessler,
    roessler_velocity,
    runge_kutta,
)
from lnpbrian.lyapunov.spectrum import flow_spectrum

DATA = Path(os.environ.get("LNPBRIAN_DATA", Path(__file__).parents[2] / "shared" / "data"))


def data(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"no {name} under LNPBRIAN_DATA")
    return DATA / name


# --- the container ----------------------------------------------------------------------------------------------------


def test_series_keeps_its_own_read_only_values():
    values = np.arange(8.0).reshape(4, 2)
    series = Series("ramp", values, ("a", "b"), scored=[1])
    values[:] = 0
    assert series.values[3].tolist() == [6, 7]
    assert (series.scored, series.training_part, len(series)) == ((1,), 4, 4)
    with pytest.raises(ValueError, match="read-only"):
        series.values[0] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros(4)}, r"values must have shape \(any, any\), got \(4,\)"),
        ({"values": np.zeros((2, 2))}, r"ramp must have at least 3 samples and a column, got values of \(2, 2\)"),
        ({"values": np.full((4, 2), np.nan)}, "values must be finite, got nan"),
        ({"columns": ("a",)}, "columns must name the 2 columns of values"),
        ({"columns": "ab"}, "columns must name the 2 columns of values, got 'ab'"),
        ({"scored": (2,)}, r"scored must hold distinct columns in 0..1, got \(2,\)"),
        ({"scored": (0, 0)}, "scored must hold distinct columns"),
        ({"lyapunov_time": 0.0}, "lyapunov_time must be a number in"),
        ({"training_part": 5}, "training_part must be 2..4 samples, or 0 for all, got 5"),
        ({"training_part": 1}, "training_part must be 2..4 samples"),
    ],
)
def test_series_refuses(change, message):
    arguments = {"name": "ramp", "values": np.arange(8.0).reshape(4, 2), "columns": ("a", "b")}
    with pytest.raises(InvalidInput, match=message):
        Series(**(arguments | change))


# --- flows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "velocity", "step", "bound"),
    [
        (lorenz63, lorenz63_velocity, 0.01, 2e-4),
        (partial(roessler, discard=0), roessler_velocity, 0.03, 3e-5),
    ],
    ids=["lorenz63", "roessler"],
)
def test_flows_approach_another_solver_in_fourth_order(make, velocity, step, bound):
    first = make(100, step=step).values
    times = step * np.arange(100)
    exact = solve_ivp(lambda _, x: velocity(x), (0, times[-1]), first[0], "DOP853", times, rtol=1e-12, atol=1e-12).y.T
    errors = [np.abs(first - exact).max(), np.abs(make(199, step=step / 2).values[::2] - exact).max()]
    assert errors[0] < bound
    # The fifth order adds a few percent; a method of third order divides by 8.
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.2)


def test_roessler_leaves_its_transient_out():
    series = roessler()
    everything = runge_kutta(roessler_velocity, np.ones(3), step=0.03, samples=12700)
    np.testing.assert_array_equal(series.values, everything[7700:])
    assert (len(series), series.training_part) == (5000, 3000)
    assert series.notes == ("The first 7700 samples are left out.",)


def test_roessler_follows_the_published_file():
    from scipy.io import loadmat

    published = loadmat(data("mfrfnn/Rossler12700.mat"))["data"]
    # The file is exact to 1e-10 (DOP853); steps of 0.03 are off by 2.1e-5 at the steepest rise of z.
    np.testing.assert_allclose(roessler(500, discard=0).values, published[:500], rtol=0, atol=3e-5)


def test_lyapunov_times_are_in_samples_and_only_of_the_published_parameters():
    assert lorenz63(5).lyapunov_time == pytest.approx(110.4, abs=0.05)
    assert lorenz63(5, step=0.005).lyapunov_time == pytest.approx(220.8, abs=0.1)
    assert roessler(5, discard=0).lyapunov_time == pytest.approx(1 / (ROESSLER_EXPONENT * 0.03))
    assert lorenz63(5, rho=27.0).lyapunov_time is None


def test_exponent_of_roessler():
    def jacobian(x):
        return np.array([[0, -1, -1], [1, 0.15, 0], [x[2], 0, x[0] - 10]])

    spectrum = flow_spectrum(
        roessler_velocity,
        jacobian,
        np.ones(3),
        step=0.03,
        n_exponents=1,
        duration=450.0,
        transient=60.0,
        reorthonormalise_every=1.5,
        rng=np.random.default_rng(0),
    )
    # Four standard errors are 0.03; an exponent in bits would be off by 0.04.
    assert spectrum.standard_errors[0] < 0.009
    assert abs(spectrum.exponents[0] - ROESSLER_EXPONENT) < 4 * spectrum.standard_errors[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lorenz63(2), "samples must be a whole number of at least 3, got 2"),
        (lambda: lorenz63(50, step=0.0), "step must be a number in"),
        (lambda: lorenz63(50, step=0.5), "the solution has no finite value at sample .*; use a smaller step"),
        (lambda: lorenz63(50, rho="a"), "rho must be a number"),
        (lambda: lorenz63(50, start=(1, 2)), r"start must have shape \(3,\)"),
        (lambda: roessler(50, discard=-1), "discard must be a whole number of at least 0"),
        (lambda: mackey_glass(16), r"tau must be a whole number in 17..30, got 16"),
        (lambda: mackey_glass([17]), r"tau must be a whole number in 17..30, got \[17\]"),
        (lambda: mackey_glass(17, samples=0), "samples must be a whole number of at least 3"),
        (lambda: mackey_glass(17, start=-1.0), "start must be a number in"),
        (lambda: mackey_glass(17, steps_per_delay=0), "steps_per_delay must be a whole number"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InvalidInput, match=message) as error:
        call()
    assert "\n" not in str(error.value)


# --- Mackey-Glass -----------------------------------------------------------------------------------------------------


def test_mackey_glass_in_the_first_delay():
    # Delayed values are constant there: x' = p - x/10, p = 0.2 c/(1 + c^10).
    c = MACKEY_GLASS[23][1]
    series = mackey_glass(23, samples=17)
    times = 106 / 75 * np.arange(17)
    assert times[-1] < 23
    p = 0.2 * c / (1 + c**10)
    # Steps of 0.115: (0.0115)^5/120 of the solution each, 200 of them, below 1e-9.
    np.testing.assert_allclose(series.values[:, 0], 10 * p + (c - 10 * p) * np.exp(-times / 10), atol=1e-9)


def method_of_steps(tau: int, c: float, delays: int):
    """Return x(t) up to `delays` tau: in each delay an ordinary equation, forced by the solution in the one before."""
    pieces = []
    start = c
    for k in range(delays):

        def rhs(t, x, k=k):
            past = c if k == 0 else pieces[k - 1](t - tau)[0]
            return 0.2 * past / (1 + past**10) - 0.1 * x

        found = solve_ivp(
            rhs, (k * tau, (k + 1) * tau), [start], "DOP853", dense_output=True, rtol=1e-12, atol=1e-12, max_step=0.2
        )
        pieces.append(found.sol)
        start = found.y[0, -1]
    return lambda t: np.array([pieces[min(int(s // tau), delays - 1)](s)[0] for s in t])


@pytest.mark.parametrize("tau", [17, 30])
def test_mackey_glass_is_of_fourth_order_over_all_kinks(tau):
    # Samples fall into steps, steps across ten kinks. The next order is 5 % of the error with these steps.
    every = MACKEY_GLASS[tau][0] / 75
    times = np.arange(int(8 * tau / every)) * every
    exact = method_of_steps(tau, MACKEY_GLASS[tau][1], 8)(times)
    errors = []
    for m in (100, 200):
        x = mackey_glass(tau, samples=len(times), steps_per_delay=m).values[:, 0]
        errors.append(np.sqrt(np.mean((x - exact) ** 2)))
    assert errors[1] < 1e-6
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.25)


def test_mackey_glass_is_sampled_75_times_a_lyapunov_time():
    for tau, (lyapunov_time, past) in MACKEY_GLASS.items():
        series = mackey_glass(tau, samples=3)
        assert series.lyapunov_time == 75
        assert series.step == f"{lyapunov_time / 75:.4g} time units"
        assert series.values[0, 0] == past
    assert mackey_glass().training_part == 750


def test_mackey_glass_table_is_the_published_one():
    with data("neurobench_mackey_glass_parameters.csv").open() as file:
        published = {
            int(row["tau"]): (float(row["lyapunov_time"]), float(row["initial_condition"]))
            for row in csv.DictReader(file)
        }
    assert published == MACKEY_GLASS


# --- stock ------------------------------------------------------------------------------------------------------------


def test_google_stock():
    series = google_stock()
    assert series.values[[0, 1, -1], 0].tolist() == [100.34, 108.31, 362.71]
    assert (len(series), series.training_part, series.columns) == (1047, 588, ("close (USD)",))


def test_google_stock_is_that_of_another_source():
    with data("goog_daily_2004_2013.csv").open() as file:
        closes = [float(row["Close"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(google_stock().values[:, 0], closes[:1047], atol=0.005)
