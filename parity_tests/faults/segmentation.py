"""Faults of transposed convolution, resizing, group and frozen batch normalisation, the Dice loss and the U-Net."""

from functools import partial

from parity_tests.faults.fault import Fault

transposed = partial(
    Fault,
    function="ops.conv_transpose.conv_transpose2d",
    cases=("conv_transpose2d-output-padding", "ConvTranspose2d", "unet"),
    culprit="conv_transpose2d|ConvTranspose2d",
)
transposed_groups = partial(transposed, cases=("conv_transpose2d-groups", "ConvTranspose2d"))
spread = partial(transposed_groups, function="fast.im2col.input_gradient")
transposed_layer = partial(
    Fault, function="layers.conv.ConvTranspose2d.forward", cases=("ConvTranspose2d",), culprit="ConvTranspose2d"
)
resized = partial(
    Fault,
    function="ops.interpolate.interpolate",
    cases=("interpolate-bilinear-enlarging", "Upsample-bilinear"),
    culprit="interpolate|Upsample",
)
bilinear = partial(
    resized,
    function="ops.interpolate._bilinear",
    cases=("interpolate-bilinear-enlarging", "interpolate-bilinear-doubling", "Upsample-bilinear"),
)
nearest = partial(resized, function="ops.interpolate._nearest", cases=("interpolate-nearest-enlarging",))
geometry = partial(resized, function="ops.interpolate._geometry")
upsample = partial(Fault, function="layers.upsample.Upsample.forward", culprit="Upsample")
group_norm = partial(
    Fault, function="ops.group_norm.group_norm", cases=("group_norm-images", "GroupNorm"), culprit="group_norm|GroupNorm"
)
frozen = partial(
    Fault,
    function="ops.norm.frozen_batch_norm",
    cases=("frozen_batch_norm-images", "FrozenBatchNorm2d"),
    culprit="frozen_batch_norm|FrozenBatchNorm2d",
)
frozen_layer = partial(
    Fault,
    function="layers.norm.FrozenBatchNorm2d.forward",
    cases=("FrozenBatchNorm2d", "FrozenBatchNorm2d-eval"),
    culprit="FrozenBatchNorm2d",
)
dice = partial(
    Fault, function="ops.dice_loss.dice_loss", cases=("dice_loss-labels", "dice_loss-shares", "dice_loss-rows"), culprit="dice_loss"
)
unet = partial(Fault, function="models.unet.UNet.forward", cases=("unet", "unet-deep", "unet-bilinear"), culprit="UNet")
up = partial(Fault, function="models.unet.Up.forward", cases=("unet-bilinear",), culprit="Up")
joined = partial(Fault, function="models.unet.join", cases=("unet", "unet-deep", "unet-bilinear"), culprit="Up")

WINDOW = "win, size = _window(x, weight.shape[2:], stride, padding, output_padding, dilation)"
VAR = 'group_means(np.einsum("ncp,ncp->nc", block, block)) - left * left'
GROUP_SUMS = "sums.reshape(len(sums), G, C // G).sum(axis=2, keepdims=True) / count, C // G, axis=1"
SCALE = "weight / np.sqrt(running_var + eps)"

TRANSPOSED = [
    transposed(
        "conv_transpose2d: kernel flipped",
        WINDOW,
        f"weight = weight[:, :, ::-1, ::-1]; {WINDOW}",
        "forward",
        "flips the kernel",
    ),
    transposed(
        "conv_transpose2d: kernel's axes swapped",
        WINDOW,
        f"weight = weight.swapaxes(2, 3); {WINDOW}",
        "forward",
        "swaps the kernel's height and width",
        cases=("conv_transpose2d-padded", "conv_transpose2d-depthwise", "unet"),
    ),
    transposed(
        "conv_transpose2d: stride and padding in each other's place",
        WINDOW,
        WINDOW.replace("stride, padding", "padding, stride"),
        "forward",
        "swaps stride and padding",
        cases=("conv_transpose2d-strided",),
    ),
    transposed(
        "conv_transpose2d: stride swapped",
        WINDOW,
        WINDOW.replace("stride,", "stride[::-1],"),
        "forward",
        "swaps the height and the width of stride",
        cases=("conv_transpose2d-strided", "conv_transpose2d-gaps"),
    ),
    transposed(
        "conv_transpose2d: output_padding ignored",
        WINDOW,
        WINDOW.replace("output_padding", "0"),
        "forward",
        "ignores output_padding",
        cases=("conv_transpose2d-output-padding", "conv_transpose2d-depthwise", "ConvTranspose2d"),
    ),
    transposed(
        "conv_transpose2d: zeros where output_padding makes room",
        "y += bias[:, None, None]",
        "y += bias[:, None, None]; y[:, :, -1:] = 0; y[..., -2:] = 0",
        "forward",
        "leaves zeros in the rows and columns that output_padding adds",
        cases=("conv_transpose2d-output-padding",),
    ),
    transposed(
        "conv_transpose2d: padding ignored",
        WINDOW,
        WINDOW.replace(" padding", " 0"),
        "forward",
        "ignores padding",
        cases=("conv_transpose2d-padded", "conv_transpose2d-strided", "ConvTranspose2d"),
    ),
    transposed(
        "conv_transpose2d: dilation ignored",
        WINDOW,
        WINDOW.replace("dilation)", "1)"),
        "forward",
        "ignores dilation",
        cases=("conv_transpose2d-dilated", "conv_transpose2d-groups", "ConvTranspose2d"),
    ),
    transposed(
        "conv_transpose2d: bias left out",
        "if bias is not None:",
        "if False:",
        "forward",
        "leaves bias out",
    ),
    transposed_groups(
        "conv_transpose2d: groups take every n-th channel",
        WINDOW,
        f"x = x.reshape(N, C // groups, groups, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape); {WINDOW}",
        "forward",
        "every n-th input channel",
    ),
    transposed_groups(
        "conv_transpose2d: groups in reverse",
        WINDOW,
        f"x = x.reshape(N, groups, C // groups, *x.shape[2:])[:, ::-1].reshape(x.shape); {WINDOW}",
        "forward",
        "in reverse",
    ),
    spread(
        "conv_transpose2d: output channels of groups interleaved",
        ".swapaxes(0, 1).reshape(-1, *win.out, C)",
        ".transpose(1, 2, 0).reshape(-1, *win.out, C)",
        "forward",
        "interleaves the output channels of the groups",
    ),
    transposed_groups(
        "conv_transpose2d: bias of groups interleaved",
        "y += bias[:, None, None]",
        "y += bias.reshape(groups, -1).T.reshape(-1)[:, None, None]",
        "forward",
        "interleaves the bias",
    ),
    spread(
        "conv_transpose2d: overwritten where windows overlap",
        "dtap += seen",
        "dtap[...] = seen",
        "forward",
        None,
        cases=("conv_transpose2d-padded", "conv_transpose2d-strided"),
    ),
    transposed(
        "conv_transpose2d: gradient of x through the flipped kernel",
        "convolve(dy, weight,",
        "convolve(dy, weight[:, :, ::-1, ::-1],",
        "backward",
        "wrong way round",
        cases=("conv_transpose2d-output-padding", "ConvTranspose2d"),
    ),
    transposed(
        "conv_transpose2d: gradient of the weight flipped",
        "return dx, dweight,",
        "return dx, dweight[:, :, ::-1, ::-1],",
        "backward",
        "reversed along both of the last axes|gradient of the weight is flipped",
    ),
    transposed(
        "conv_transpose2d: gradient of the weight averaged over the batch",
        "return dx, dweight,",
        "return dx, dweight / N,",
        "backward",
        "factor 3",
    ),
    transposed(
        "conv_transpose2d: gradient of the bias not summed over the batch",
        "channel_sums(dy)",
        "dy.sum(axis=(2, 3))",
        "backward",
        "not summed over the broadcast axis 0",
        cases=("conv_transpose2d-output-padding",),
    ),
    transposed_layer(
        "ConvTranspose2d: output_padding not passed on", ", output_padding=self.output_padding", "", "forward", "output_padding"
    ),
    transposed_layer("ConvTranspose2d: dilation not passed on", ", dilation=self.dilation", "", "forward", "ignores dilation"),
    transposed_layer(
        "ConvTranspose2d: bias not passed on", "self.weight, self.bias,", "self.weight, None,", "forward", "leaves bias out"
    ),
    transposed_layer(
        "ConvTranspose2d: backward kept on the layer",
        "return apply(conv_transpose2d, x, self.weight, self.bias, **options, groups=self.groups, dilation=self.dilation)",
        "y, self.kept = apply(conv_transpose2d, x, self.weight, self.bias, **options, groups=self.groups, dilation=self.dilation); "
        "return y, lambda dy: self.kept(dy)",
        "backward",
        "later call",
        cases=("ConvTranspose2d", "unet"),
    ),
]

RESIZED = [
    resized(
        "interpolate: align_corners turned round",
        "bool(align_corners)",
        "not align_corners",
        "forward",
        "uses align_corners = (True|False) instead of",
        cases=("interpolate-bilinear-enlarging", "interpolate-bilinear-corners-shrinking", "Upsample-corners", "Upsample-bilinear"),
    ),
    resized(
        "interpolate: nearest for bilinear",
        'if mode == "nearest" else',
        "if not align_corners else",
        "forward",
        "ignores mode = 'bilinear'",
        cases=("Upsample-bilinear",),
    ),
    bilinear(
        "interpolate: corners of the pixels, not their middles",
        "(np.arange(after) + 0.5) * step - 0.5",
        "np.arange(after) * step",
        "forward",
        r"is misaligned: uses i \* step",
    ),
    bilinear(
        "interpolate: half a pixel late",
        "(np.arange(after) + 0.5) * step - 0.5",
        "(np.arange(after) + 0.5) * step",
        "forward",
        "is misaligned by half a pixel",
    ),
    bilinear(
        "interpolate: extrapolated before the first pixel",
        "np.maximum((np.arange(after) + 0.5) * step - 0.5, 0)",
        "(np.arange(after) + 0.5) * step - 0.5",
        "forward",
        "extrapolates beyond the centre of the first pixel",
    ),
    bilinear(
        "interpolate: the last pixel's neighbour is the first",
        "np.minimum(low + 1, before - 1)",
        "(low + 1) % before",
        "forward",
        "uses the first pixel as the neighbour of the last",
    ),
    bilinear(
        "interpolate: shares swapped",
        "(1 - share, share)",
        "(share, 1 - share)",
        "forward",
        "swaps the shares of two neighbouring pixels",
    ),
    bilinear(
        "interpolate: intervals between corners miscounted",
        "max(after - 1, 1)",
        "after",
        "forward",
        "there are OH - 1 intervals",
        cases=("interpolate-bilinear-corners-enlarging", "interpolate-bilinear-corners-shrinking", "Upsample-corners"),
    ),
    nearest("interpolate: nearest rounded", "at.astype(int)", "np.rint(at).astype(int)", "forward", "rounds i"),
    nearest(
        "interpolate: nearest to the middle of the pixel",
        "np.arange(after, dtype=np.float32) * np.float32(step)",
        "(np.arange(after) + 0.5) * step",
        "forward",
        "nearest-exact",
        cases=("interpolate-nearest-enlarging", "interpolate-nearest-shrinking"),
    ),
    nearest(
        "interpolate: nearest not rounded to float32",
        "np.arange(after, dtype=np.float32) * np.float32(step)",
        "np.arange(after) * before // after",
        "forward",
        r"computes i \* step exactly",
        cases=("interpolate-nearest-rounded",),
    ),
    geometry(
        "interpolate: steps of the sizes, not of scale_factor",
        "1 / f",
        "n / m",
        "forward",
        "uses the ratio of the sizes as the step",
        cases=("interpolate-bilinear-factors", "Upsample-bilinear"),
    ),
    geometry(
        "interpolate: an axis that keeps its length scaled",
        "1.0 if n == m else 1 / f",
        "1 / f",
        "forward",
        "takes steps of 1 / scale_factor along an axis whose length does not change",
        cases=("interpolate-bilinear-as-it-is",),
    ),
    geometry(
        "interpolate: size swapped",
        '"size", size, 1)',
        '"size", size[::-1], 1)',
        "forward",
        "swaps the height and the width of size",
        cases=("interpolate-bilinear-enlarging", "interpolate-nearest-shrinking", "Upsample-corners"),
    ),
    geometry(
        "interpolate: scale_factor swapped",
        "tuple(scale_factor) if",
        "tuple(scale_factor)[::-1] if",
        "forward",
        "swaps the height and the width of scale_factor",
        cases=("interpolate-nearest-factors", "interpolate-bilinear-factors", "Upsample-bilinear"),
    ),
    resized(
        "interpolate: gradient divided among the pixels that show one",
        "_mixed(dy, shares.T, before)",
        "_mixed(dy, shares.T, before) * (math.prod(before) / math.prod(after))",
        "backward",
        "takes the mean of the gradients of the pixels that show one pixel",
    ),
    resized(
        "interpolate: gradient of every other row alone",
        "_mixed(dy, shares.T, before)",
        "_mixed(dy * (np.arange(after[0]) % 2 == 0)[:, None], shares.T, before)",
        "backward",
        None,
    ),
    upsample(
        "Upsample: align_corners not passed on",
        ", self.align_corners",
        "",
        "forward",
        "align_corners",
        cases=("Upsample-corners",),
    ),
    upsample(
        "Upsample: mode not passed on",
        "self.mode, self.align_corners",
        '"nearest"',
        "forward",
        "ignores mode",
        cases=("Upsample-bilinear",),
    ),
]

GROUPED = [
    group_norm(
        "group_norm: every n-th channel in a group",
        f"np.repeat({GROUP_SUMS})",
        "np.tile(sums.reshape(-1, C // G, G).sum(axis=1)[:, :, None] / count, (1, C // G, 1))",
        "forward",
        "every n-th channel",
    ),
    group_norm(
        "group_norm: one group",
        "G = x.shape[:2], num_groups",
        "G = x.shape[:2], 1",
        "forward",
        "normalises all channels together, as one group",
    ),
    group_norm(
        "group_norm: each channel alone",
        "G = x.shape[:2], num_groups",
        "G = x.shape[:2], x.shape[1]",
        "forward",
        "instance normalisation",
    ),
    group_norm(
        "group_norm: num_groups channels in a group",
        "G = x.shape[:2], num_groups",
        "G = x.shape[:2], x.shape[1] // num_groups",
        "forward",
        "uses num_groups as the number of channels in a group",
    ),
    group_norm(
        "group_norm: statistics of the batch",
        GROUP_SUMS,
        "sums.reshape(len(sums), G, C // G).sum(axis=(0, 2), keepdims=True) / (count * N), C // G, axis=1",
        "forward",
        "normalises over the batch as well",
    ),
    group_norm("group_norm: unbiased variance", VAR, f"({VAR}) * count / (count - 1)", "forward", "uses the unbiased variance"),
    group_norm("group_norm: eps outside the root", "np.sqrt(var + eps)", "(np.sqrt(var) + eps)", "forward", "adds eps to the root"),
    group_norm("group_norm: eps squared", "np.sqrt(var + eps)", "np.sqrt(var + eps**2)", "forward", "eps²"),
    group_norm("group_norm: no eps", "np.sqrt(var + eps)", "np.sqrt(var)", "forward", "leaves eps out"),
    group_norm("group_norm: eps of another library", "np.sqrt(var + eps)", "np.sqrt(var + 1e-6)", "forward", "uses eps = 1e-06"),
    group_norm("group_norm: root forgotten", "np.sqrt(var + eps)", "(var + eps)", "forward", "does not take the root"),
    group_norm(
        "group_norm: one-pass variance",
        VAR,
        'group_means(np.einsum("ncp,ncp->nc", pixels[part], pixels[part])) - mean[part] * mean[part]',
        "forward",
        "float64 agrees",
        dtype="float32",
    ),
    group_norm(
        "group_norm: gamma left out",
        "inv_std[part] if scale is None else inv_std[part] * scale\n        block *=",
        "inv_std[part]\n        block *=",
        "forward",
        "leaves weight out",
    ),
    group_norm("group_norm: beta left out", "if shift is None else shift - left * factor", "", "forward", "leaves bias out"),
    group_norm(
        "group_norm: mean constant in the backward",
        "block -= through_mean",
        "pass",
        "backward",
        "treats the mean of a group as a constant in the backward pass",
    ),
    group_norm(
        "group_norm: variance constant in the backward",
        "block -= centred",
        "pass",
        "backward",
        "treats the variance of a group as a constant in the backward pass",
    ),
    group_norm(
        "group_norm: statistics constant in the backward",
        "block -= centred\n            block -= through_mean",
        "pass",
        "backward",
        "treats the mean and the variance of a group as constants in the backward pass",
    ),
    group_norm(
        "group_norm: the variance's part added in the backward",
        "block -= centred",
        "block += centred",
        "backward",
        "through the root; it is subtracted",
    ),
    group_norm(
        "group_norm: gamma left out of the gradient of x",
        "np.multiply(dy_pixels[part], inv_std[part] if scale is None else inv_std[part] * scale, out=block)",
        "np.multiply(dy_pixels[part], inv_std[part], out=block); "
        "through_var, through_mean = (group_means(sums) * inv_std[part] for sums in (dscale, dshift))",
        "backward",
        "leaves weight out of the gradient of x",
    ),
    group_norm(
        "group_norm: gradient of gamma not normalised",
        "dy_pixels[part], centred)[:, :, None] * inv_std[part]",
        "dy_pixels[part], centred)[:, :, None] * inv_std[part] ** 0",
        "backward",
        None,
    ),
    group_norm(
        "group_norm: gradient of beta averaged over the batch", "dshift.sum(axis=0)", "dshift.mean(axis=0)", "backward", "factor 3"
    ),
    Fault(
        "GroupNorm: eps not passed on",
        ", eps=self.eps",
        "",
        "forward",
        "eps",
        "layers.norm.GroupNorm.forward",
        ("GroupNorm",),
        "GroupNorm",
    ),
]

FROZEN = [
    frozen(
        "frozen_batch_norm: eps outside the root",
        "np.sqrt(running_var + eps)",
        "(np.sqrt(running_var) + eps)",
        "forward",
        "belongs under the root",
    ),
    frozen("frozen_batch_norm: no eps", "np.sqrt(running_var + eps)", "np.sqrt(running_var)", "forward", "leaves eps out"),
    frozen(
        "frozen_batch_norm: root forgotten",
        SCALE,
        "weight / (running_var + eps)",
        "forward",
        "divides by the variance instead of its root",
    ),
    frozen(
        "frozen_batch_norm: mean not subtracted",
        "(scale, bias - running_mean * scale)",
        "(scale, bias)",
        "forward",
        "does not subtract the mean",
    ),
    frozen("frozen_batch_norm: gamma left out", SCALE, "1 / np.sqrt(running_var + eps)", "forward", "leaves weight out"),
    frozen(
        "frozen_batch_norm: beta left out",
        "(scale, bias - running_mean * scale)",
        "(scale, -running_mean * scale)",
        "forward",
        "leaves bias out",
    ),
    frozen(
        "frozen_batch_norm: statistics of the batch",
        "    scale = weight",
        "    axes = (0, *range(2, x.ndim)); running_mean, running_var = x.mean(axis=axes), x.var(axis=axes)\n    scale = weight",
        "forward",
        "training = True|with the batch's statistics in eval mode",
    ),
    frozen(
        "frozen_batch_norm: gradient not scaled",
        "np.multiply(dy, factor, out=dx)",
        "np.copyto(dx, dy)",
        "backward",
        "constant along axis",
    ),
    frozen_layer(
        "FrozenBatchNorm2d: statistics updated",
        "return y,",
        "self.running_mean.data = 0.9 * mean + 0.1 * x.mean(axis=(0, 2, 3)); "
        "self.running_var.data = 0.9 * var + 0.1 * x.var(axis=(0, 2, 3), ddof=1); return y,",
        "forward",
        "updates the running statistics in eval mode",
    ),
    frozen_layer("FrozenBatchNorm2d: eps not passed on", ", self.eps)", ")", "forward", "eps"),
]

DICE = [
    dice(
        "dice_loss: the coefficient, not the loss",
        "(1 - overlap / total).mean()",
        "(overlap / total).mean()",
        "forward",
        "leaves out the 1 - in front of the term",
    ),
    dice(
        "dice_loss: summed over the classes",
        "(1 - overlap / total).mean()",
        "1 - (overlap / total).sum()",
        "forward",
        "takes the sum instead of the mean",
    ),
    dice("dice_loss: overlap not doubled", "2 * (p * t).sum(", "(p * t).sum(", "forward", None),
    dice(
        "dice_loss: shares not squared",
        "total = (p * p).sum(axis=pixels) + (t * t).sum(axis=pixels)",
        "total = p.sum(axis=pixels) + t.sum(axis=pixels)",
        "forward",
        "does not square",
    ),
    dice(
        "dice_loss: each sample alone",
        "tuple(range(p.ndim - 1))",
        "tuple(range(1, p.ndim - 1))",
        "forward",
        "sums over each sample",
        cases=("dice_loss-labels", "dice_loss-shares"),
    ),
    dice(
        "dice_loss: smooth left out of the overlap",
        ".sum(axis=pixels) + smooth\n    total",
        ".sum(axis=pixels)\n    total",
        "forward",
        None,
    ),
    dice(
        "dice_loss: gradient of the overlap alone",
        "dinput = by_overlap * t + by_total * p",
        "dinput = by_overlap * t",
        "backward",
        "treats the divisors as constants in the backward pass",
        cases=("dice_loss-labels", "dice_loss-rows"),
    ),
    dice(
        "dice_loss: gradient of the total with the wrong sign",
        "by_total = -by_overlap",
        "by_total = by_overlap",
        "backward",
        "lacks the term (input|target) x",
    ),
    dice("dice_loss: gradient halved", "-2 * dy", "-dy", "backward", "factor 2"),
    dice(
        "dice_loss: gradient not averaged over the classes",
        "(total * len(total))",
        "total",
        "backward",
        "takes the sum instead of the mean",
    ),
    dice(
        "dice_loss: no gradient for shares",
        "None if by_labels else",
        "None if True else",
        "backward",
        "missing",
        cases=("dice_loss-shares", "dice_loss-as-in-the-paper"),
    ),
    Fault(
        "dice_loss: classes counted from 1",
        "np.arange(C)",
        "np.arange(1, C + 1)",
        "forward",
        None,
        "ops.dice_loss._one_hot",
        ("dice_loss-labels", "dice_loss-rows"),
        "dice_loss",
    ),
]

UNET = [
    joined(
        "UNet: the skip behind what comes from below",
        "y[:, :K], y[:, K:, :h, :w] = skip, x",
        "y[:, C:], y[:, :C, :h, :w] = skip, x",
        "forward",
        "joins the tensors in reverse order",
    ),
    joined(
        "UNet: gradients of the skip and of what comes from below in each other's place",
        "(dy[:, :K], dy[:, K:, :h, :w])",
        "(dy[:, K:], dy[:, :K, :h, :w])",
        "backward",
        None,
    ),
    joined(
        "UNet: zeros before what is smaller, not after it",
        "y[:, K:, :h, :w] =",
        "y[:, K:, H - h :, W - w :] =",
        "forward",
        "swaps the padding before and after",
        cases=("unet", "unet-deep"),
    ),
    joined(
        "UNet: the edge repeated where what comes from below is smaller",
        "skip, x\n",
        "skip, x; y[:, K:] = np.pad(x, ((0, 0), (0, 0), (0, H - h), (0, W - w)), 'edge')\n",
        "forward",
        "repeats the values at the edge",
        cases=("unet", "unet-deep"),
    ),
    joined("UNet: no gradient for the skip", "(dy[:, :K],", "(0 * dy[:, :K],", "backward", "zero everywhere"),
    unet(
        "UNet: gradient of the skips dropped",
        "down(dx) + dskips.pop()",
        "down(dx)",
        "backward",
        "loses the gradient of the argument skip of every module in decoder",
    ),
    unet(
        "UNet: gradient through the skips alone",
        "down(dx) + dskips.pop()",
        "0 * down(dx) + dskips.pop()",
        "backward",
        None,
    ),
    unet(
        "UNet: gradient of the skips twice",
        "down(dx) + dskips.pop()",
        "down(dx) + 2 * dskips.pop()",
        "backward",
        None,
    ),
    up(
        "UNet: corners aligned",
        'mode="bilinear"',
        'mode="bilinear", align_corners=True',
        "forward",
        "uses align_corners = True",
    ),
    up("UNet: nearest for bilinear", 'mode="bilinear"', 'mode="nearest"', "forward", "ignores mode"),
    up(
        "UNet: enlarged twofold and padded, not to the size of the skip",
        "interpolate(x, skip.shape[2:], mode",
        "interpolate(x, (2 * x.shape[2], 2 * x.shape[3]), mode",
        "forward",
        None,
    ),
    up(
        "UNet: no gradient through what comes from below",
        "return up(enlarge(dx)",
        "return 0 * up(enlarge(dx)",
        "backward",
        "loses the gradient of the argument input of up",
    ),
]

FAULTS = [*TRANSPOSED, *RESIZED, *GROUPED, *FROZEN, *DICE, *UNET]
