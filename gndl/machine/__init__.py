"""The machine that a study runs on: what it can do, what stands in the way, JupyterLab."""
