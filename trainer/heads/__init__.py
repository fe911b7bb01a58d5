"""Heads: layers after the backbone, losses, metrics, and solvers for linear heads.

head.py              build a head from its config
objective.py         loss, probabilities and metrics
solution.py          what a solver of linear heads returns
linear.py            logistic regression for a path of penalties
many_classes.py      the same path where a step takes long
warm_start.py        the same, from an earlier head
prepared.py          standardised features and their principal axes
shared_tensor.py     large arrays as tensors without a copy
softmax_regression.py  objective of logistic regression
minibatch.py         logistic regression of a stream, for all penalties at once
lbfgs.py             the solver of logistic regression
ridge.py             ridge classification in closed form
streamed_ridge.py    the same of a stream
cross_validation.py  choose the penalty by cross-validation

Training by epochs is in `loops`.
"""
