"""Time constants by Bayesian optimisation on the Lyapunov spectrum (step IV).

Unknown is not each time constant but the law they are drawn from (`laws`). Times are in seconds, exponents in
1/s. scikit-optimize and POT take a second each to import: the functions that need them import them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.linalg import eigvalsh

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.pruning.steps.laws import Laws, fit_laws, leading_distance, log_quantiles, quantile_vectors, with_laws

__all__ = [
    "Measurement",
    "Objective",
    "SearchSpace",
    "TimescaleOptimiser",
    "Trial",
    "TuningResult",
    "spectrum_objective",
    "tune_time_constants",
]

DISTANCES = ("wasserstein", "sliced", "sinkhorn")

# Rates below it (Hz) count as it in the objective, so that silence costs a finite amount.
LOWEST_RATE = 0.1
# Random points at which the expected improvement is looked at, before the local search from the best of them.
CANDIDATES = 500
SINKHORN_POINTS = 24
SLICED_POINTS, SLICES = 64, 32
# Smallest eigenvalue of a kernel matrix of ones on the diagonal that rounding explains.
ROUNDING = -1e-10


# ------------------------------------------------------------------------------------------------------------ objective


class Measurement(NamedTuple):
    """What is measured of a network: its exponents, its mean rate, and the dimension of its tangent space.

    Parameters
    ----------
    exponents : array of float, shape (k,), 1/s
        In any order; -inf for lost directions.
    rate : float, Hz, at least 0
        Mean firing rate.
    dimension : int, optional
        Number of exponents of the complete spectrum, of which these are the leading ones; by default k.
    mean : float, 1/s, optional
        Mean of the complete spectrum, that of the logarithm of the determinant over the dimension, which is known
        without the other exponents.

    Notes
    -----
    The exponents of a spectrum sum to the mean rate of the logarithm of the determinant (Eckmann and Ruelle 1985,
    doi:10.1103/RevModPhys.57.617).
    """

    exponents: np.ndarray
    rate: float
    dimension: int | None = None
    mean: float | None = None


@dataclass(frozen=True)
class Objective:
    """The objective and its terms, each without unit and before its weight.

    Attributes
    ----------
    value : float
        ``distance + positive_weight * positive + rate_weight * drift``.
    distance : float
        W2 distance of the spectra over the root mean square of the target's exponents.
    positive : float
        By how much the largest exponent is above zero and above the target's, over the same.
    drift : float
        |ln(rate/target rate)|.

    Notes
    -----
    Of step IV of Chakraborty et al. (2024), arXiv 2403.03409; `spectrum_objective` makes one.
    """

    value: float
    distance: float
    positive: float
    drift: float


def spectrum_objective(
    measured: Measurement, target: Measurement, *, positive_weight: float = 1.0, rate_weight: float = 1.0
) -> Objective:
    """Return how far a network is from a target, in its Lyapunov spectrum and its rate.

    Parameters
    ----------
    measured, target : Measurement or (exponents, rate)
        Of networks of any size. Of two spectra of which only leading parts are known, the part that both know is
        compared: the uppermost fraction f = min(k/D) of the exponents; and the means of the rest, if both are known.
    positive_weight, rate_weight : float, at least 0
        Of a positive largest exponent above the target's, and of the drift of the rate.

    Returns
    -------
    Objective

    Raises
    ------
    InvalidInput
        If exponents, rates or weights are no finite numbers, or all exponents of the target are zero.

    Notes
    -----
    Step IV of Chakraborty et al. (2024), arXiv 2403.03409. W2 is the Wasserstein-2 distance of the exponents as two
    samples. Where a rest is known by its mean alone, ``f W2(leading)^2 + (1 - f) (difference of
    the means)^2`` is a lower bound of the square of W2, the best there is, and takes its place; so it is with the root
    mean square of the target, by which the terms are divided: a relative change of all exponents by a small epsilon and
    one of the rate by epsilon cost epsilon each. Lost directions (-inf) count as the smallest finite exponent of the
    two spectra.

    Examples
    --------
    >>> target = Measurement(np.array([-10.0, -20.0]), 10.0)
    >>> spectrum_objective(Measurement(np.array([-11.0, -22.0]), 10.0), target)
    Objective(value=0.1, distance=0.1, positive=0.0, drift=0.0)
    """
    of_positive = checks.real("positive_weight", positive_weight, at_least=0)
    of_drift = checks.real("rate_weight", rate_weight, at_least=0)
    (a, n, rate), (b, m, rate0) = _measurement("measured", measured), _measurement("target", target)
    lowest = min(x[np.isfinite(x)].min() for x in (a, b))
    a, b = np.maximum(a, lowest), np.maximum(b, lowest)
    known = min(a.size / n, b.size / m)
    squares = leading_distance(a, n, b, m) ** 2, float(np.mean(b**2))
    mean, mean0 = Measurement(*measured).mean, Measurement(*target).mean
    if known < 1 and mean is not None and mean0 is not None:
        rest, rest0 = _rest(a, n, mean, known), _rest(b, m, mean0, known)
        squares = tuple(
            known * lead + (1 - known) * x**2 for lead, x in zip(squares, (rest - rest0, rest0), strict=True)
        )
    scale = float(np.sqrt(squares[1]))
    if scale == 0:
        raise InvalidInput("all exponents of the target are zero, so that there is no scale to compare with")
    distance = float(np.sqrt(squares[0])) / scale
    positive = max(0.0, float(a[0] - max(b[0], 0.0))) / scale
    drift = float(abs(np.log(max(rate, LOWEST_RATE) / max(rate0, LOWEST_RATE))))
    return Objective(distance + of_positive * positive + of_drift * drift, distance, positive, drift)


def _rest(leading: np.ndarray, n: int, mean: float, known: float) -> float:
    """Return the mean of the exponents below the uppermost fraction `known` of n, the largest of which are given."""
    share = np.clip(known * n - np.arange(leading.size), 0, 1)
    return (n * mean - float(share @ leading)) / (n * (1 - known))


def _measurement(name: str, given: Measurement) -> tuple[np.ndarray, int, float]:
    exponents, rate, dimension, mean = Measurement(*given)
    if mean is not None:
        checks.real(f"{name} mean", mean)
    values = np.asarray(exponents, dtype=float)
    lost = values == -np.inf
    if values.ndim != 1 or lost.all():
        raise InvalidInput(f"{name} exponents must be a list with at least one finite value, got {exponents!r}")
    checks.array(f"{name} exponents", values[~lost], shape=(None,))
    size = values.size if dimension is None else checks.count(f"{name} dimension", dimension, minimum=values.size)
    return np.sort(values)[::-1], size, checks.real(f"{name} rate", rate, at_least=0)


# --------------------------------------------------------------------------------------------------------- search space


@dataclass(frozen=True)
class SearchSpace:
    """Between which parameters laws are searched, evenly in their logarithms (step IV of arXiv 2403.03409).

    Parameters
    ----------
    low, high : Laws
        Of the same kinds, with the lowest and the highest shapes and means; where they are equal nothing is searched.

    Raises
    ------
    InvalidInput
        If laws are not of the same kinds, a lower bound is above the upper one, or nothing is left to search.

    Examples
    --------
    >>> from lnpbrian.pruning.steps.laws import GammaLaw
    >>> space = SearchSpace(Laws(GammaLaw(3, 0.01)), Laws(GammaLaw(3, 0.04)))
    >>> space.dimension
    1
    >>> space.laws([0.5])
    Laws(time_constants=(GammaLaw(shape=3.0, mean=0.02...),), ...)
    """

    low: Laws
    high: Laws

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            checks.instance(name, getattr(self, name), Laws, "fit_laws makes one of a network")
        self.check(self.high)
        low, high = self.low.parameters, self.high.parameters
        if (low > high).any():
            wrong = low > high
            raise InvalidInput(f"low must be at most high, got {low[wrong][0]:g} and {high[wrong][0]:g}")
        if (low == high).all():
            raise InvalidInput("there is nothing to search: every parameter has equal bounds")

    @classmethod
    def around(cls, laws: Laws, *, mean: float = 2.0, shape: float = 2.0) -> Self:
        """Return the space between 1/factor and factor times the parameters of `laws`; a factor of 1 fixes them."""
        factors = np.array([checks.real("shape", shape, at_least=1), checks.real("mean", mean, at_least=1)])
        return cls(laws.with_parameters(laws.parameters / factors), laws.with_parameters(laws.parameters * factors))

    def _log_bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logarithms of the bounds, shape and mean of each law in turn, and which of them differ."""
        low, high = np.log(self.low.parameters.ravel()), np.log(self.high.parameters.ravel())
        return low, high, high > low

    @property
    def dimension(self) -> int:
        """Number of parameters that are not fixed."""
        return int(self._log_bounds()[2].sum())

    def laws(self, x: object) -> Laws:
        """Return the laws at a point of the unit cube, shape (dimension,), whose axes are logarithms of parameters."""
        return self.low.with_parameters(self.parameters(checks.array("x", x, shape=(self.dimension,))[np.newaxis])[0])

    def parameters(self, points: np.ndarray) -> np.ndarray:
        """Shape and mean of every law at points of the unit cube: (points, dimension) to (points, laws, 2)."""
        low, high, free = self._log_bounds()
        values = np.tile(low, (len(points), 1))
        values[:, free] += np.clip(points, 0, 1) * (high - low)[free]
        # exp(log(x)) is not x: parameters keep to their bounds exactly.
        bounds = self.low.parameters.ravel(), self.high.parameters.ravel()
        return np.clip(np.exp(values), *bounds).reshape(len(points), -1, 2)

    def point(self, laws: Laws) -> np.ndarray:
        """Return the point of the unit cube next to `laws`, shape (dimension,)."""
        self.check(laws)
        low, high, free = self._log_bounds()
        return np.clip((np.log(laws.parameters.ravel()) - low)[free] / (high - low)[free], 0, 1)

    def check(self, laws: Laws) -> None:
        """Refuse laws that are not of the kinds searched here; they may lie outside the bounds."""
        checks.instance("laws", laws, Laws, "fit_laws makes one of a network")
        if laws.kinds != self.low.kinds:
            raise InvalidInput(f"the space searches {self.low.kinds}, the laws are {laws.kinds}")


# ------------------------------------------------------------------------------------------------------------ surrogate


@cache
def sinkhorn_matern() -> Any:
    """Return the class of the Matern-5/2 kernel on the Sinkhorn divergence of laws given by equally weighted quantiles.

    Notes
    -----
    ``k = (1 + r + r^2/3) exp(-r)``, ``r = sqrt(5 S)/length_scale``, and S the divergence
    ``T(a, b) - T(a, a)/2 - T(b, b)/2`` of regularised transport costs T (Genevay, Peyre and Cuturi 2018,
    arXiv 1706.00292).
    Not positive definite in general: `check_positive_definite` tells.

    Examples
    --------
    A law and itself are apart by nothing:

    >>> law = np.linspace(-1.0, 1.0, SINKHORN_POINTS)
    >>> sinkhorn_matern()(1.0)(np.array([law])).round(9)
    array([[1.]])
    """
    from skopt.learning.gaussian_process.kernels import Matern

    class SinkhornMatern(Matern):
        def __init__(
            self,
            length_scale: float = 1.0,
            length_scale_bounds: tuple[float, float] = (1e-2, 1e2),
            nu: float = 2.5,
            regularisation: float = 0.05,
        ) -> None:
            super().__init__(length_scale, length_scale_bounds, nu)
            self.regularisation = regularisation

        def __call__(self, X: np.ndarray, Y: np.ndarray | None = None, eval_gradient: bool = False) -> Any:
            """Return the kernel matrix, and its derivative by the logarithm of the length scale if asked for."""
            squared = _sinkhorn_matrix(np.atleast_2d(X), None if Y is None else np.atleast_2d(Y), self.regularisation)
            r = np.sqrt(5 * squared) / self.length_scale
            K = (1 + r + r**2 / 3) * np.exp(-r)
            return (K, (r**2 * (1 + r) * np.exp(-r) / 3)[:, :, np.newaxis]) if eval_gradient else K

    return SinkhornMatern


def check_positive_definite(K: np.ndarray) -> None:
    """Refuse a kernel matrix with a negative eigenvalue.

    Parameters
    ----------
    K : array of float, shape (n, n)
        Symmetric.

    Raises
    ------
    InvalidInput
        If its smallest eigenvalue is below -1e-10, with that eigenvalue.

    Notes
    -----
    What Gaussian processes need of a kernel on laws, and when distances of laws give it: Bachoc et al. 2018,
    doi:10.1109/TIT.2017.2762322.

    Examples
    --------
    The eigenvalues of this one are 3 and -1:

    >>> check_positive_definite(np.array([[1.0, 2.0], [2.0, 1.0]]))
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: the kernel on the Sinkhorn divergence is not positive definite: an eigenvalue is ...
    """
    smallest = float(eigvalsh(K, subset_by_index=(0, 0))[0])
    if smallest < ROUNDING:
        raise InvalidInput(
            f"the kernel on the Sinkhorn divergence is not positive definite: an eigenvalue is {smallest:.2g}; use "
            "distance='wasserstein', or change the regularisation"
        )


def _sinkhorn_matrix(X: np.ndarray, Y: np.ndarray | None, regularisation: float) -> np.ndarray:
    rows = [x.tobytes() for x in X]
    columns = rows if Y is None else [y.tobytes() for y in Y]
    result = np.empty((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            result[i, j] = _sinkhorn_divergence(*sorted((row, column)), regularisation)
    return result


@lru_cache(maxsize=1 << 16)
def _sinkhorn_divergence(first: bytes, second: bytes, regularisation: float) -> float:
    own = (_sinkhorn_cost(x, x, regularisation) for x in (first, second))
    return max(0.0, _sinkhorn_cost(first, second, regularisation) - sum(own) / 2)


@lru_cache(maxsize=1 << 16)
def _sinkhorn_cost(first: bytes, second: bytes, regularisation: float) -> float:
    """Sum over the laws of the regularised transport cost between their quantiles."""
    import ot

    total = 0.0
    pairs = (np.frombuffer(each).reshape(-1, SINKHORN_POINTS) for each in (first, second))
    for x, y in zip(*pairs, strict=True):
        M = (x[:, np.newaxis] - y) ** 2
        # exp(-700) is the smallest number with all its digits; the logarithmic iteration is ten times slower.
        method = "sinkhorn" if M.max() < 700 * regularisation else "sinkhorn_log"
        total += float(ot.sinkhorn2([], [], M, regularisation, method=method, numItermax=2000, warn=False))
    return total


# ------------------------------------------------------------------------------------------------------------ optimiser


@dataclass(frozen=True)
class Trial:
    """Laws that were evaluated, their value, and what else was noted of them.

    Attributes
    ----------
    laws : Laws
    value : float
        What is minimised.
    notes : mapping of str to float
        Terms of the value, and other numbers that belong to it.
    """

    laws: Laws
    value: float
    notes: Mapping[str, float] = field(default_factory=dict)


class TimescaleOptimiser:
    """Bayesian optimisation over laws of time constants: ask for laws, tell their value, which is minimised.

    Parameters
    ----------
    space : SearchSpace
    rng : numpy.random.Generator
        One number is drawn from it, from which everything else follows.
    initial : int, at least 2
        Evaluations before the surrogate is used: a Latin hypercube (McKay, Beckman and Conover 1979,
        doi:10.1080/00401706.1979.10489755) in the logarithms of the parameters.
    distance : {"wasserstein", "sliced", "sinkhorn"}
        Between laws, all on logarithms of the values and in units of the spread of each law over the space.
        "wasserstein": W2 of each law, ``W2^2 = sum_k W2_k^2`` of several. "sliced": the sliced W2 of their joint law,
        32 directions. "sinkhorn": the Sinkhorn divergence of each, summed, which is slow and whose kernel may be
        refused; it is there for comparison.
    regularisation : float, > 0
        Of the Sinkhorn divergence, in units of the squared spread of a law over the search space.

    Raises
    ------
    InvalidInput
        If a value is out of range.

    Notes
    -----
    What is asked for next has the largest expected improvement (Jones, Schonlau and Welch 1998,
    doi:10.1023/A:1008306431147; eq. 12 of arXiv 2403.03409, for a minimum) over the lowest mean of what was told. The
    surrogate is a Gaussian process (scikit-optimize) with white noise and a Matern-5/2 kernel
    ``(1 + r + r^2/3) exp(-r)``, ``r = sqrt(5) W/length_scale``. W2 is a Euclidean distance of quantile functions in one
    dimension, and so is sliced W2, on which every Matern kernel is positive definite (Bachoc et al. 2018,
    doi:10.1109/TIT.2017.2762322); on W1, on W2 in two dimensions and on the Sinkhorn divergence it is not. What is
    asked next depends on the seed and what was told; asking twice gives the same laws.

    Examples
    --------
    >>> from lnpbrian.pruning.steps.laws import GammaLaw
    >>> space = SearchSpace(Laws(GammaLaw(3, 0.005)), Laws(GammaLaw(3, 0.08)))
    >>> optimiser = TimescaleOptimiser(space, rng=np.random.default_rng(0), initial=4)
    >>> for _ in range(10):
    ...     laws = optimiser.ask()
    ...     optimiser.tell(laws, np.log(laws.time_constants[0].mean / 0.02) ** 2)
    >>> round(optimiser.best.laws.time_constants[0].mean, 3)
    0.02
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        rng: np.random.Generator,
        initial: int = 8,
        distance: str = "wasserstein",
        regularisation: float = 0.05,
    ) -> None:
        checks.instance("space", space, SearchSpace, "make one with SearchSpace.around(laws)")
        self.space = space
        self.initial = checks.count("initial", initial, minimum=2)
        self.distance = checks.choice("distance", distance, DISTANCES)
        self.regularisation = checks.real("regularisation", regularisation, above=0)
        self._families = [law.family for law in space.low.listed()]
        self._seed = int(rng.integers(1 << 48))
        self._trials: list[Trial] = []
        draw = np.random.default_rng([self._seed, 0])
        self._design = _latin_hypercube(self.initial, space.dimension, draw)
        # Over the space, the mean square distance of a law from the mean of all: one number per law.
        sample = self._vectors(space.parameters(_latin_hypercube(64, space.dimension, draw)))
        spread = np.sqrt(np.sum(sample.var(axis=0), axis=1))
        # A fixed law stays as it is.
        self._spread = np.where(spread > 1e-12, spread, 1.0)[:, np.newaxis]
        # Of the joint law of independent values: quantiles of a sample of it, and directions to look at it from.
        self._sample = _latin_hypercube(SLICED_POINTS, len(self._families), draw)
        directions = draw.standard_normal((len(self._families), SLICES))
        self._directions = directions / np.linalg.norm(directions, axis=0)

    def __repr__(self) -> str:
        told = f"best {self.best.value:.4g} of {len(self._trials)}" if self._trials else "nothing told"
        return f"TimescaleOptimiser({self.space.dimension} parameters, {told})"

    @property
    def history(self) -> tuple[Trial, ...]:
        """All that was told, in order."""
        return tuple(self._trials)

    @property
    def best(self) -> Trial:
        """The lowest value told, the first of them if there are several."""
        if not self._trials:
            raise InvalidInput("there is no best before something was told")
        return min(self._trials, key=lambda trial: trial.value)

    def tell(self, laws: Laws, value: float, *, notes: Mapping[str, float] | None = None) -> None:
        """Take note of the finite value of laws, inside the search space or not; the notes are kept with the trial."""
        self.space.check(laws)
        self._trials.append(Trial(laws, checks.real("value", value), dict(notes or {})))

    def ask(self) -> Laws:
        """Return the laws to be evaluated next.

        Raises
        ------
        InvalidInput
            If the kernel on the Sinkhorn divergence is not positive definite.
        """
        from skopt.acquisition import gaussian_ei

        told = len(self._trials)
        if told < self.initial:
            return self.space.laws(self._design[told])
        rng = np.random.default_rng([self._seed, told])
        surrogate = self._surrogate(int(rng.integers(1 << 31)))
        incumbent = float(surrogate.predict(self._features(self._told())).min())

        def improvement(points: np.ndarray) -> np.ndarray:
            return gaussian_ei(self._features(self.space.parameters(points)), surrogate, incumbent, xi=0)  # eq. (12)

        known = [self.space.point(trial.laws) for trial in sorted(self._trials, key=lambda t: t.value)[:4]]
        return self.space.laws(_maximise(improvement, self.space.dimension, known, rng))

    def _told(self) -> np.ndarray:
        return np.array([trial.laws.parameters for trial in self._trials])

    def _vectors(self, parameters: np.ndarray) -> np.ndarray:
        """One vector per point and law, whose Euclidean distance is W2: (points, laws, nodes)."""
        return np.stack([quantile_vectors(f, parameters[:, k]) for k, f in enumerate(self._families)], axis=1)

    def _log_quantiles(self, parameters: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Logarithms of the quantiles u (n, laws) in units of the spread: (points, laws, n)."""
        each = [
            log_quantiles(f, parameters[:, k], (u[:, k], 1 - u[:, k])) / self._spread[k]
            for k, f in enumerate(self._families)
        ]
        return np.stack(each, axis=1)

    def _features(self, parameters: np.ndarray) -> np.ndarray:
        """One vector per point, whose Euclidean distance is that of the laws, or which Sinkhorn's algorithm takes."""
        if self.distance == "wasserstein":
            found = self._vectors(parameters) / self._spread
        elif self.distance == "sliced":
            sample = self._log_quantiles(parameters, self._sample)
            # In one dimension W2 of two samples is the distance of the sorted ones.
            slices = np.sort(np.einsum("pkn,ks->psn", sample, self._directions), axis=2)
            found = slices / np.sqrt(SLICED_POINTS * SLICES)
        else:
            u = (np.arange(SINKHORN_POINTS) + 0.5) / SINKHORN_POINTS
            found = self._log_quantiles(parameters, np.tile(u[:, np.newaxis], len(self._families)))
        return found.reshape(len(parameters), -1)

    def _surrogate(self, seed: int) -> Any:
        from skopt.learning import GaussianProcessRegressor
        from skopt.learning.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        sinkhorn = self.distance == "sinkhorn"
        if sinkhorn:
            kernel = sinkhorn_matern()(1.0, (0.05, 20.0), regularisation=self.regularisation)
        else:
            kernel = Matern(1.0, (0.05, 20.0), nu=2.5)
        regressor = GaussianProcessRegressor(
            kernel=ConstantKernel(1.0, (1e-2, 1e3)) * kernel + WhiteKernel(1e-4, (1e-8, 1.0)),
            normalize_y=True,
            n_restarts_optimizer=2,
            noise="gaussian",
            random_state=seed,
        )
        features = self._features(self._told())
        with warnings.catch_warnings():
            # Of hyperparameters at their bounds.
            warnings.simplefilter("ignore")
            regressor.fit(features, [trial.value for trial in self._trials])
        if sinkhorn:
            check_positive_definite(regressor.kernel_.k1.k2(features))
        return regressor


def _latin_hypercube(n: int, dimension: int, rng: np.random.Generator) -> np.ndarray:
    cells = rng.permuted(np.tile(np.arange(n), (dimension, 1)), axis=1).T
    return (cells + rng.random((n, dimension))) / n


def _maximise(
    function: Callable[[np.ndarray], np.ndarray],
    dimension: int,
    known: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return where in the unit cube a function is largest: random points, then steps of falling size from the best."""
    near = np.repeat(np.array(known), max(1, CANDIDATES // (4 * len(known))), axis=0)
    near = np.clip(near + 0.1 * rng.standard_normal(near.shape), 0, 1)
    points = np.concatenate([rng.random((CANDIDATES, dimension)), near])
    values = function(points)
    best = np.argsort(-values, kind="stable")[:3]
    points, values = points[best], values[best]
    for step in 0.1 * 0.5 ** np.arange(8):
        moves = step * rng.standard_normal((16, points.shape[0], dimension))
        # Along single axes as well: in many dimensions a random step is hardly ever an improvement.
        axes = rng.integers(dimension, size=(8, points.shape[0], 1)) == np.arange(dimension)
        moves[:8] *= axes
        trials = np.clip(points + moves, 0, 1)
        found = function(trials.reshape(-1, dimension)).reshape(16, -1)
        for k in range(points.shape[0]):
            j = int(np.argmax(found[:, k]))
            if found[j, k] > values[k]:
                points[k], values[k] = trials[j, k], found[j, k]
    return points[int(np.argmax(values))]


# --------------------------------------------------------------------------------------------------------------- driver


@dataclass(frozen=True, eq=False)
class TuningResult:
    """What tuning of time constants found (step IV of arXiv 2403.03409).

    Attributes
    ----------
    laws : Laws
        Those with the lowest objective: the present ones if nothing was better.
    spec : NetworkSpec
        The network with these laws.
    value, initial_value : float
        Objective of `laws` and of the network as it was.
    history : tuple of Trial
        Every evaluation, the network as it was first; `notes` hold the terms of the objective, the largest exponent
        (1/s) and the rate (Hz).
    status : str
        What to know about the result.
    """

    laws: Laws
    spec: NetworkSpec = field(repr=False)
    value: float
    initial_value: float
    history: tuple[Trial, ...] = field(repr=False)
    status: str


def tune_time_constants(
    spec: NetworkSpec,
    *,
    measure: Callable[[NetworkSpec], Measurement | tuple[Any, ...]],
    target: Measurement | tuple[Any, ...],
    space: SearchSpace,
    evaluations: int,
    rng: np.random.Generator,
    laws: Laws | None = None,
    also: Sequence[Laws] = (),
    positive_weight: float = 1.0,
    rate_weight: float = 1.0,
    initial: int = 8,
    distance: str = "wasserstein",
    regularisation: float = 0.05,
    measure_again: Callable[[NetworkSpec, int], Measurement | tuple[Any, ...]] | None = None,
    confirmations: int = 0,
    report: Callable[[float], None] | None = None,
) -> TuningResult:
    """Tune the laws of the time constants until the Lyapunov spectrum of a network is close to a target (step IV).

    Parameters
    ----------
    spec : NetworkSpec
        The network to be tuned.
    measure : callable
        ``measure(spec)`` returns a `Measurement`, or a tuple of its first two or all three items. It should use the
        same random numbers each time, so that laws are compared and not draws.
    target : Measurement
        Of the network to be imitated, of any size.
    space : SearchSpace
        Laws that are searched.
    evaluations : int
        Number of calls of `measure`, the first for the network as it is.
    rng : numpy.random.Generator
        Draws the seed of the search.
    laws : Laws, optional
        Present laws, of the same kinds as the space; by default `fit_laws`.
    also : sequence of Laws
        Evaluated next after the present ones, before the search begins.
    positive_weight, rate_weight
        See `spectrum_objective`.
    initial, distance, regularisation
        See `TimescaleOptimiser`.
    measure_again : callable, optional
        ``measure_again(spec, k)`` measures with the k-th draw of other random numbers, k = 1, 2, ...
    confirmations : int
        Laws that the search has found are taken if they are better than the best of the given ones in each of so many
        draws. With 0 they are taken as they are.
    report : callable, optional
        Called with the completed fraction after each evaluation.

    Returns
    -------
    TuningResult

    Raises
    ------
    InvalidInput
        If the laws do not fit the network or the space, or a number is out of range. What `measure` raises is passed
        on.

    Notes
    -----
    Step IV of Chakraborty et al. (2024), arXiv 2403.03409. The value of the best of many evaluations is biased low if
    `measure` is noisy (Smith and Winkler 2006, doi:10.1287/mnsc.1050.0451), hence the confirmations: laws that are no
    better pass n of them with a probability of 1/2^n.

    Examples
    --------
    Neurons below threshold have the exponents -1/tau. Their time constants should become those of the target:

    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> from lnpbrian.pruning.steps.laws import GammaLaw
    >>> result = tune_time_constants(
    ...     uncoupled([10, 20, 30] * ms), measure=lambda spec: (-1 / spec.time_constants, 0.0),
    ...     target=Measurement(-1 / np.array([0.015, 0.03, 0.045]), 0.0), evaluations=16,
    ...     space=SearchSpace(Laws(GammaLaw(5.4, 0.01)), Laws(GammaLaw(5.4, 0.1))), rng=np.random.default_rng(0))
    >>> result.value < 0.02 < result.initial_value
    True
    """
    count, pairs = checks.count("evaluations", evaluations), checks.count("confirmations", confirmations, minimum=0)
    goal = Measurement(*target)
    search = TimescaleOptimiser(space, rng=rng, initial=initial, distance=distance, regularisation=regularisation)
    present = fit_laws(spec) if laws is None else laws
    given = [present, *also]
    for candidate in given:
        space.check(candidate)

    def objective(measured: Measurement) -> Objective:
        return spectrum_objective(measured, goal, positive_weight=positive_weight, rate_weight=rate_weight)

    def network(wanted: Laws) -> NetworkSpec:
        return with_laws(spec, wanted, before=present)

    while len(search.history) < count:
        made = len(search.history)
        wanted = given[made] if made < len(given) else search.ask()
        found = Measurement(*measure(network(wanted)))
        terms = objective(found)
        notes = {f.name: getattr(terms, f.name) for f in fields(terms) if f.name != "value"}
        notes |= {"largest_exponent": float(np.max(found.exponents)), "rate": float(found.rate)}
        search.tell(wanted, terms.value, notes=notes)
        if report is not None:
            report(len(search.history) / count)

    first, best, status = search.history[0], search.best, _status(search)
    known = min(search.history[: len(given)], key=lambda trial: trial.value)
    if measure_again is not None and best.value < known.value:
        for k in range(1, pairs + 1):
            new, old = (objective(Measurement(*measure_again(network(t.laws), k))).value for t in (best, known))
            if new >= old:
                status = f"the laws stay: {status}, but {new:.3g} against {old:.3g} when measured again"
                best = known
                break
    return TuningResult(
        laws=best.laws,
        spec=network(best.laws),
        value=best.value,
        initial_value=first.value,
        history=search.history,
        status=status,
    )


def _status(search: TimescaleOptimiser) -> str:
    best, first = search.best, search.history[0]
    if best is first:
        said = f"none of {len(search.history) - 1} other laws is better than the present ones ({first.value:.3g})"
    else:
        said = (
            f"objective {best.value:.3g} after {len(search.history)} evaluations, {first.value:.3g} at the present laws"
        )
        point = search.space.point(best.laws)
        at_bound = int(np.sum((point < 1e-3) | (point > 1 - 1e-3)))
        if at_bound:
            said += f"; {at_bound} parameters are at a bound of the search space"
    return said
