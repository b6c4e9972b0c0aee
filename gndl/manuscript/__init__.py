"""What a manuscript takes from a study: macros for numbers, references, text that compiles."""
