"""Faults of optimisers."""

from functools import partial

from parity_tests.faults.fault import Fault

sgd = partial(Fault, phase="step", function="optim.sgd.SGD.update", culprit="SGD")
adam = partial(Fault, phase="step", function="optim.adam.Adam.update", cases=("adam-decay", "adamw-decay"), culprit="Adam|AdamW")

base = partial(Fault, phase="step", cases=("sgd-resumed", "adam-resumed"), culprit="SGD|Adam")
step = partial(base, function="optim.optimizer.Optimizer.step")
load = partial(
    Fault,
    phase="step",
    function="optim.optimizer.Optimizer.load_state_dict",
    cases=("adam-resumed",),
    culprit="Adam",
)

COUNT = 't = float(state["step"])'
LOADED = 'np.array(a, np.float32 if name == "step" else dtype)'
CORRECTED = "lr * root / (1 - beta1**t), eps * root"

FAULTS = [
    sgd(
        "SGD: momentum as a running mean",
        "1 - dampening",
        "1 - momentum",
        cases=("sgd-dampening",),
        cause="running mean",
    ),
    sgd(
        "SGD: dampening on the first step too",
        "b[0][...] = g",
        "b[0][...] = (1 - dampening) * g",
        cases=("sgd-dampening",),
        cause="dampens the first step",
    ),
    sgd("SGD: dampening ignored", "1 - dampening", "1", cases=("sgd-dampening",), cause="ignores dampening"),
    sgd(
        "SGD: learning rate inside the momentum",
        "over_pieces(move",
        "if momentum:\n            grad, weight_decay, lr = grad * lr, weight_decay * lr, 1.0\n        over_pieces(move",
        cases=("sgd-dampening", "sgd-nesterov-maximize"),
        cause="before the momentum",
    ),
    sgd(
        "SGD: nesterov ignored",
        'if group["nesterov"] else b[0]',
        "if False else b[0]",
        cases=("sgd-nesterov-maximize",),
        cause="ignores nesterov",
    ),
    sgd(
        "SGD: nesterov looks ahead by the buffer alone",
        "np.add(g, np.multiply(b[0], momentum, out=temporary), out=spare)",
        "np.multiply(b[0], 1 + momentum, out=spare)",
        cases=("sgd-nesterov-maximize",),
        cause="looks ahead from the buffer",
    ),
    sgd(
        "SGD: decay left out",
        "if weight_decay:",
        "if False:",
        cases=("sgd-decay", "sgd-dampening"),
        cause="leaves weight_decay out",
    ),
    sgd(
        "SGD: decay before and after the momentum",
        "p -= np.multiply(g, lr, out=temporary)",
        "p -= lr * (g + weight_decay * p)",
        cases=("sgd-decay", "sgd-dampening"),
        cause="before and after the momentum",
    ),
    sgd(
        "SGD: sign of the decay",
        "np.add(g, np.multiply(p, weight_decay",
        "np.subtract(g, np.multiply(p, weight_decay",
        cases=("sgd-decay", "sgd-dampening"),
        cause="subtracts the weight decay",
    ),
    sgd("SGD: climbs", "p -= np", "p += np", cases=("sgd-decay", "sgd-dampening", "sgd-nesterov-maximize"), cause="climbs"),
    sgd("SGD: maximize ignored", 'group["maximize"]', "False", cases=("sgd-nesterov-maximize",), cause="ignores maximize|climbs"),
    sgd(
        "SGD: buffer not decayed",
        "b[0] *= momentum",
        "pass",
        cases=("sgd-dampening", "sgd-nesterov-maximize"),
        cause="does not decay the buffer",
    ),
    adam("Adam: no bias correction", CORRECTED, "lr, eps", cause="does not correct"),
    adam("Adam: first mean alone corrected", CORRECTED, "lr / (1 - beta1**t), eps", cause="first mean only"),
    adam("Adam: second mean alone corrected", CORRECTED, "lr * root, eps * root", cause="second mean only"),
    adam(
        "Adam: bias correction one step behind",
        't = float(state["step"])',
        't = max(float(state["step"]) - 1, 1.0)',
        cause="step before",
    ),
    adam("Adam: eps before the bias correction", "eps * root\n", "eps\n", cause="before the bias correction"),
    adam(
        "Adam: eps under the root",
        "np.sqrt(v, out=temporary)\n            step += corrected_eps",
        "np.sqrt(v + corrected_eps**2, out=temporary)",
        cause="under the root",
    ),
    adam("Adam: no eps", "eps * root\n", "0\n", cause="leaves eps out"),
    adam(
        "Adam: root forgotten",
        "step = np.sqrt(v, out=temporary)",
        "step = np.multiply(v, 1, out=temporary)",
        cause="rather than its root",
    ),
    adam("Adam: betas swapped", 'beta1, beta2 = group["betas"]', 'beta2, beta1 = group["betas"]', cause="second of betas"),
    adam("Adam: mean of |g|, not g²", "np.multiply(g, g, out=temporary)", "np.abs(g, out=temporary)", cause="averages .g."),
    adam("Adam: gradient added whole to the first mean", "np.multiply(g, 1 - beta1, out=temporary)", "g", cause="whole gradient"),
    adam(
        "Adam: decay always decoupled",
        'weight_decay and group["decoupled_weight_decay"]',
        "weight_decay",
        cases=("adam-decay",),
        culprit="Adam",
        cause="shrinks the parameter by",
    ),
    adam(
        "Adam: decay never decoupled",
        'weight_decay and group["decoupled_weight_decay"]',
        "False",
        cases=("adamw-decay",),
        culprit="AdamW",
        cause="adds the weight decay to the gradient",
    ),
    adam(
        "AdamW: decay not scaled by the learning rate",
        "1 - lr * weight_decay",
        "1 - weight_decay",
        cases=("adamw-decay",),
        culprit="AdamW",
        cause="decays by weight_decay",
    ),
    adam(
        "AdamW: decay by the first learning rate",
        "1 - lr * weight_decay",
        '1 - self.defaults["lr"] * weight_decay',
        cases=("adamw-decay",),
        culprit="AdamW",
        cause="first learning rate",
    ),
    adam(
        "Adam: amsgrad ignored",
        'if group["amsgrad"]:',
        "if False:",
        cases=("adam-amsgrad-maximize",),
        culprit="Adam",
        cause="ignores amsgrad",
    ),
    adam(
        "Adam: amsgrad's minimum",
        "np.maximum(v",
        "np.minimum(v",
        cases=("adam-amsgrad-maximize",),
        culprit="Adam",
        cause="lowest second mean",
    ),
    adam(
        "Adam: maximize ignored",
        'group["maximize"]',
        "False",
        cases=("adam-amsgrad-maximize",),
        culprit="Adam",
        cause="ignores maximize",
    ),
    step(
        "Optimizer: a gradient of 0 is skipped",
        "grad is not None:",
        "grad is not None and parameter.grad.any():",
        cause="skips a parameter",
    ),
    step(
        "Optimizer: a missing gradient is 0",
        "                if parameter.grad is not None:",
        "                if parameter.grad is None:\n                    parameter.grad = np.zeros_like(parameter.data)\n"
        "                if parameter.grad is not None:",
        cases=("adam-resumed",),
        culprit="Adam",
        cause=None,
    ),
    base(
        "Optimizer: a group without parameters is dropped",
        "self.param_groups.append(group)",
        "self.param_groups += [group] * bool(params)",
        function="optim.optimizer.Optimizer.add_param_group",
        cause=None,
    ),
    base(
        "Optimizer: zero_grad sets zeros",
        "parameter.grad = None",
        "parameter.grad = None if parameter.grad is None else np.zeros_like(parameter.grad)",
        function="optim.optimizer.Optimizer.zero_grad",
        cause="in zero_grad",
    ),
    load("Optimizer: step count lost", LOADED, LOADED.replace("a,", "a * (name != 'step'),"), cause="loses step"),
    load("Optimizer: exp_avg_sq lost", LOADED, LOADED.replace("a,", "a * (name != 'exp_avg_sq'),"), cause="loses exp_avg_sq"),
    load("Optimizer: max_exp_avg_sq lost", LOADED, LOADED.replace("a,", "a * (name != 'max_exp_avg_sq'),"), cause="loses max_exp"),
    load(
        "Optimizer: momentum buffer lost",
        "in saved.items()}",
        'in saved.items() if name != "momentum_buffer"}',
        cases=("sgd-resumed",),
        culprit="SGD",
        cause="loses momentum_buffer",
    ),
    load(
        "Optimizer: arrays of a loaded state are not copied",
        "np.array(a, np.float32",
        "np.asarray(a, np.float32",
        cause="is what saved exp_avg",
    ),
    load("Optimizer: a loaded state goes through float32", LOADED, LOADED.replace("a,", "np.asarray(a, np.float32),"), cause=None),
    load(
        "Optimizer: own options kept",
        "{**group, **saved_group,",
        "{**saved_group, **group,",
        cases=("sgd-resumed",),
        culprit="SGD",
        cause="keeps its own options",
    ),
    load(
        "Optimizer: own learning rate kept",
        '"params": group["params"]}',
        '"params": group["params"], "lr": group["lr"]}',
        cause="keeps its own lr",
    ),
    load(
        "Optimizer: states by their order",
        "parameter, _ = owners[i]",
        "parameter = self._parameters()[len(self.state)]",
        cause="it raises ValueError",
    ),
    adam(
        "Adam: correction ends at step 1000", COUNT, "t = min(float(state['step']), 1000.0)", cases=("adamw-resumed",), cause=None
    ),
    adam("Adam: steps counted up to 255", COUNT, "t = float(state['step']) % 256 or 1.0", cases=("adam-resumed",), cause=None),
    adam(
        "Adam: betas of the first step",
        'beta1, beta2 = group["betas"]',
        'beta1, beta2 = vars(self).setdefault("betas", {}).setdefault(id(data), group["betas"])',
        cases=("adam-changed",),
        cause="keeps the betas of its first step",
    ),
    sgd(
        "SGD: momentum of the first step",
        "first = ",
        'momentum = vars(self).setdefault("momentums", {}).setdefault(id(data), momentum)\n        first = ',
        cases=("sgd-changed",),
        cause="keeps the momentum of its first step",
    ),
    sgd(
        "SGD: a buffer of 0 begins anew",
        '"momentum_buffer" not in state',
        '"momentum_buffer" not in state or not state["momentum_buffer"].any()',
        cases=("sgd-changed",),
        cause="lacks the term",
    ),
]
