"""Audits: what of a study follows from its files derived again, folds looked at on their own, two studies compared."""
