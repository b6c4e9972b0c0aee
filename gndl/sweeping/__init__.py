"""Many runs at once: shared among processes, GPUs and nodes, planned, watched and stopped."""
