"""Tangent dynamics of flows, maps and rate networks: systems that carry vectors along with their state.

A tangent system moves on by a stretch of time and replaces vectors by their images under the derivative of that
motion. `lnpbrian.lyapunov.spectrum` makes Lyapunov exponents of it; the system of spiking networks is in
`lnpbrian.lyapunov.lif_tangent`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from lnpbrian.checks import InvalidInput

__all__ = ["Flow", "Map", "RateNetwork", "TangentSystem"]

Function = Callable[[np.ndarray], np.ndarray]


class TangentSystem(Protocol):
    """What the spectrum of a system is computed from.

    A state, and tangent vectors that go along with it, as in Benettin et al. 1980, doi:10.1007/BF02128236.
    """

    dimension: int

    def advance(self, vectors: np.ndarray, duration: float) -> float:
        """Move on by `duration`, replace the columns of `vectors` (D, k) by their images, and return ln|det|.

        NaN where ln|det| is too costly.
        """


class Flow:
    """An autonomous flow ``dx/dt = velocity(x)`` with its variational equation, by the classical Runge-Kutta method.

    Parameters
    ----------
    velocity : callable
        Takes the state (D,) and returns its derivative (D,).
    jacobian : callable
        Takes the state and returns the matrix (D, D) of the derivatives of `velocity`.
    state : ndarray, shape (D,)
        Where it starts.
    step : float
        Step of the integration.

    Raises
    ------
    InvalidInput
        By `advance`, if the state is not finite any more.

    Notes
    -----
    Runge-Kutta: Kutta 1901. Vectors in the tangent space: Benettin et al. 1980, doi:10.1007/BF02128236.

    Examples
    --------
    The divergence of a linear flow is its trace, here -3:

    >>> A = np.array([[-1.0, 4.0], [0.0, -2.0]])
    >>> flow = Flow(lambda x: A @ x, lambda x: A, np.ones(2), step=0.01)
    >>> round(flow.advance(np.eye(2), 1.0), 9)
    -3.0
    """

    def __init__(self, velocity: Function, jacobian: Function, state: np.ndarray, step: float) -> None:
        self.velocity, self.jacobian, self.step = velocity, jacobian, step
        self.state = state
        self.dimension = state.size

    def advance(self, vectors: np.ndarray, duration: float) -> float:
        """See `TangentSystem`; ln|det| is the integral of the divergence (Liouville)."""
        h = self.step
        log_det = 0.0
        for _ in range(round(duration / h)):
            x, v = self.state, vectors
            rates: list[tuple[Any, Any, Any]] = []
            for part in (0.0, 0.5, 0.5, 1.0):
                dx, dv, _ = rates[-1] if rates else (0.0, 0.0, 0.0)
                x_here, v_here = x + part * h * dx, v + part * h * dv
                matrix = np.asarray(self.jacobian(x_here))
                # A copy: a function may give the same array each time.
                rates.append((np.array(self.velocity(x_here), dtype=float), matrix @ v_here, np.trace(matrix)))
            total = [a + 2 * b + 2 * c + d for a, b, c, d in zip(*rates, strict=True)]
            self.state = x + h / 6 * total[0]
            vectors += h / 6 * total[1]
            log_det += float(h / 6 * total[2])
        if not np.isfinite(self.state).all():
            raise InvalidInput("the state grew beyond all bounds; lower step, or start elsewhere")
        return log_det


class Map:
    """A map ``x <- step(x)`` with its derivative; one application takes one unit of time.

    Parameters
    ----------
    step : callable
        Takes the state (D,) and returns the next.
    jacobian : callable
        Takes the state and returns the matrix (D, D) of the derivatives of `step`.
    state : ndarray, shape (D,)
        Where it starts.

    Raises
    ------
    InvalidInput
        By `advance`, if the state is not finite any more.

    Notes
    -----
    Exponents are those of products of derivatives (Eckmann and Ruelle 1985, doi:10.1103/RevModPhys.57.617).

    Examples
    --------
    The doubling map stretches by 2 at every step:

    >>> doubling, vectors = Map(lambda x: 2 * x % 1, lambda x: np.array([[2.0]]), np.array([0.3])), np.eye(1)
    >>> round(float(doubling.advance(vectors, 3) / np.log(2)), 9), vectors
    (3.0, array([[8.]]))
    """

    def __init__(self, step: Function, jacobian: Function, state: np.ndarray) -> None:
        self.step, self.jacobian = step, jacobian
        self.state = state
        self.dimension = state.size

    def advance(self, vectors: np.ndarray, duration: float) -> float:
        """See `TangentSystem`."""
        log_det = 0.0
        for _ in range(round(duration)):
            matrix = np.asarray(self.jacobian(self.state))
            vectors[:] = matrix @ vectors
            log_det += float(np.linalg.slogdet(matrix)[1])
            self.state = np.array(self.step(self.state), dtype=float)
        if not np.isfinite(self.state).all():
            raise InvalidInput("the state grew beyond all bounds; start elsewhere")
        return log_det


class RateNetwork:
    """The discrete-time rate network ``h <- (1 - dt) h + dt J tanh(h)`` (Engelken et al. 2023).

    Parameters
    ----------
    weights : ndarray or sparse array, shape (N, N)
        J; row i holds the weights onto unit i.
    state : ndarray, shape (N,)
        Where it starts.
    dt : float
        Step in units of the time constant.
    with_determinant : bool
        Whether to compute ln|det|, at N^3 a step.

    Examples
    --------
    At the origin without weights every vector shrinks by ``1 - dt`` in a step:

    >>> vectors = np.eye(2)
    >>> _ = RateNetwork(np.zeros((2, 2)), np.zeros(2), 0.1, with_determinant=False).advance(vectors, 0.2)
    >>> vectors.round(9)
    array([[0.81, 0.  ],
           [0.  , 0.81]])
    """

    def __init__(self, weights: Any, state: np.ndarray, dt: float, *, with_determinant: bool) -> None:
        self.weights = weights
        self.state = state
        self.dt = dt
        self.dimension = state.size
        self.has_determinant = with_determinant

    def advance(self, vectors: np.ndarray, duration: float) -> float:
        """See `TangentSystem`."""
        dt, weights = self.dt, self.weights
        log_det = 0.0
        for _ in range(round(duration / dt)):
            rate = np.tanh(self.state)
            gain = 1 / np.cosh(self.state) ** 2
            vectors[:] = (1 - dt) * vectors + dt * (weights @ (gain[:, np.newaxis] * vectors))
            if self.has_determinant:
                dense = weights.toarray() if sp.issparse(weights) else weights
                log_det += float(np.linalg.slogdet((1 - dt) * np.eye(self.dimension) + dt * dense * gain)[1])
            self.state = (1 - dt) * self.state + dt * (weights @ rate)
        return log_det if self.has_determinant else np.nan
