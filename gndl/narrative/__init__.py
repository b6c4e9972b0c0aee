"""What the notebooks show and say: the logic behind their cells."""
