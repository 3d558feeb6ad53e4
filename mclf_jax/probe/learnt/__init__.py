"""Probes that are learnt by gradient descent, where scikit-learn has none."""
