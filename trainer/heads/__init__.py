"""Heads on a backbone: layers, losses, metrics, and solvers for linear heads.

head.py              build a head from its config
objective.py         loss, probabilities and metrics
linear.py            linear heads, fitted as a whole for several penalties
lbfgs.py, ridge.py   the two solvers
cross_validation.py  the choice of the penalty by folds

Training by epochs is in `loops`.
"""
