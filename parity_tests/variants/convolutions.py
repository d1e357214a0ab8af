"""Convolutions and transposed convolutions."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from parity_tests.variants import sums
from parity_tests.variants.variant import variant

FEW = "conv2d-plain conv2d-padded conv2d-strided-remainder conv2d-dilated conv2d-groups conv2d-1x1-padded conv2d-one-channel"


def _pair(size):
    return tuple(size) if isinstance(size, tuple | list) else (size, size)


def _padded(x, padding):
    (ph, pw) = _pair(padding)
    return np.pad(x, [(0, 0), (0, 0), (ph, ph), (pw, pw)])


def _cropped(dpadded, padding):
    (ph, pw), (H, W) = _pair(padding), dpadded.shape[-2:]
    return dpadded[:, :, ph : H - ph, pw : W - pw]


def _out(padded, weight, stride, dilation):
    sizes = zip(padded.shape[-2:], weight.shape[-2:], _pair(stride), _pair(dilation), strict=True)
    return tuple((n - (k - 1) * d - 1) // s + 1 for n, k, s, d in sizes)


def _plus_bias(y, bias):
    return y if bias is None else y + bias.reshape(1, -1, 1, 1)


def _dbias(dy, bias):
    return None if bias is None else dy.sum(axis=(0, 2, 3))


def _by_groups(convolve):
    """Return a convolution in groups that calls convolve(x, weight, stride, padding, dilation) for each group."""

    def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        pairs = zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True)
        parts = [convolve(x_g, w_g, stride, padding, dilation) for x_g, w_g in pairs]
        y = np.concatenate([y_g for y_g, _ in parts], axis=1)

        def backward(dy, needs=()):
            of_groups = [b(dy_g) for (_, b), dy_g in zip(parts, np.split(dy, groups, axis=1), strict=True)]
            dx, dweight = (np.concatenate(d, axis=axis) for d, axis in zip(zip(*of_groups, strict=True), (1, 0), strict=True))
            return dx, dweight, _dbias(dy, bias)

        return _plus_bias(y, bias), backward

    return conv2d


def _dilated(weight, dilation):
    """Return the kernel with zeros between its numbers."""
    (dh, dw), (O, C, KH, KW) = _pair(dilation), weight.shape
    wide = np.zeros((O, C, (KH - 1) * dh + 1, (KW - 1) * dw + 1), weight.dtype)
    wide[:, :, ::dh, ::dw] = weight
    return wide


def _spread(dy, stride, size):
    """Return dy with zeros between its pixels, in images of this size."""
    (sh, sw), (OH, OW) = _pair(stride), dy.shape[-2:]
    wide = np.zeros((*dy.shape[:2], *size), dy.dtype)
    wide[:, :, : (OH - 1) * sh + 1 : sh, : (OW - 1) * sw + 1 : sw] = dy
    return wide


def _correlate(x, kernel, axes):
    """Return the sums of x over windows of the kernel's size; `axes` are einsum's letters of images, kernel and result."""
    seen = sliding_window_view(x, kernel.shape[-2:], axis=(-2, -1))
    return np.einsum("{}hwij,{}ij->{}hw".format(*axes), seen, kernel, optimize=True)


def _by_windows(x, weight, stride, padding, dilation):
    """Convolve windows by tensordot; dx and dweight are correlations too."""
    padded, wide, (sh, sw) = _padded(x, padding), _dilated(weight, dilation), _pair(stride)
    seen = sliding_window_view(padded, wide.shape[-2:], axis=(-2, -1))[:, :, ::sh, ::sw]
    y = np.tensordot(seen, wide, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)

    def backward(dy):
        (dh, dw), (KH, KW) = _pair(dilation), wide.shape[-2:]
        dwide = np.tensordot(dy, seen, axes=((0, 2, 3), (0, 2, 3)))
        size = padded.shape[2] - KH + 1, padded.shape[3] - KW + 1
        around = np.pad(_spread(dy, stride, size), [(0, 0), (0, 0), (KH - 1, KH - 1), (KW - 1, KW - 1)])
        dpadded = _correlate(around, wide[:, :, ::-1, ::-1], ("no", "oc", "nc"))
        return _cropped(dpadded, padding), dwide[:, :, ::dh, ::dw]

    return y, backward


@variant("ops.conv2d", also="Conv2d Conv2d-no-bias cnn vit")
def conv2d_by_windows(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """View windows, contract them, and correlate dy with the flipped kernel, group by group."""
    return _by_groups(_by_windows)(x, weight, bias, stride, padding, dilation, groups)


def _by_fft(x, weight, stride, padding, dilation):
    """Multiply Fourier transforms; the stride takes some of the pixels."""
    padded, wide, (sh, sw) = _padded(x, padding), _dilated(weight, dilation), _pair(stride)
    H, W = padded.shape[-2:]
    out = H - wide.shape[2] + 1, W - wide.shape[3] + 1
    transform = lambda a: fft.rfft2(a, s=(H, W))  # noqa: E731
    of_x, of_kernel = transform(padded), transform(wide)
    y = fft.irfft2(np.einsum("nchw,ochw->nohw", of_x, of_kernel.conj()), s=(H, W))
    y = y[:, :, : out[0] : sh, : out[1] : sw]

    def backward(dy):
        of_dy, (dh, dw) = transform(_spread(dy, stride, (H, W))), _pair(dilation)
        dpadded = fft.irfft2(np.einsum("nohw,ochw->nchw", of_dy, of_kernel), s=(H, W))
        dwide = fft.irfft2(np.einsum("nohw,nchw->ochw", of_dy.conj(), of_x), s=(H, W))
        return _cropped(dpadded, padding), dwide[:, :, : wide.shape[2] : dh, : wide.shape[3] : dw]

    return y, backward


@variant("ops.conv2d", also="Conv2d cnn cifar-resnet-a", but="*winograd-wide")
def conv2d_by_fft(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolve in the frequency domain, group by group."""
    return _by_groups(_by_fft)(x, weight, bias, stride, padding, dilation, groups)


def _by_matrix(x, weight, stride, padding, dilation):
    """Build the whole matrix of the linear map from an image to its convolution."""
    padded, (sh, sw), (dh, dw) = _padded(x, padding), _pair(stride), _pair(dilation)
    (N, C, H, W), (O, _, KH, KW), (OH, OW) = padded.shape, weight.shape, _out(padded, weight, stride, dilation)
    oh, ow, i, j = np.ix_(range(OH), range(OW), range(KH), range(KW))
    pixel = (oh * sh + i * dh) * W + ow * sw + j * dw  # (OH, OW, KH, KW)
    matrix = np.zeros((O, OH * OW, C, H * W), x.dtype)
    where = np.arange(OH * OW)[:, None], pixel.reshape(OH * OW, -1)
    matrix.transpose(1, 3, 0, 2)[where] = weight.transpose(2, 3, 0, 1).reshape(1, KH * KW, O, C)
    flat = padded.reshape(N, C * H * W)
    rows = matrix.reshape(O * OH * OW, C * H * W)

    def backward(dy):
        d = dy.reshape(N, -1)
        dmatrix = (d.T @ flat).reshape(matrix.shape).transpose(1, 3, 0, 2)[where].sum(axis=0)  # (KH KW, O, C)
        return _cropped((d @ rows).reshape(padded.shape), padding), dmatrix.reshape(KH, KW, O, C).transpose(2, 3, 0, 1)

    return (flat @ rows.T).reshape(N, O, OH, OW), backward


@variant("ops.conv2d", only=FEW, also="Conv2d-narrowing")
def conv2d_by_matrix(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Multiply by one large matrix with the kernel in every row."""
    return _by_groups(_by_matrix)(x, weight, bias, stride, padding, dilation, groups)


@variant("ops.conv2d", only=FEW + " conv2d-depthwise", also="Conv2d")
def conv2d_pixel_by_pixel(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Loop over the pixels of the output."""
    padded, (sh, sw), (dh, dw) = _padded(x, padding), _pair(stride), _pair(dilation)
    (O, C, KH, KW), (OH, OW) = weight.shape, _out(padded, weight, stride, dilation)
    y = np.zeros((len(x), O, OH, OW), x.dtype)

    def places():
        for o, h, w in np.ndindex(O, OH, OW):
            first = o // (O // groups) * C
            rows = slice(h * sh, h * sh + (KH - 1) * dh + 1, dh)
            yield o, h, w, (slice(None), slice(first, first + C), rows, slice(w * sw, w * sw + (KW - 1) * dw + 1, dw))

    for o, h, w, seen in places():
        y[:, o, h, w] = (padded[seen] * weight[o]).sum(axis=(1, 2, 3))

    def backward(dy, needs=()):
        dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
        for o, h, w, seen in places():
            d = dy[:, o, h, w, None, None, None]
            dpadded[seen] += d * weight[o]
            dweight[o] += (d * padded[seen]).sum(axis=0)
        return _cropped(dpadded, padding), dweight, _dbias(dy, bias)

    return _plus_bias(y, bias), backward


def _by_taps(x, weight, stride, padding, dilation, order=1):
    """Add one shifted product for each position of the kernel."""
    padded, (sh, sw), (dh, dw) = _padded(x, padding), _pair(stride), _pair(dilation)
    (OH, OW), (O, _, KH, KW) = _out(padded, weight, stride, dilation), weight.shape
    taps = [
        (i, j, (..., slice(i * dh, i * dh + (OH - 1) * sh + 1, sh), slice(j * dw, j * dw + (OW - 1) * sw + 1, sw)))
        for i, j in [*np.ndindex(KH, KW)][::order]
    ]
    y = np.zeros((O, len(x), OH, OW), x.dtype)
    for i, j, seen in taps:
        y += np.tensordot(weight[:, :, i, j], padded[seen], axes=(1, 1))

    def backward(dy):
        dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
        for i, j, seen in taps:
            dpadded[seen] += np.tensordot(dy, weight[:, :, i, j], axes=(1, 0)).transpose(0, 3, 1, 2)
            dweight[:, :, i, j] = np.tensordot(dy, padded[seen], axes=((0, 2, 3), (0, 2, 3)))
        return _cropped(dpadded, padding), dweight

    return y.transpose(1, 0, 2, 3), backward


@variant("ops.conv2d", also="Conv2d yolo-plain")
def conv2d_by_taps_backwards(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Add the positions of the kernel from the last to the first; the value is not contiguous."""
    return _by_groups(lambda *args: _by_taps(*args, order=-1))(x, weight, bias, stride, padding, dilation, groups)


@variant("ops.conv2d", also="Conv2d unet-even")
def conv2d_in_float64(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolve in float64 and cast back."""
    wide = [None if a is None else a.astype(np.float64) for a in (x, weight, bias)]
    y, wide_backward = _by_groups(_by_taps)(*wide, stride, padding, dilation, groups)

    def backward(dy, needs=()):
        return tuple(None if d is None else d.astype(x.dtype) for d in wide_backward(dy.astype(np.float64)))

    return y.astype(x.dtype), backward


def _product_by_product(x, weight, stride, padding, dilation):
    """Make all products of a window and a kernel, and add them one after the other."""
    padded, wide, (sh, sw), (dh, dw) = _padded(x, padding), _dilated(weight, dilation), _pair(stride), _pair(dilation)
    seen = sliding_window_view(padded, wide.shape[-2:], axis=(-2, -1))[:, :, ::sh, ::sw, ::dh, ::dw]
    terms = np.moveaxis(seen, (1, 4, 5), (0, 1, 2)).reshape(weight[0].size, len(x), 1, *seen.shape[2:4])  # (C KH KW, N, 1, OH, OW)
    y = sums.one_by_one(terms * weight.reshape(len(weight), -1).T[:, None, :, None, None])

    def backward(dy):
        dpadded, pixels = np.zeros_like(padded), np.moveaxis(dy, 1, -1).reshape(-1, len(weight))
        views = terms.reshape(len(terms), -1).T  # (N OH OW, C KH KW)
        dweight = sums.one_by_one(pixels[:, :, None] * views[:, None, :]).reshape(weight.shape)
        kernels = weight.transpose(2, 3, 0, 1)[..., None, None, None]  # (KH, KW, O, C, 1, 1, 1)
        for i, j in np.ndindex(weight.shape[2:]):
            stop = i * dh + (dy.shape[2] - 1) * sh + 1, j * dw + (dy.shape[3] - 1) * sw + 1
            tap = np.moveaxis(sums.one_by_one(np.moveaxis(dy, 1, 0)[:, None] * kernels[i, j]), 0, 1)
            dpadded[:, :, i * dh : stop[0] : sh, j * dw : stop[1] : sw] += tap
        return _cropped(dpadded, padding), dweight

    return y, backward


@variant("ops.conv2d", also="Conv2d cnn cnn-deep", but="*winograd*")
def conv2d_product_by_product(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Add all products one after the other, group by group."""
    return _by_groups(_product_by_product)(x, weight, bias, stride, padding, dilation, groups)


def _by_columns(x, weight, stride, padding, dilation):
    """Gather the columns of all windows by indices, and add their gradients with np.add.at."""
    padded, (sh, sw), (dh, dw) = _padded(x, padding), _pair(stride), _pair(dilation)
    (C, KH, KW), (OH, OW) = weight.shape[1:], _out(padded, weight, stride, dilation)
    c, i, j = (a.reshape(-1, 1) for a in np.indices((C, KH, KW)))
    oh, ow = (a.reshape(1, -1) for a in np.indices((OH, OW)))
    at = (slice(None), c, oh * sh + i * dh, ow * sw + j * dw)
    columns, rows = padded[at], weight.reshape(len(weight), -1)  # (N, C KH KW, OH OW)

    def backward(dy):
        d, dpadded = dy.reshape(*dy.shape[:2], -1), np.zeros_like(padded)
        np.add.at(dpadded, at, rows.T @ d)
        return _cropped(dpadded, padding), np.einsum("nop,nkp->ok", d, columns).reshape(weight.shape)

    return (rows @ columns).reshape(len(x), -1, OH, OW), backward


@variant("ops.conv2d", also="Conv2d resnet-10")
def conv2d_by_columns_of_indices(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Gather columns with integer indices, as in CS231n's exercises."""
    return _by_groups(_by_columns)(x, weight, bias, stride, padding, dilation, groups)


@variant("ops.conv2d", only="conv2d-1x1 conv2d-1x1-strided", also="resnet-14")
def conv2d_of_one_pixel(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Treat a kernel of one pixel as a matrix over the channels, and any other as columns."""
    if weight.shape[2:] != (1, 1) or _pair(padding) != (0, 0):
        return _by_groups(_by_columns)(x, weight, bias, stride, padding, dilation, groups)
    (sh, sw), matrix = _pair(stride), weight[:, :, 0, 0]
    seen = x[:, :, ::sh, ::sw]

    def backward(dy, needs=()):
        dx = np.zeros_like(x)
        dx[:, :, ::sh, ::sw] = np.einsum("oc,nohw->nchw", matrix, dy)
        return dx, np.einsum("nohw,nchw->oc", dy, seen)[:, :, None, None], _dbias(dy, bias)

    return _plus_bias(np.einsum("oc,nchw->nohw", matrix, seen), bias), backward


@variant("ops.conv2d", only="conv2d-padded conv2d-many-channels conv2d-narrowing", also="vgg-11")
def conv2d_by_short_filters(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Compute two columns with four products, by Winograd's F(2, 3) along each row; other kernels by taps."""
    (O, _, KH, KW), (H, W) = weight.shape, x.shape[2:]
    _, backward_of_taps = _by_groups(_by_taps)(x, weight, bias, stride, padding, dilation, groups)
    if KW != 3 or (_pair(stride), _pair(dilation), groups) != ((1, 1), (1, 1), 1):
        return _by_groups(_by_taps)(x, weight, bias, stride, padding, dilation, groups)
    (ph, pw) = _pair(padding)
    OH, OW = H + 2 * ph - KH + 1, W + 2 * pw - 2
    padded = np.pad(x, [(0, 0), (0, 0), (ph, ph), (pw, pw + OW % 2)])
    a, b, c, d = (padded[..., k : k + OW + OW % 2 - 1 : 2] for k in range(4))
    g0, g1, g2 = np.moveaxis(weight, 3, 0)
    pairs = [(a - c, g0), (b + c, (g0 + g1 + g2) / 2), (c - b, (g0 - g1 + g2) / 2), (b - d, g2)]
    y = np.zeros((len(x), O, OH, OW + OW % 2), x.dtype)
    for i in range(KH):
        m1, m2, m3, m4 = (np.einsum("oc,nchw->nohw", g[:, :, i], data[:, :, i : i + OH]) for data, g in pairs)
        y[..., 0::2] += m1 + m2 + m3
        y[..., 1::2] += m2 - m3 - m4
    return _plus_bias(y[..., :OW], bias), backward_of_taps


def _transposed(spread):
    """Return a transposed convolution; spread(x, weight, stride, dilation, shape) makes the image of one group before the crop."""

    def conv_transpose2d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        (ph, pw), (more_h, more_w) = _pair(padding), _pair(output_padding)
        sizes = zip(x.shape[2:], weight.shape[2:], _pair(stride), _pair(dilation), strict=True)
        H, W = ((n - 1) * s + (k - 1) * d + 1 for n, k, s, d in sizes)
        inside = (slice(None), slice(None), slice(ph, H - ph + more_h), slice(pw, W - pw + more_w))
        shape = (len(x), weight.shape[1], H + more_h, W + more_w)
        groups_of = [*zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True)]
        y = np.concatenate([spread(x_g, w_g, stride, dilation, shape) for x_g, w_g in groups_of], axis=1)[inside]

        def backward(dy, needs=()):
            dimage = np.zeros((len(x), dy.shape[1], H + more_h, W + more_w), dy.dtype)
            dimage[inside] = dy
            dxs, dweights = [], []
            for (x_g, w_g), d in zip(groups_of, np.split(dimage[:, :, :H, :W], groups, axis=1), strict=True):
                dx, through = _by_taps(d, w_g, stride, 0, dilation)
                dxs.append(dx)
                dweights.append(through(x_g)[1])
            return np.concatenate(dxs, axis=1), np.concatenate(dweights), _dbias(dy, bias)

        return _plus_bias(y, bias), backward

    return conv_transpose2d


def _pixel_by_pixel(x, weight, stride, dilation, shape):
    (sh, sw), (dh, dw), (KH, KW) = _pair(stride), _pair(dilation), weight.shape[2:]
    image = np.zeros(shape, x.dtype)
    for h, w in np.ndindex(x.shape[2:]):
        stamp = np.einsum("nc,coij->noij", x[:, :, h, w], weight)
        image[:, :, h * sh : h * sh + (KH - 1) * dh + 1 : dh, w * sw : w * sw + (KW - 1) * dw + 1 : dw] += stamp
    return image


@variant("ops.conv_transpose2d", also="ConvTranspose2d unet")
def conv_transpose2d_by_stamps(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Add the kernel, times one pixel, at the place of each pixel."""
    return _transposed(_pixel_by_pixel)(x, weight, bias, stride, padding, output_padding, groups, dilation)


def _with_zeros_between(x, weight, stride, dilation, shape):
    wide = _dilated(weight, dilation)
    KH, KW = wide.shape[2:]
    inner = _spread(x, stride, (shape[2] - KH + 1, shape[3] - KW + 1))
    around = np.pad(inner, [(0, 0), (0, 0), (KH - 1, KH - 1), (KW - 1, KW - 1)])
    return _correlate(around, wide[:, :, ::-1, ::-1], ("nc", "co", "no"))


@variant("ops.conv_transpose2d", also="ConvTranspose2d-no-bias")
def conv_transpose2d_with_zeros_between(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Put zeros between the pixels, and convolve with the flipped kernel (Dumoulin & Visin 2016, figure 4.5)."""
    return _transposed(_with_zeros_between)(x, weight, bias, stride, padding, output_padding, groups, dilation)


def _in_frequencies(x, weight, stride, dilation, shape):
    size = shape[2:]
    of_x, of_kernel = (fft.rfft2(a, s=size) for a in (_spread(x, stride, size), _dilated(weight, dilation)))
    return fft.irfft2(np.einsum("nchw,cohw->nohw", of_x, of_kernel), s=size)


@variant("ops.conv_transpose2d", also="ConvTranspose2d unet-even")
def conv_transpose2d_by_fft(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Multiply Fourier transforms of the pixels with zeros between and of the kernel."""
    return _transposed(_in_frequencies)(x, weight, bias, stride, padding, output_padding, groups, dilation)
