"""Linear maps, embeddings, dropout and flattening."""

import numpy as np
from scipy import sparse

from parity_tests.variants import sums
from parity_tests.variants.variant import variant

SMALL = "Linear Linear-no-bias mlp"


def _linear_by_sums(add):
    """Return a linear map whose sums over features and rows are made by `add`."""

    def linear(x, weight, bias=None):
        rows = x.reshape(-1, x.shape[-1])
        y = add(rows.T[:, :, None] * weight.T[:, None, :])  # (in, rows, out), summed over in
        y = y if bias is None else y + bias

        def backward(dy, needs=()):
            d = dy.reshape(-1, len(weight))
            dx = add(d.T[:, :, None] * weight[:, None, :]).reshape(x.shape)
            return dx, add(d[:, :, None] * rows[:, None, :]), None if bias is None else add(d)

        return y.reshape(*x.shape[:-1], len(weight)), backward

    return linear


@variant("ops.linear", also=SMALL)
def linear_pairwise(x, weight, bias=None):
    """Add the products in pairs."""
    return _linear_by_sums(sums.pairwise)(x, weight, bias)


@variant("ops.linear", also=SMALL)
def linear_compensated(x, weight, bias=None):
    """Add the products by Kahan's method."""
    return _linear_by_sums(sums.compensated)(x, weight, bias)


@variant("ops.linear", also=SMALL)
def linear_backwards(x, weight, bias=None):
    """Add the products from the last to the first."""
    return _linear_by_sums(sums.backwards)(x, weight, bias)


@variant("ops.linear", also=SMALL)
def linear_in_blocks(x, weight, bias=None):
    """Add the products in blocks."""
    return _linear_by_sums(sums.in_blocks)(x, weight, bias)


@variant("ops.linear", also=f"{SMALL} sentiment-deep")
def linear_one_by_one(x, weight, bias=None):
    """Add the products one after the other."""
    return _linear_by_sums(sums.one_by_one)(x, weight, bias)


@variant("ops.linear", also="Linear MultiheadAttention-causal gpt-one-layer")
def linear_by_einsum(x, weight, bias=None):
    """Use einsum, with the leading axes as they are."""
    y = np.einsum("...i,oi->...o", x, weight)

    def backward(dy, needs=()):
        batch = tuple(range(x.ndim - 1))
        dweight = np.einsum("no,ni->oi", dy.reshape(-1, len(weight)), x.reshape(-1, x.shape[-1]))
        return np.einsum("...o,oi->...i", dy, weight), dweight, None if bias is None else dy.sum(axis=batch)

    return y if bias is None else y + bias, backward


@variant("ops.linear", also="Linear vit-mean")
def linear_by_tensordot(x, weight, bias=None):
    """Contract axes; start from the bias."""
    y = np.tensordot(x, weight, axes=(-1, -1))
    batch = tuple(range(x.ndim - 1))

    def backward(dy, needs=()):
        dbias = None if bias is None else np.add.reduce(dy.reshape(-1, len(weight)), axis=0)
        return np.tensordot(dy, weight, axes=1), np.tensordot(dy, x, axes=(batch, batch)), dbias

    return y if bias is None else bias + y, backward


@variant("ops.linear", also="Linear Linear-no-bias char-lm-rnn")
def linear_with_a_column_of_ones(x, weight, bias=None):
    """Make the bias one more column of the weight, and 1 one more feature."""
    rows = np.concatenate([x.reshape(-1, x.shape[-1]), np.ones((x[..., 0].size, 1), x.dtype)], axis=1)
    wide = np.column_stack([weight, np.zeros(len(weight), x.dtype) if bias is None else bias])

    def backward(dy, needs=()):
        d = dy.reshape(-1, len(weight))
        dwide = d.T @ rows
        dx = (d @ wide)[:, :-1].reshape(x.shape).copy()
        return dx, dwide[:, :-1].copy(), None if bias is None else dwide[:, -1].copy()

    return (rows @ wide.T).reshape(*x.shape[:-1], len(weight)), backward


@variant("ops.linear", also="Linear")
def linear_in_fortran_order(x, weight, bias=None):
    """Compute transposed products, so that no result is in C order."""
    rows = x.reshape(-1, x.shape[-1])
    y = np.asfortranarray((weight @ rows.T).T)
    y = y if bias is None else y + bias

    def backward(dy, needs=()):
        d = np.asfortranarray(dy.reshape(-1, len(weight)))
        dx = (weight.T @ d.T).T.reshape(x.shape)
        return dx, np.asfortranarray((rows.T @ d).T), None if bias is None else np.ones(len(d), d.dtype) @ d

    return y.reshape(*x.shape[:-1], len(weight)), backward


@variant("ops.linear", also="Linear mlp-deep")
def linear_in_float64(x, weight, bias=None):
    """Multiply in float64 and cast back."""
    rows, w = x.reshape(-1, x.shape[-1]).astype(np.float64), weight.astype(np.float64)
    y = rows @ w.T + (0 if bias is None else bias)

    def backward(dy, needs=()):
        d = dy.reshape(-1, len(w)).astype(np.float64)
        dx, dweight, dbias = (d @ w).reshape(x.shape), d.T @ rows, d.sum(axis=0)
        return dx.astype(x.dtype), dweight.astype(x.dtype), None if bias is None else dbias.astype(x.dtype)

    return y.reshape(*x.shape[:-1], len(w)).astype(x.dtype), backward


@variant("ops.linear", also="Linear FeedForward")
def linear_row_by_row(x, weight, bias=None):
    """Loop over the rows, and add their outer products to the gradient of the weight."""
    rows = x.reshape(-1, x.shape[-1])
    y = np.array([[row @ w for w in weight] for row in rows], x.dtype)
    y = y if bias is None else y + bias[None]

    def backward(dy, needs=()):
        d, dweight = dy.reshape(-1, len(weight)), np.zeros_like(weight)
        for row, d_row in zip(rows, d, strict=True):
            dweight += np.outer(d_row, row)
        return np.stack([d_row @ weight for d_row in d]).reshape(x.shape), dweight, None if bias is None else sum(d, 0 * bias)

    return y.reshape(*x.shape[:-1], len(weight)), backward


def _embedding(scatter):
    """Return an embedding whose gradient is made by scatter(dweight, numbers, rows of dy)."""

    def embedding(input, weight, padding_idx=None):
        def backward(dy):
            dweight = np.zeros_like(weight)
            scatter(dweight, input.ravel(), dy.reshape(-1, weight.shape[1]))
            if padding_idx is not None:
                dweight[padding_idx] = 0
            return None, dweight

        return np.take(weight, input, axis=0), backward

    return embedding


@variant("ops.embedding", also="Embedding Embedding-padding char-lm-gru")
def embedding_by_add_at(input, weight, padding_idx=None):
    """Use np.add.at."""
    return _embedding(np.add.at)(input, weight, padding_idx)


@variant("ops.embedding", also="Embedding RelativePositionBias")
def embedding_by_one_hot(input, weight, padding_idx=None):
    """Multiply by one-hot rows, forward and backward."""
    hot = (input.reshape(-1, 1) == np.arange(len(weight))).astype(weight.dtype)

    def backward(dy):
        seen = hot.copy()
        if padding_idx is not None:
            seen[:, padding_idx] = 0
        return None, seen.T @ dy.reshape(-1, weight.shape[1])

    return (hot @ weight).reshape(*input.shape, -1), backward


@variant("ops.embedding", also="Embedding-padding names")
def embedding_by_bincount(input, weight, padding_idx=None):
    """Count each column with weights, which NumPy does in float64."""

    def scatter(dweight, numbers, rows):
        for column, values in enumerate(rows.T):
            dweight[:, column] = np.bincount(numbers, values, minlength=len(dweight))

    return _embedding(scatter)(input, weight, padding_idx)


@variant("ops.embedding", also="Embedding LearnedPositions-given")
def embedding_in_a_loop(input, weight, padding_idx=None):
    """Add row after row, from the last to the first."""

    def scatter(dweight, numbers, rows):
        for number, row in zip(reversed(numbers), reversed(rows), strict=True):
            dweight[number] += row

    return _embedding(scatter)(input, weight, padding_idx)


@variant("ops.embedding", also="Embedding sentiment")
def embedding_by_sorted_runs(input, weight, padding_idx=None):
    """Sort the rows and add up the runs of one number with reduceat."""

    def scatter(dweight, numbers, rows):
        order = np.argsort(numbers, kind="stable")
        there, starts = np.unique(numbers[order], return_index=True)
        dweight[there] = np.add.reduceat(rows[order], starts, axis=0)

    return _embedding(scatter)(input, weight, padding_idx)


@variant("ops.embedding", also="Embedding")
def embedding_by_sparse_matrix(input, weight, padding_idx=None):
    """Build a sparse matrix of ones, whose product adds the rows."""

    def scatter(dweight, numbers, rows):
        ones = np.ones(len(numbers), rows.dtype)
        dweight[...] = sparse.coo_array((ones, (numbers, np.arange(len(numbers)))), (len(dweight), len(numbers))) @ rows

    return _embedding(scatter)(input, weight, padding_idx)


@variant("ops.dropout", also="Dropout Dropout-all gpt-dropout")
def dropout_by_where(x, keep, p):
    """Divide by 1 - p, and choose."""
    left = x.dtype.type(1 - p) if p < 1 else x.dtype.type(np.inf)
    return np.where(keep, x / left, 0).astype(x.dtype), lambda dy: (np.where(keep, dy / left, 0).astype(dy.dtype), None)


@variant("ops.dropout", also="Dropout Dropout-all mlp-dropout-batch-norm")
def dropout_by_places(x, keep, p):
    """Write only the places that stay."""
    factor = 0 if p == 1 else 1 / (1 - p)

    def scaled(x):
        y = np.zeros_like(x)
        np.multiply(x, x.dtype.type(factor), out=y, where=keep)
        return y

    return scaled(x), lambda dy: (scaled(dy), None)


@variant("ops.flatten", also="Flatten")
def flatten_by_copy(x, start_dim=1, end_dim=-1):
    """Copy the numbers; compute the sizes by slices of the shape."""
    start, end = start_dim % x.ndim, end_dim % x.ndim + 1
    shape = (*x.shape[:start], int(np.prod(x.shape[start:end])), *x.shape[end:])
    return np.array(x).reshape(shape), lambda dy: np.ascontiguousarray(dy).reshape(x.shape)
