"""Numba kernels: arrays in, arrays out; no torch, no config, no I/O."""
