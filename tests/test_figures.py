"""What figures show, against the numbers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import ms

from lnpbrian.figures import time_constants
from lnpbrian.models import uncoupled


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_time_constants_are_those_of_the_network_as_it_is(factor):
    tau = np.random.default_rng(0).gamma(3, 7, 200) + 1
    before = uncoupled(tau * ms)
    alive = np.arange(200) % 3 > 0
    after = replace(before, time_constants=factor * before.time_constants, alive=alive)
    axis = time_constants(SimpleNamespace(before=before, after=after)).axes[0]
    shown = [np.array([bar.get_height() for bar in group]) for group in axis.containers]
    edges = [bar.get_x() for bar in axis.containers[0]] + [
        axis.containers[0][-1].get_x() + axis.containers[0][-1].get_width()
    ]
    for heights, values in zip(shown, (tau, factor * tau[alive]), strict=True):
        expected, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        # A value may lie on an edge within rounding.
        np.testing.assert_allclose(heights, expected / values.size, atol=1.5 / values.size)
