"""The source of the compiled loop: the equations of `equations` in C++, and the arrays that it works on in Cython."""

# As one module, since Brian2 compiles one text and knows it by its content.
__all__ = ["EXPONENTIAL", "SOURCE"]

EXPONENTIAL = r"""
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace lnpbrian {

// exp for |x| < 700 within an ulp or two, so that the compiler vectorises it: 2^k times a polynomial, |r| <= ln(2)/2.
inline double exp_of(double x) {
    constexpr double shift = 6755399441055744.0;  // adding it rounds to an integer, in the lowest bits
    const double shifted = x * 1.4426950408889634 + shift;
    const double k = shifted - shift;
    const double r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
    double p = 1.0 / 6227020800;
    for (double c : {479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0})
        p = p * r + 1 / c;
    p = (p * r + 1) * r + 1;
    int64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    double scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

}  // namespace lnpbrian
"""

LOOP = r"""
// Recurrent leaky integrate-and-fire neurons, step by step: the equations of equations.py as one loop.
//
// Copies of a network share its synapses and constants and have states of their own. They do not meet, so that each
// runs through all steps before the next one begins. All arrays of states have shape (copies, n), in C order.

namespace lnpbrian {

enum class Timing { grid, interpolated, precise };

// Synapses of which the weights fill a line of the cache.
constexpr int64_t LINE = 8;

inline void fetch(const void* address) {
#if defined(__GNUC__) || defined(__clang__)
    __builtin_prefetch(address);
#else
    (void)address;
#endif
}

struct Spikes {
    std::vector<int64_t> index;  // copy*n + neuron
    std::vector<double> time;    // seconds; on the grid the end of the step
};

struct Channels {  // from outside: the spikes of step k of copy c are first[c*steps + k] .. first[c*steps + k + 1] - 1
    const int64_t* first = nullptr;
    const int32_t* spike = nullptr;
    const int64_t* fan_out = nullptr;  // the synapses of channel d are fan_out[d] .. fan_out[d + 1] - 1
    const int32_t* target = nullptr;
    const double* size = nullptr;
};

struct Loop {
    Timing timing;
    bool delta;  // synapses move the potential itself
    int64_t n, copies;
    double dt, tau_syn, t_ref;
    int64_t held;  // steps from a spike to the first that integrates again
    // Constants of the neurons (n) and, grouped by the neuron that they come from, of the synapses.
    const double *tau_m, *bias;
    const uint8_t* alive;
    const int64_t* first;
    const int32_t *target, *delay;  // delay in steps, or none
    const double* weight;
    // States. On the grid `last` is the step of the last spike; off it the others are those of equations.py.
    double *v, *current, *external;
    int64_t* last;
    double *release, *overshoot, *decayed, *rise, *slope;
    int64_t* count;
    // Filtered spikes of neurons that are read: place of each neuron among them or -1, moments (order, copies, n_read).
    const int32_t* tap = nullptr;
    double* moments = nullptr;
    int64_t order = 0, n_read = 0;
    double tau_filter = 1, sample_end = 0;
    // Input that changes by itself: rows (rows, n) of `hold` seconds each.
    const double* drive = nullptr;
    int64_t rows = 0;
    double hold = 1;
    Channels channels;

    std::vector<std::vector<int32_t>> flight;  // synapses that spikes travel along, (slot, copy)
    int64_t slots = 1;

    void prepare() {
        decay.resize(n), coupling.resize(n), kappa.resize(n);
        source.clear();
        for (int64_t i = 0; i < n; i++) {
            decay[i] = std::exp(-dt / tau_m[i]);
            kappa[i] = delta ? 0 : tau_syn / (tau_syn - tau_m[i]);
            coupling[i] = delta ? 0 : kappa[i] * (std::exp(-dt / tau_syn) - decay[i]);
        }
        if (!delay) return;
        slots = 1;
        for (int64_t i = 0; i < n; i++)
            for (int64_t s = first[i]; s < first[i + 1]; s++) {
                source.push_back(static_cast<int32_t>(i));
                slots = std::max<int64_t>(slots, delay[s] + 1);
            }
        flight.assign(slots * copies, {});
    }

    void run(int64_t begin, int64_t steps, Spikes* spikes) {
        for (int64_t c = 0; c < copies; c++) run_copy(c, begin, steps, spikes);
    }

  private:
    std::vector<double> decay, coupling, kappa, level, fading, due;
    std::vector<double> b_, g_, d_, tau_, s_, end_, slope_;  // of the neurons that fire in a step
    std::vector<int32_t> source, fired;
    std::vector<uint8_t> fires;
    std::vector<std::vector<int32_t>> released;  // by the step in which they are

    static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

    void set_level(const double* external) {
        for (int64_t i = 0; i < n; i++) {
            level[i] = bias[i] + external[i];
            fading[i] = -level[i] * decay[i];
        }
    }

    void run_copy(int64_t c, int64_t begin, int64_t steps, Spikes* spikes) {
        const bool on_grid = timing == Timing::grid;
        double *v = this->v + c * n, *current = this->current + c * n, *external = this->external + c * n;
        int64_t* last = this->last + c * n;
        level.resize(n), fading.resize(n), fires.assign(n, 0);
        set_level(external);
        if (!on_grid) schedule_all(c, begin);
        const double syn_decay = delta ? 0 : std::exp(-dt / tau_syn);
        int64_t row = -1;
        for (int64_t step = begin; step < begin + steps; step++) {
            const double t = step * dt;
            if (drive) {
                // A tick of the drive at the start of a step comes before it, whatever rounding makes of its time.
                const int64_t now = static_cast<int64_t>(t / hold + 1e-4 * dt / hold + 1e-9) % rows;
                if (now != row) {
                    row = now;
                    std::copy_n(drive + row * n, n, external);
                    set_level(external);
                }
            }
            if (on_grid)
                update_on_grid(v, current, last, step, syn_decay);
            else
                update_off_grid(v, current, t, step, syn_decay);
            find_fired(v, last, step);
            for (int32_t i : fired) count[c * n + i]++;
            if (on_grid)
                for (int32_t i : fired) last[i] = step;
            else
                find_crossings(c, t);
            if (channels.first) {
                const int64_t k = c * steps + step - begin;
                for (int64_t x = channels.first[k]; x < channels.first[k + 1]; x++) {
                    const int32_t d = channels.spike[x];
                    for (int64_t s = channels.fan_out[d]; s < channels.fan_out[d + 1]; s++) {
                        const int32_t i = channels.target[s];
                        if (!delta)
                            current[i] += channels.size[s];
                        else if (step - last[i] >= held && last[i] != step)
                            v[i] += channels.size[s];
                    }
                }
            }
            deliver(c, t, step);
            for (int32_t i : fired) {
                const int64_t k = c * n + i;
                double time = t + dt;
                if (on_grid) {
                    v[i] = 0;
                } else {
                    const double late = advance(k);
                    time -= overshoot[k] + late;
                    due[i] = release[k] - late;
                    schedule(i, t);
                }
                if (tap && tap[i] >= 0) filter(c, tap[i], (sample_end - time) / tau_filter);
                if (spikes) spikes->index.push_back(k), spikes->time.push_back(time);
            }
        }
    }

    void update_on_grid(double* __restrict v, double* __restrict current, const int64_t* last, int64_t step,
                        double syn_decay) {
        const double *__restrict level = this->level.data(), *__restrict fading = this->fading.data();
        const double *__restrict decay = this->decay.data(), *__restrict coupling = this->coupling.data();
        const int64_t latest = step - held;
        if (delta) {
            for (int64_t i = 0; i < n; i++) v[i] = last[i] <= latest ? (level[i] + v[i] * decay[i]) + fading[i] : v[i];
            return;
        }
        for (int64_t i = 0; i < n; i++) {
            const double moved = ((level[i] + current[i] * coupling[i]) + v[i] * decay[i]) + fading[i];
            v[i] = last[i] <= latest ? moved : v[i];
            current[i] *= syn_decay;
        }
    }

    void update_off_grid(double* __restrict v, double* __restrict current, double t, int64_t step, double syn_decay) {
        auto& now = released[step % released.size()];
        for (int32_t i : now) {
            if (due[i] <= t || due[i] >= t + dt) continue;
            const double active = (t + dt - due[i]) / dt;
            const double a = std::exp(-active * dt / tau_m[i]);
            v[i] = level[i] + v[i] * a - level[i] * a +
                   current[i] * active * tau_syn * (a - std::exp(-dt / tau_syn)) / (tau_m[i] - active * tau_syn);
        }
        now.clear();
        const double *__restrict level = this->level.data(), *__restrict fading = this->fading.data();
        const double *__restrict decay = this->decay.data(), *__restrict coupling = this->coupling.data();
        const double* __restrict due = this->due.data();
        for (int64_t i = 0; i < n; i++) {
            const double moved = ((level[i] + current[i] * coupling[i]) + v[i] * decay[i]) + fading[i];
            v[i] = due[i] <= t ? moved : v[i];
            current[i] *= syn_decay;
        }
    }

    double advance(int64_t k) const {
        return timing == Timing::precise ? clip(rise[k] / clip(slope[k], 1e-9, 1e9), -2 * dt, 2 * dt) : 0;
    }

    void find_fired(const double* v, const int64_t* last, int64_t step) {
        const int64_t latest = timing == Timing::grid ? step - held : INT64_MAX;
        fired.resize(n);
        int32_t* found = fired.data();
        int64_t number = 0;
        for (int64_t i = 0; i < n; i++) {
            found[number] = static_cast<int32_t>(i);
            number += (v[i] >= 1) & (alive[i] != 0) & (last[i] <= latest);
        }
        fired.resize(number);
    }

    void find_crossings(int64_t c, double t) {  // of the neurons that fire, by Newton's method, and reset them
        const int64_t number = static_cast<int64_t>(fired.size());
        for (auto* column : {&b_, &g_, &d_, &tau_, &s_, &end_, &slope_}) column->resize(n);
        double *b = b_.data(), *g = g_.data(), *d = d_.data(), *tau = tau_.data();
        double *s = s_.data(), *end = end_.data(), *slant = slope_.data();
        for (int64_t m = 0; m < number; m++) {
            const int64_t i = fired[m], k = c * n + i;
            b[m] = level[i], g[m] = kappa[i] * current[k], d[m] = v[k] - b[m] - g[m], tau[m] = tau_m[i];
            s[m] = clip((1 - v[k]) * tau[m] / (d[m] + g[m] * tau[m] / tau_syn), 0, 2 * dt);
        }
        const double longest = 2 * dt, tau_syn = this->tau_syn;
#pragma GCC ivdep
        for (int64_t m = 0; m < number; m++) {
            double u = s[m], x = d[m] * exp_of(u / tau[m]), y = g[m] * exp_of(u / tau_syn);
            for (int turn = 0; turn < 3; turn++) {
                u = u - (x + y + b[m] - 1) / (x / tau[m] + y / tau_syn);
                u = u < 0 ? 0 : u > longest ? longest : u;
                x = d[m] * exp_of(u / tau[m]), y = g[m] * exp_of(u / tau_syn);
            }
            s[m] = u, end[m] = exp_of(-u / tau_syn), slant[m] = -x / tau[m] - y / tau_syn;
        }
        for (int64_t m = 0; m < number; m++) {
            const int64_t k = c * n + fired[m];
            overshoot[k] = s[m], decayed[k] = end[m], slope[k] = slant[m];
            rise[k] = 0;
            release[k] = t + dt - s[m] + t_ref;
            v[k] = 0;
        }
    }

    // What arrives in this step: along all synapses of the neurons that fire, or along those whose delay ends.
    void deliver(int64_t c, double t, int64_t step) {
        if (!delay) {
            each_pass(c, t, step, [&](auto&& act) {
                for (size_t f = 0; f < fired.size(); f++) {
                    const int32_t j = fired[f];
                    const int64_t end = first[j + 1];
                    // While the synapses of one neuron are at work, those of the next one are fetched.
                    int64_t next = f + 1 < fired.size() ? first[fired[f + 1]] : first[n];
                    for (int64_t s = first[j]; s < end; s += LINE, next += LINE) {
                        if (next < first[n]) fetch(weight + next), fetch(target + next);
                        for (int64_t u = s; u < std::min(s + LINE, end); u++) act(j, u);
                    }
                }
            });
            return;
        }
        for (int32_t j : fired)
            for (int64_t s = first[j]; s < first[j + 1]; s++)
                flight[(step + delay[s]) % slots * copies + c].push_back(static_cast<int32_t>(s));
        auto& arriving = flight[step % slots * copies + c];
        each_pass(c, t, step, [&](auto&& act) {
            for (int32_t s : arriving) act(source[s], s);
        });
        arriving.clear();
    }

    template <class Walk>
    void each_pass(int64_t c, double t, int64_t step, Walk walk) {
        double *v = this->v + c * n, *current = this->current + c * n;
        const double* decayed = this->decayed + c * n;
        const int64_t* last = this->last + c * n;
        if (timing == Timing::interpolated) {
            walk([&](int32_t j, int64_t s) { current[target[s]] += weight[s] * decayed[j]; });
        } else if (timing == Timing::grid && !delta) {
            walk([&](int32_t, int64_t s) { current[target[s]] += weight[s]; });
        } else if (timing == Timing::grid) {
            walk([&](int32_t, int64_t s) {
                const int32_t i = target[s];
                if (step - last[i] >= held && last[i] != step) v[i] += weight[s];
            });
        } else {
            precise_passes(c, t, walk);
        }
    }

    // A spike first advances the later crossings of its targets in the same step, then it reaches every target.
    template <class Walk>
    void precise_passes(int64_t c, double t, Walk walk) {
        double *v = this->v + c * n, *current = this->current + c * n, *rise = this->rise + c * n;
        double *slope = this->slope + c * n, *overshoot = this->overshoot + c * n, *release = this->release + c * n;
        for (int32_t i : fired) fires[i] = 1;
        walk([&](int32_t j, int64_t s) {
            const int32_t i = target[s];
            if (!fires[i] || !(release[i] > t + t_ref)) return;
            const double lead = clip(overshoot[j] - overshoot[i], 0, 2 * dt);
            if (!(lead > 0)) return;
            const double x = std::exp(-lead / tau_syn), y = std::exp(-lead / tau_m[i]);
            rise[i] += weight[s] * kappa[i] * (x - y);
            slope[i] += weight[s] * kappa[i] * (y / tau_m[i] - x / tau_syn);
        });
        for (int32_t i : fired) {
            fires[i] = 0;
            due[i] = release[i] - advance(c * n + i);
        }
        int32_t before = -1;
        double since = 0, left = 0;
        walk([&](int32_t j, int64_t s) {
            if (j != before) {
                before = j;
                since = overshoot[j] + advance(c * n + j);
                left = std::exp(-since / tau_syn);
            }
            const int32_t i = target[s];
            current[i] += weight[s] * left;
            const double free = t + dt - due[i];
            if (!(free > 0)) return;
            const double felt = clip(free, -2 * dt, since);
            const double kept = std::exp(-(since - felt) / tau_syn - felt / tau_m[i]);
            v[i] += weight[s] * kappa[i] * (left - kept);
        });
    }

    void filter(int64_t c, int64_t place, double x) {
        double term = std::exp(-x);
        for (int64_t k = 0; k < order; k++) {
            moments[(k * copies + c) * n_read + place] += term;
            term *= x / (k + 1);
        }
    }

    void schedule(int32_t i, double t) {
        int64_t step = static_cast<int64_t>(due[i] / dt);
        while (step * dt > due[i]) step--;
        while ((step + 1) * dt <= due[i]) step++;
        if (step * dt > t) released[step % released.size()].push_back(i);
    }

    void schedule_all(int64_t c, int64_t begin) {
        due.resize(n);
        released.assign(static_cast<size_t>(t_ref / dt) + 8, {});
        for (int64_t i = 0; i < n; i++) {
            due[i] = release[c * n + i] - advance(c * n + i);
            if (due[i] > begin * dt) schedule(static_cast<int32_t>(i), (begin - 1) * dt);
        }
    }
};

}  // namespace lnpbrian
"""

MODULE = r'''
"""The loop of LOOP with its arrays. What is passed is kept and written to; nothing is checked."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

cdef extern from *:
    """
    NATIVE_HPP
    """
    cdef enum class Timing "lnpbrian::Timing":
        grid
        interpolated
        precise

    cdef struct Spikes "lnpbrian::Spikes":
        vector[int64_t] index
        vector[double] time

    cdef struct Channels "lnpbrian::Channels":
        const int64_t* first
        const int32_t* spike
        const int64_t* fan_out
        const int32_t* target
        const double* size

    cdef cppclass CLoop "lnpbrian::Loop":
        Timing timing
        cbool delta
        int64_t n, copies, held, order, n_read, rows, slots
        double dt, tau_syn, t_ref, tau_filter, sample_end, hold
        const double* tau_m
        const double* bias
        const uint8_t* alive
        const int64_t* first
        const int32_t* target
        const int32_t* delay
        const double* weight
        double* v
        double* current
        double* external
        int64_t* last
        double* release
        double* overshoot
        double* decayed
        double* rise
        double* slope
        int64_t* count
        const int32_t* tap
        double* moments
        const double* drive
        Channels channels
        vector[vector[int32_t]] flight
        void prepare()
        void run(int64_t begin, int64_t steps, Spikes* spikes) nogil


cdef double* doubles(dict arrays, str name):
    cdef double[::1] flat = arrays[name].reshape(-1)
    return &flat[0] if flat.shape[0] else NULL


cdef int64_t* longs(dict arrays, str name):
    cdef int64_t[::1] flat = arrays[name].reshape(-1)
    return &flat[0] if flat.shape[0] else NULL


cdef int32_t* ints(dict arrays, str name):
    cdef int32_t[::1] flat = arrays[name].reshape(-1)
    return &flat[0] if flat.shape[0] else NULL


cdef class Loop:
    """Copies of a network; `arrays` has what LOOP names."""

    cdef CLoop loop
    cdef dict arrays

    def __cinit__(self, dict arrays, *, str timing, bint delta, double dt, double tau_syn, double t_ref, int64_t held):
        self.arrays = arrays
        self.loop.timing = {"grid": Timing.grid, "interpolated": Timing.interpolated, "precise": Timing.precise}[timing]
        self.loop.delta = delta
        self.loop.copies, self.loop.n = arrays["v"].shape
        self.loop.dt, self.loop.tau_syn, self.loop.t_ref, self.loop.held = dt, tau_syn, t_ref, held
        self.loop.tau_m, self.loop.bias = doubles(arrays, "tau_m"), doubles(arrays, "bias")
        cdef uint8_t[::1] alive = arrays["alive"]
        self.loop.alive = &alive[0]
        self.loop.first, self.loop.target = longs(arrays, "first"), ints(arrays, "target")
        self.loop.weight = doubles(arrays, "weight")
        self.loop.delay = ints(arrays, "delay") if "delay" in arrays else NULL
        self.loop.v, self.loop.current = doubles(arrays, "v"), doubles(arrays, "I_syn")
        self.loop.external = doubles(arrays, "I_ext")
        self.loop.last, self.loop.count = longs(arrays, "last"), longs(arrays, "count")
        self.loop.release, self.loop.overshoot = doubles(arrays, "release"), doubles(arrays, "overshoot")
        self.loop.decayed, self.loop.rise = doubles(arrays, "decayed"), doubles(arrays, "rise")
        self.loop.slope = doubles(arrays, "slope")
        self.loop.prepare()

    def tap(self, int32_t[::1] places, double[:, :, ::1] moments, double tau_filter):
        """Filter the spikes of neurons with a place (n,) of 0 or more into moments (order, copies, n_read)."""
        self.arrays["places"], self.arrays["moments"] = np.asarray(places), np.asarray(moments)
        self.loop.tap, self.loop.moments = &places[0], &moments[0, 0, 0]
        self.loop.order, self.loop.n_read, self.loop.tau_filter = moments.shape[0], moments.shape[2], tau_filter

    def drive(self, const double[:, ::1] values, double hold):
        """Set the external current by rows (rows, n) of `hold` seconds from step 0 on, over and over."""
        self.arrays["drive"] = np.asarray(values)
        self.loop.drive, self.loop.rows, self.loop.hold = &values[0, 0], values.shape[0], hold

    def connect(self, const int64_t[::1] fan_out, const int32_t[::1] target, const double[::1] size):
        """Give channels from outside synapses: those of channel d are ``fan_out[d]`` to ``fan_out[d + 1] - 1``."""
        self.arrays["channels"] = [np.asarray(fan_out), np.asarray(target), np.asarray(size)]
        self.loop.channels.fan_out = &fan_out[0]
        self.loop.channels.target = &target[0] if target.shape[0] else NULL
        self.loop.channels.size = &size[0] if size.shape[0] else NULL

    def run(self, int64_t begin, int64_t steps, bint record, double sample_end=0.0, spikes_of_channels=None):
        """Go on from step `begin`, and return the places and times of spikes, or None."""
        cdef Spikes spikes
        cdef Spikes* kept = &spikes if record else NULL
        cdef const int64_t[::1] first
        cdef const int32_t[::1] spike
        self.loop.channels.first = NULL
        if spikes_of_channels is not None and spikes_of_channels[1].size:
            first, spike = spikes_of_channels
            self.loop.channels.first, self.loop.channels.spike = &first[0], &spike[0]
        self.loop.sample_end = sample_end
        with nogil:
            self.loop.run(begin, steps, kept)
        self.loop.channels.first = NULL
        if record:
            return np.array(spikes.index, dtype=np.int64), np.array(spikes.time, dtype=float)

    def flight(self):
        """Return the spikes on their way."""
        return self.loop.flight

    def set_flight(self, flight):
        """Take over what `flight` returned."""
        self.loop.flight = flight

    def copy_flight(self):
        """Give all copies the spikes on their way of the first one."""
        cdef int64_t slot, copy
        if self.loop.delay == NULL:
            return
        for slot in range(self.loop.slots):
            for copy in range(1, self.loop.copies):
                self.loop.flight[slot * self.loop.copies + copy] = self.loop.flight[slot * self.loop.copies]
'''

SOURCE = MODULE.replace("NATIVE_HPP", EXPONENTIAL + LOOP)
