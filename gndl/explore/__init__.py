"""The face studio: a rendered face that can be changed in every way, and what trained networks make of it."""
