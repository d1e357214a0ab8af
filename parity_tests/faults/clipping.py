"""Faults of gradient clipping."""

from functools import partial

from parity_tests.faults.fault import Fault

clip = partial(
    Fault,
    phase="step",
    function="optim.clip.clip_grad_norm_",
    cases=("clip_grad_norm", "clip_grad_norm-1"),
    culprit="clip_grad_norm_",
)

BAD = ("clip_grad_norm-not-finite",)

FAULTS = [
    clip(
        "clip_grad_norm_: each tensor by its own norm",
        "grad * grad.dtype.type(scale)",
        "grad * min(1, max_norm / (np.linalg.norm(grad.ravel(), norm_type) + 1e-6))",
        cause="by its own norm",
    ),
    clip(
        "clip_grad_norm_: no 1e-6",
        "max_norm / (total + 1e-6)",
        "max_norm / total",
        cases=("clip_grad_norm",),
        cause="leaves out the 1e-6",
    ),
    clip("clip_grad_norm_: scaled up as well", "if not scale >= 1:", "if True:", cause="scales small gradients up"),
    clip(
        "clip_grad_norm_: squared norm",
        "float(np.linalg.norm(norms, norm_type)) if norms",
        "float(np.sum(np.square(norms))) if norms",
        cases=("clip_grad_norm",),
        cause="squared norm",
    ),
    clip(
        "clip_grad_norm_: norms of tensors added up",
        "float(np.linalg.norm(norms, norm_type)) if norms",
        "float(np.sum(norms)) if norms",
        cases=("clip_grad_norm",),
        cause="adds up the norms",
    ),
    clip(
        "clip_grad_norm_: norm_type ignored",
        "clipped = _with",
        "norm_type = 2.0; clipped = _with",
        cases=("clip_grad_norm-1",),
        cause="ignores norm_type",
    ),
    clip(
        "clip_grad_norm_: the largest instead of the norm",
        "float(np.linalg.norm(norms, norm_type)) if norms",
        "max(norms) if norms",
        cause="largest of the tensors",
    ),
    clip(
        "clip_grad_value_: clipped below only",
        "grad.dtype.type(clip_value))",
        "None)",
        function="optim.clip.clip_grad_value_",
        cases=("clip_grad_value",),
        culprit="clip_grad_value_",
        cause="keeps no upper bound",
    ),
    clip("clip_grad_norm_: a norm of NaN clips nothing", "if not scale >= 1:", "if scale < 1:", cases=BAD, cause=None),
    clip(
        "clip_grad_norm_: the norm is kept finite",
        "scale = max_norm / (total + 1e-6)",
        "scale = max_norm / (min(total, 1e30) + 1e-6)",
        cases=BAD,
        cause=None,
    ),
    clip(
        "clip_grad_norm_: no gradient at all",
        "if norms else 0.0",
        "if norms else float(np.max(norms))",
        cases=("clip_grad_norm-absent",),
        cause="it raises ValueError",
    ),
    Fault(
        "clip_grad_norm_: one parameter alone",
        "[parameters] if isinstance(parameters, Parameter) else parameters",
        "parameters",
        phase="step",
        cause="it raises TypeError",
        function="optim.clip._with_gradients",
        cases=("clip_grad_norm-alone",),
        culprit="clip_grad_norm_",
    ),
    Fault(
        "clip_grad_value_: NaN is clipped",
        "np.clip(grad, grad.dtype.type(-clip_value), grad.dtype.type(clip_value))",
        "np.fmax(np.fmin(grad, grad.dtype.type(clip_value)), grad.dtype.type(-clip_value))",
        phase="step",
        cause=None,
        function="optim.clip.clip_grad_value_",
        cases=("clip_grad_value-not-finite",),
        culprit="clip_grad_value_",
    ),
]
