"""The source of the compiled tangent dynamics: what `lif_tangent` does in NumPy, in C++."""

from lnpbrian.network.engines.native_source import EXPONENTIAL

__all__ = ["SOURCE"]

EVENTS = r"""
namespace lnpbrian {

// Tangent vectors of a LIF network (lif_tangent.py): rows of x are amplitudes of the membranes, y where a neuron is
// held, rows of z those of the currents; k vectors, in C order. Times count from the start of the segment.
struct Tangent {
    int64_t n, k;
    bool delta;
    double tau_syn;
    const double *tau, *kappa;
    const int64_t* first;  // synapses, grouped by the neuron that they come from
    const int32_t* target;
    const double *weight, *effects;  // `effects`: -kappa weight / tau of the target
    double *x, *z, *current;
    uint8_t* held;
    int64_t flat = 0;
    std::vector<double> shift, rise, effect, states;
    std::vector<int64_t> open;  // all bits where a neuron is not held, else none
    int64_t row, step;  // from one neuron to the next, of x and z, and of the current

    // Return the logarithm of the expansion of the membranes.
    double pass(int64_t events, const int64_t* neuron, const double* when, const uint8_t* is_spike,
                const int64_t* trigger, const double* input) {
        double expansion = 0;
        shift.resize(k);
        rise.resize(k);
        open.resize(n);
        for (int64_t i = 0; i < n; ++i) open[i] = held[i] ? 0 : -1;
        row = k;
        step = 1;
        const bool together = k == 1 && !delta;
        double* const outside[] = {x, z, current};
        if (together) gather(outside);
        for (int64_t e = 0; e < events; ++e)
            expansion += is_spike[e] ? spike(neuron[e], when[e], trigger[e], input[e])
                                     : release(neuron[e], when[e], input[e]);
        if (together)
            for (int64_t i = 0; i < n; ++i)
                for (int64_t part = 0; part < 3; ++part) outside[part][i] = states[LINE * i + part];
        return expansion;
    }

    // One vector: what a spike changes of a target stands side by side, and is changed at once.
    void gather(double* const* outside) {
        states.assign(LINE * n, 0);
        for (int64_t i = 0; i < n; ++i)
            for (int64_t part = 0; part < 3; ++part) states[LINE * i + part] = outside[part][i];
        x = states.data();
        z = x + 1;
        current = x + 2;
        row = step = LINE;
    }

    double spike(int64_t i, double t, int64_t trigger, double input) {
        const double decay = std::exp(-t / tau[i]), decay_syn = delta ? 0 : std::exp(-t / tau_syn);
        double* xi = x + i * row;
        double expansion = 0;
        if (trigger >= 0) {  // it takes over the time of the spike that triggered it
            for (int64_t d = 0; d < k; ++d) shift[d] = -tau[trigger] * x[trigger * row + d];
            expansion = -HUGE_VAL;
        } else {
            const double slope = (input + (delta ? 0 : current[i * step] * decay_syn) - 1) / tau[i];
            for (int64_t d = 0; d < k; ++d) {
                double dv = xi[d] * decay;
                if (!delta) dv += z[i * row + d] * (kappa[i] * decay_syn);
                shift[d] = -dv / slope;
            }
            flat += slope <= 0;
            expansion = -std::log(std::abs(slope * tau[i])) - t / tau[i];
        }
        for (int64_t d = 0; d < k; ++d) xi[d] = -shift[d] / tau[i];
        held[i] = 1;
        open[i] = 0;
        send(i, t);
        return expansion;
    }

    // Hand the shift of a spike on to the targets.
    void send(int64_t i, double t) {
        const int64_t begin = first[i], count = first[i + 1] - begin;
        const int32_t* to = target + begin;
        const double *w = weight + begin, *by = effects + begin;
        effect.resize(count);
        double* const grows = effect.data();
        const double* const tau_of = tau;
        const int64_t* const open_bits = open.data();
        // One thing at a time, so that the compiler vectorises each.
        for (int64_t s = 0; s < count; ++s) grows[s] = tau_of[to[s]];
        for (int64_t s = 0; s < count; ++s) grows[s] = by[s] * exp_of(t / grows[s]);
        for (int64_t s = 0; s < count; ++s) {
            int64_t bits;
            std::memcpy(&bits, grows + s, sizeof bits);
            bits &= open_bits[to[s]];
            std::memcpy(grows + s, &bits, sizeof bits);
        }
        const double grown = delta ? 0 : std::exp(t / tau_syn);
        for (int64_t d = 0; d < k; ++d) rise[d] = shift[d] * (grown / tau_syn);
        if (row != k) {
            const double given = shift[0], risen = rise[0];
            for (int64_t s = 0; s < count; ++s) {
                double* state = x + to[s] * LINE;
                state[0] += grows[s] * given;
                state[1] += w[s] * risen;
                state[2] += w[s] * grown;
            }
            return;
        }
        for (int64_t s = 0; s < count; ++s) {
            double* xj = x + to[s] * k;
            for (int64_t d = 0; d < k; ++d) xj[d] += grows[s] * shift[d];
        }
        if (delta) return;
        for (int64_t s = 0; s < count; ++s) {
            double* zj = z + to[s] * k;
            for (int64_t d = 0; d < k; ++d) zj[d] += w[s] * rise[d];
            current[to[s]] += w[s] * grown;
        }
    }

    // A neuron is released with v = I y; what its current brings from then on is part of the amplitude.
    double release(int64_t i, double r, double input) {
        const double total = input + (delta ? 0 : current[i * step] * std::exp(-r / tau_syn));
        const double grown = total * std::exp(r / tau[i]);
        const double taken = delta ? 0 : kappa[i] * std::exp(r / tau[i] - r / tau_syn);
        for (int64_t d = 0; d < k; ++d) {
            x[i * row + d] *= grown;
            if (!delta) x[i * row + d] -= taken * z[i * row + d];
        }
        held[i] = 0;
        open[i] = -1;
        return std::log(std::abs(total)) + r / tau[i];
    }

    static constexpr int64_t LINE = 4;
};

}  // namespace lnpbrian
"""

MODULE = r'''
"""Tangent vectors of LIF networks through spikes and releases. What is passed is written to; nothing is checked."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libcpp cimport bool as cbool

cdef extern from *:
    """
    TANGENT_HPP
    """
    cdef cppclass Tangent "lnpbrian::Tangent":
        int64_t n, k, flat
        cbool delta
        double tau_syn
        const double* tau
        const double* kappa
        const int64_t* first
        const int32_t* target
        const double* weight
        const double* effects
        double* x
        double* z
        double* current
        uint8_t* held
        double pass_ "pass"(
            int64_t events, const int64_t* neuron, const double* when, const uint8_t* is_spike,
            const int64_t* trigger, const double* external
        ) nogil


def pass_events(
    double[:, ::1] vectors, uint8_t[::1] held, double[::1] current, const double[::1] tau, const double[::1] kappa,
    double tau_syn, const int64_t[::1] first, const int32_t[::1] target, const double[::1] weight,
    const double[::1] effects, const int64_t[::1] neuron, const double[::1] when, const uint8_t[::1] is_spike,
    const int64_t[::1] trigger, const double[::1] external, bint delta,
):
    """Carry vectors through events in order; `trigger` is the neuron of the spike that triggered one, or -1.

    Return the logarithm of the expansion, and the number of spikes at which the potential was not rising.
    """
    cdef Tangent tangent
    cdef double expansion
    cdef int64_t events = neuron.shape[0], n = tau.shape[0]
    if not events or not vectors.shape[1]:
        return 0.0, 0
    tangent.n, tangent.k, tangent.delta, tangent.tau_syn = n, vectors.shape[1], delta, tau_syn
    tangent.tau, tangent.kappa, tangent.first = &tau[0], &kappa[0], &first[0]
    if target.shape[0]:
        tangent.target, tangent.weight, tangent.effects = &target[0], &weight[0], &effects[0]
    tangent.x, tangent.current, tangent.held = &vectors[0, 0], &current[0], &held[0]
    if not delta:
        tangent.z = &vectors[n, 0]
    with nogil:
        expansion = tangent.pass_(events, &neuron[0], &when[0], &is_spike[0], &trigger[0], &external[0])
    return expansion, tangent.flat
'''

SOURCE = MODULE.replace("TANGENT_HPP", EXPONENTIAL + EVENTS)
