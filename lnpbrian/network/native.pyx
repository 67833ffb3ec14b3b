# distutils: language = c++
"""The loop of native.hpp with its arrays. What is passed is kept and written to; nothing is checked."""

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

    cdef struct Impulses "lnpbrian::Impulses":
        const int64_t* first
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
        Impulses impulses
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
    """Copies of a network; `arrays` has what native.hpp names."""

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

    def drive(self, double[:, ::1] values, double hold):
        """Set the external current by rows (rows, n) of `hold` seconds from step 0 on, over and over."""
        self.arrays["drive"] = np.asarray(values)
        self.loop.drive, self.loop.rows, self.loop.hold = &values[0, 0], values.shape[0], hold

    def run(self, int64_t begin, int64_t steps, bint record, double sample_end=0.0, impulses=None):
        """Go on from step `begin`, and return the places and times of spikes, or None."""
        cdef Spikes spikes
        cdef Spikes* kept = &spikes if record else NULL
        cdef int64_t[::1] first
        cdef int32_t[::1] target
        cdef double[::1] size
        self.loop.impulses.first = NULL
        if impulses is not None and impulses[1].size:
            first, target, size = impulses
            self.loop.impulses.first, self.loop.impulses.target = &first[0], &target[0]
            self.loop.impulses.size = &size[0]
        self.loop.sample_end = sample_end
        with nogil:
            self.loop.run(begin, steps, kept)
        self.loop.impulses.first = NULL
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
