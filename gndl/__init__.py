"""GNDL: the study of facial expression through neutral faces (ACM MM 2023)."""

__version__ = "0.1.0"
