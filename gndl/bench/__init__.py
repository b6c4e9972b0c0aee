"""Benchmarks: what a training, a preparation and a prediction cost, each beside something measured in the same run."""
