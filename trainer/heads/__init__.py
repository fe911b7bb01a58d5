"""Heads: layers after the backbone, losses, metrics, and solvers for linear heads.

head.py              build a head from its config
objective.py         loss, probabilities and metrics
linear.py            logistic regression for a path of penalties
lbfgs.py             the solver of logistic regression
ridge.py             ridge classification in closed form
cross_validation.py  choose the penalty by cross-validation

Training by epochs is in `loops`.
"""
