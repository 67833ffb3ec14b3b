"""Networks of other people's models, pruned: rates and irregularity that are left, by LNP and by random removal.

    lnpbrian sweep own_networks --scale medium --neurons 500 --seeds 1 --out experiments/results

Six published networks in words of our own, with the weights of their synapses as constants or variables. Both ways
remove the same number of synapses in three iterations and make up for them in the same way: per target the variance of
the inputs stays, and excitation against inhibition brings the mean rate back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, ClassVar

import brian2 as b2
import numpy as np
from brian2 import Hz, Network, NeuronGroup, PoissonInput, Synapses, ms, mV, pA, second
from matplotlib.figure import Figure

from lnpbrian import LiveNetwork
from lnpbrian.experiments.common import Plan, Report, Result, Task, all_rows, finish, where
from lnpbrian.pruning import Delocalisation, Iteration, NoisePruning, PruneOptions, Step, prune

NAME = "own_networks"
REMOVED = (0.5, 0.8, 0.9)
# Largest relative change of rate and of the variation of intervals.
CHANGE = 0.2


class Random(NoisePruning):
    """Keep synapses that are drawn whatever they are, and make up for the others as step I does."""

    name: ClassVar[str] = "I"

    def __call__(self, network: Any, now: Iteration) -> str:
        """Keep ``now.synapses`` synapses."""
        n = network.live.n_synapses
        network.keep_synapses(np.isin(np.arange(n), now.rng("random").choice(n, now.synapses, replace=False)))
        return f"{now.synapses} synapses kept at random"


STEPS: dict[str, tuple[Step, ...]] = {
    "LNP": (NoisePruning(), Delocalisation()),
    "random": (Random(),),
    "LNP, weights as they are": (NoisePruning(rescale="none"), Delocalisation()),
}


def current_based(n: int) -> Network:
    """Vogels and Abbott (2005), doi:10.1523/JNEUROSCI.1508-05.2005, as in Brette et al. (2007): synaptic currents."""
    cells = _integrate_and_fire(
        n,
        """dv/dt = (g_e + g_i - 49*mV - v)/(20*ms) : volt (unless refractory)
        dg_e/dt = -g_e/(5*ms) : volt
        dg_i/dt = -g_i/(10*ms) : volt""",
        "exact",
    )
    return _two_kinds(cells, "g_e += 1.62*mV", "g_i -= 9*mV", 80 / n)


def conductance_based(n: int) -> Network:
    """The same with conductances."""
    cells = _integrate_and_fire(
        n,
        """dv/dt = (-49*mV - v - g_e*v + g_i*(-80*mV - v))/(20*ms) : volt (unless refractory)
        dg_e/dt = -g_e/(5*ms) : 1
        dg_i/dt = -g_i/(10*ms) : 1""",
        "euler",
    )
    cells.g_e, cells.g_i = "0.4*rand()", "2*rand()"
    return _two_kinds(cells, "g_e += 0.6", "g_i += 6.7", 80 / n)


def hodgkin_huxley(n: int) -> Network:
    """The same with spikes of sodium and potassium, after Traub and Miles (1991); a quarter of the neurons."""
    n = n // 4
    cells = NeuronGroup(
        n,
        """dv/dt = (10*nS*(-60*mV - v) + g_e*(0*mV - v) + g_i*(-80*mV - v)
                    + 20*uS*m**3*h*(50*mV - v) + 6*uS*k**4*(-90*mV - v))/(200*pF) : volt
        dm/dt = a_m*(1 - m) - b_m*m : 1
        dh/dt = a_h*(1 - h) - b_h*h : 1
        dk/dt = a_k*(1 - k) - b_k*k : 1
        u = v/mV + 63 : 1
        a_m = 0.32*4/exprel((13 - u)/4)/ms : Hz
        b_m = 0.28*5/exprel((u - 40)/5)/ms : Hz
        a_h = 0.128*exp((17 - u)/18)/ms : Hz
        b_h = 4/(1 + exp((40 - u)/5))/ms : Hz
        a_k = 0.032*5/exprel((15 - u)/5)/ms : Hz
        b_k = 0.5*exp((10 - u)/40)/ms : Hz
        dg_e/dt = -g_e/(5*ms) : siemens
        dg_i/dt = -g_i/(10*ms) : siemens""",
        threshold="v > -20*mV",
        refractory=3 * ms,
        method="exponential_euler",
        dt=0.1 * ms,
        name="cells",
    )
    cells.v = "-60*mV + 5*mV*randn()"
    cells.g_e, cells.g_i = "nS*(4 + 1.5*randn())*10", "nS*(20 + 12*randn())*10"
    return _two_kinds(cells, "g_e += 6*nS", "g_i += 67*nS", 80 / n)


def sparse_random(n: int) -> Network:
    """Brunel (2000), doi:10.1023/A:1008925309027: delayed jumps of the potential, inhibition 5 times as strong."""
    cells = NeuronGroup(
        n,
        "dv/dt = -v/(20*ms) : volt (unless refractory)",
        threshold="v > 20*mV",
        reset="v = 10*mV",
        refractory=2 * ms,
        method="exact",
        name="cells",
    )
    cells.v = "20*mV*rand()"
    inputs = round(0.08 * n)
    weight = 0.1 * mV * 1000 / inputs
    network = _two_kinds(cells, "v += w", "v += w", 0.1, "w : volt")
    network["up"].w, network["down"].w = weight, -5 * weight
    for synapses in (network["up"], network["down"]):
        synapses.delay = 1.5 * ms
    # Twice the input that takes a neuron to its threshold.
    rate = 2 * 20 * mV / (weight * inputs * 20 * ms)
    network.add(PoissonInput(cells, "v", inputs, rate, weight))
    return network


def inhibitory_plasticity(n: int) -> Network:
    """Vogels et al. (2011), doi:10.1126/science.1211095: inhibition learns to balance excitation."""
    cells = _integrate_and_fire(
        n,
        """dv/dt = (10*nS*(-60*mV - v) + g_e*(0*mV - v) + g_i*(-80*mV - v) + 200*pA)/(200*pF) : volt (unless refractory)
        dg_e/dt = -g_e/(5*ms) : siemens
        dg_i/dt = -g_i/(10*ms) : siemens""",
        "euler",
    )
    most = round(0.8 * n)
    up = Synapses(cells[:most], cells, on_pre="g_e += 0.3*nS", name="up")
    down = Synapses(
        cells[most:],
        cells,
        """w : 1
        dpre/dt = -pre/(20*ms) : 1 (event-driven)
        dpost/dt = -post/(20*ms) : 1 (event-driven)""",
        on_pre="""pre += 1
        w = clip(w + (post - 0.4)*0.05, 0, 100)
        g_i += w*nS""",
        on_post="""post += 1
        w = clip(w + pre*0.05, 0, 100)""",
        name="down",
    )
    up.connect(p=200 / n)
    down.connect(p=200 / n)
    down.w = 3
    return Network(cells, up, down)


# Potjans and Diesmann (2014): neurons, probabilities of synapses (rows are targets), inputs from outside, rates in Hz.
SIZES = (20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948)
PROBABILITIES = (
    (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
    (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
    (0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0),
    (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
    (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
    (0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0),
    (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
    (0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443),
)
OUTSIDE = (1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100)
RATES = (0.86, 2.8, 4.45, 5.93, 7.59, 8.64, 1.1, 7.8)


def cortical_column(n: int, seed: int = 0) -> Network:
    """Potjans and Diesmann (2014), doi:10.1093/cercor/bhs358, scaled to n neurons at the same variance and mean."""
    scale = n / sum(SIZES)
    size = np.round(scale * np.array(SIZES)).astype(int)
    ends = np.concatenate([[0], np.cumsum(size)])
    cells = NeuronGroup(
        int(ends[-1]),
        """dv/dt = (-65*mV - v)/(10*ms) + (current + steady)/(250*pF) : volt (unless refractory)
        dcurrent/dt = -current/(0.5*ms) : amp
        steady : amp""",
        threshold="v > -50*mV",
        reset="v = -65*mV",
        refractory=2 * ms,
        method="exact",
        name="cells",
    )
    cells.v = "-58*mV + 10*mV*randn()"
    synapses = Synapses(cells, cells, "w : amp", on_pre="current += w", name="synapses")
    rng = np.random.default_rng(seed)
    pairs, weights = [], []
    lost = np.zeros(8)
    weight = 87.8
    for target in range(8):
        lost[target] += OUTSIDE[target] * weight * 8.0
        for source in range(8):
            # Several synapses a pair are possible, as in the model; as many inputs a neuron as neurons are scaled.
            full = np.log(1 - PROBABILITIES[target][source]) / np.log(1 - 1 / (SIZES[target] * SIZES[source]))
            number = round(scale * full / SIZES[target] * size[target])
            mean = weight * (-4 if source % 2 else 2 if (target, source) == (0, 2) else 1)
            lost[target] += full / SIZES[target] * mean * RATES[source]
            pairs.append(
                (
                    rng.integers(ends[source], ends[source + 1], number),
                    rng.integers(ends[target], ends[target + 1], number),
                )
            )
            weights.append(mean / np.sqrt(scale) * (1 + 0.1 * rng.standard_normal(number)))
    pre, post = (np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
    synapses.connect(i=pre, j=post)
    synapses.w = np.concatenate(weights) * pA
    synapses.delay = np.where(synapses.w_[:] > 0, 1.5, 0.8) * ms
    network = Network(cells, synapses)
    for target in range(8):
        part = cells[int(ends[target]) : int(ends[target + 1])]
        part.steady = (1 - np.sqrt(scale)) * 0.5e-3 * lost[target] * pA
        network.add(PoissonInput(part, "current", round(scale * OUTSIDE[target]), 8 * Hz, weight / np.sqrt(scale) * pA))
    return network


NETWORKS: dict[str, Callable[..., Network]] = {
    "current-based (CUBA)": current_based,
    "conductance-based (COBA)": conductance_based,
    "Hodgkin-Huxley (COBAHH)": hodgkin_huxley,
    "Brunel 2000": sparse_random,
    "Vogels et al. 2011": inhibitory_plasticity,
    "Potjans and Diesmann 2014": cortical_column,
}


def _integrate_and_fire(n: int, equations: str, method: str) -> NeuronGroup:
    cells = NeuronGroup(
        n,
        equations,
        threshold="v > -50*mV",
        reset="v = -60*mV",
        refractory=5 * ms,
        method=method,
        name="cells",
    )
    cells.v = "-60*mV + 10*mV*rand()"
    return cells


def _two_kinds(cells: NeuronGroup, up_code: str, down_code: str, p: float, model: str = "") -> Network:
    most = round(0.8 * len(cells))
    up = Synapses(cells[:most], cells, model, on_pre=up_code, name="up")
    down = Synapses(cells[most:], cells, model, on_pre=down_code, name="down")
    up.connect(p=p)
    down.connect(p=p)
    return Network(cells, up, down)


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the runs by seed, network, part that is removed, and way."""
    neurons = 4 * plan.scale.neurons
    return {
        (seed, network, removed, way): Task(
            f"{network}, {removed:.0%} removed by {way}, seed {seed}",
            f"{__name__}:measured",
            {"network": network, "removed": removed, "way": way, "neurons": neurons, "seed": seed},
        )
        for seed in range(plan.scale.seeds)
        for network in NETWORKS
        for removed in REMOVED
        for way in STEPS
    }


def measured(options: Mapping[str, Any], *, report: Report) -> Result:
    """Prune a network once it has settled."""
    b2.seed(options["seed"])
    build = NETWORKS[options["network"]]
    more = {"seed": options["seed"]} if build is cortical_column else {}
    network = build(options["neurons"], **more)
    network.run(0.5 * second)
    chosen = PruneOptions(
        options["removed"],
        0,
        iterations=3,
        realisations=1,
        exponent_duration=100 * ms,
        rates=(0, 1e4),
        exponent_growth=None,
    )
    live = LiveNetwork(network, namespace={})
    result = prune(
        live,
        STEPS[options["way"]],
        options=chosen,
        seed=options["seed"],
        report=lambda now: report(now.fraction, now.step),
    )
    first, last = result.history[0], result.after
    row = {name: options[name] for name in ("network", "removed", "way", "seed")}
    for when, record in (("before", first), ("after", last)):
        row |= {
            f"synapses_{when}": record.synapses,
            f"rate_{when}_hz": record.mean_rate_hz,
            f"variation_{when}": record.interval_cv,
            f"spectral_radius_{when}": record.spectral_radius,
        }
    return Result({"rows": [{**row, "warning": result.warning}]})


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks, and their means over seeds."""
    rows = all_rows(results)
    table = []
    for network, removed, way in product(NETWORKS, REMOVED, STEPS):
        mine = where(rows, network=network, removed=removed, way=way)
        line: dict[str, Any] = {"network": network, "removed": removed, "way": way}
        for name in ("rate_before_hz", "rate_after_hz", "variation_before", "variation_after"):
            values = [r[name] for r in mine if r[name] is not None]
            line[name] = float(np.mean(values)) if values else None
        line["rate_holds"] = all(abs(r["rate_after_hz"] / r["rate_before_hz"] - 1) <= CHANGE for r in mine)
        line["variation_holds"] = all(
            bool(r["variation_after"]) and abs(r["variation_after"] / r["variation_before"] - 1) <= CHANGE for r in mine
        )
        line["warned"] = sum(bool(r["warning"]) for r in mine)
        table.append(line)
    return {"table": table, "rows": rows}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table, its head first."""
    lines = [["network", "removed", "way", "rate (Hz)", "within 20 %", "variation of intervals", "within 20 %"]]
    for r in content["table"]:
        rate = f"{r['rate_before_hz']:.1f} -> {r['rate_after_hz']:.1f}"
        variation = " -> ".join(
            "-" if r[f"variation_{when}"] is None else f"{r[f'variation_{when}']:.2f}" for when in ("before", "after")
        )
        holds = ["yes" if r[f"{what}_holds"] else "no" for what in ("rate", "variation")]
        lines.append([r["network"], f"{r['removed']:.0%}", r["way"], rate, holds[0], variation, holds[1]])
    return {"Networks": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw rates and variations over those before pruning."""
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    axes = figure.subplots(2, len(REMOVED), sharex=True, sharey="row", squeeze=False)
    colors = dict(zip(STEPS, ("tab:blue", "tab:green", "0.6"), strict=True))
    names = list(NETWORKS)
    for column, removed in enumerate(REMOVED):
        for row, (what, unit) in enumerate((("rate", "_hz"), ("variation", ""))):
            axis = axes[row, column]
            axis.axhspan(1 - CHANGE, 1 + CHANGE, color="black", alpha=0.08, linewidth=0)
            for k, way in enumerate(STEPS):
                mine = {r["network"]: r for r in where(content["table"], removed=removed, way=way)}
                ratio = [(mine[n][f"{what}_after{unit}"] or np.nan) / mine[n][f"{what}_before{unit}"] for n in names]
                place = np.arange(len(names)) + 0.2 * (k - 1)
                axis.plot(place, ratio, "o", color=colors[way], label=way)
            axis.set_yscale("log")
            axis.set_yticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
            axis.minorticks_off()
            if row == 0:
                axis.set_title(f"{removed:.0%} removed")
            axis.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes[0, 0].set_ylabel("mean rate over that before")
    axes[1, 0].set_ylabel("variation over that before")
    return finish(figure, axes[0, 0], 3)
