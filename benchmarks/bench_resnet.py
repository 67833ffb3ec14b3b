"""Time the convolutions of a narrow spiking ResNet with their gradients, against XLA's, in the same run.

    python benchmarks/bench_resnet.py

ResNet-8 of a quarter of the width on images of 16 x 16: four time steps of a batch of 64. JAX is needed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from common import relative_difference, row, timed, write_results

from lnpbrian.models.resnet import Architecture, Connection, convolved
from lnpbrian.streams import Streams

MAPS = 4 * 64


def of_xla(x: Any, kernel: Any, connection: Connection) -> Any:
    around = (connection.size // 2,) * 2
    order = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (connection.stride,) * 2, (around, around), dimension_numbers=order)


def with_gradients(convolution: Callable[..., Any], connection: Connection) -> Callable[..., Any]:
    def loss(x: Any, kernel: Any) -> Any:
        return (convolution(x, kernel, connection) ** 2).mean()

    return jax.jit(jax.grad(loss, (0, 1)))


def waited_for(run: Callable[[], Any]) -> Any:
    return jax.block_until_ready(run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("bench_resnet.json"))
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    net, rng, rows = Architecture.of("resnet8", width=0.25, size=16), Streams(0).rng("maps"), []
    for connection in net.inner:
        side = net.side(connection.source)
        x = rng.random((MAPS, side, side, net.width(connection.source)), np.float32)
        kernel = rng.standard_normal(net.kernel(connection)).astype(np.float32)
        seconds, found = [], []
        for convolution in (convolved, of_xla):
            run = partial(with_gradients(convolution, connection), x, kernel)
            run()
            best, result = timed(partial(waited_for, run), options.repeats)
            seconds.append(best)
            found.append(np.concatenate([np.ravel(part) for part in result]))
        step = f"{connection.name}, {side} x {side}, kernel {' x '.join(map(str, kernel.shape))}"
        error = relative_difference(*found)
        rows.append(row(step, "lax.conv_general_dilated", *seconds, largest_relative_difference=error))
    ours, theirs = (sum(r[name] for r in rows) for name in ("seconds", "reference_seconds"))
    rows.append(row("all of them", "lax.conv_general_dilated", ours, theirs))
    write_results(rows, options.out, jax=jax.__version__)


if __name__ == "__main__":
    main()
