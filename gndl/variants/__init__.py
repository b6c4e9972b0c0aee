"""Methods beside the paper's two: ablations, finer grains, batches by sequence."""
