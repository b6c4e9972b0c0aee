"""Audits: every number of a study derived again, folds looked at on their own, two studies compared."""
