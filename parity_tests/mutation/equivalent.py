"""Mutants that compute the same as the original, each reviewed, with the reason why no test can detect it.

For each file and function, an entry has the original line, the changed line and the reason. White space in lines is collapsed, so
an entry stays valid when the function moves. ANY stands for every fault of a line if no value depends on that line. The report
names entries whose mutant no longer exists or is detected.
"""

ANY = "any fault"
NEEDS_OF_X = "only the flag of x is used: the gradients of the weights are always computed"
AT_A_TIME = "the size of a block of work changes no value"
LAST_OF_TWO = "an array with two axes: the last axis is axis 1"
NEAR = "the statistics are the same for every centre near the mean"
SAME_VALUE = "both branches compute the same value; the line chooses the faster one"
EQUIVALENT: dict[tuple[str, str], list[tuple[str, str, str]]] = {
    ("scratch/models/detr.py", "DETR._seen"): [
        ("there = shrunk[:, 0] > 0", "there = shrunk[:, -1] > 0", "there is one channel: the first is the last"),
    ],
    ("scratch/models/gpt.py", "GPT._length"): [
        (
            "attention, length = self.blocks[0].attention, state[0].shape[3:4]",
            "attention, length = self.blocks[-1].attention, state[0].shape[3:4]",
            "the attention of all blocks has the same size",
        ),
    ],
    ("scratch/generation.py", "next_token"): [
        (
            "if top_k is not None and not 1 <= top_k <= logits.shape[-1]:",
            "if top_k is not None and not 1 <= top_k <= logits.shape[1]:",
            LAST_OF_TWO,
        ),
        ("return logits.argmax(axis=-1)", "return logits.argmax(axis=1)", LAST_OF_TWO),
        (
            "p = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)",
            "p = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)",
            LAST_OF_TWO,
        ),
        ('falling = np.argsort(-p, axis=-1, kind="stable")', ANY, LAST_OF_TWO),
        ("ranked = np.take_along_axis(p, falling, axis=-1)[:, :top_k]", ANY, LAST_OF_TWO),
        ("before = np.cumsum(ranked, axis=-1) - ranked", "before = np.cumsum(ranked, axis=1) - ranked", LAST_OF_TWO),
        (
            "ranked[before >= top_p * ranked.sum(axis=-1, keepdims=True)] = 0 # the tokens before sum to top_p",
            "ranked[before >= top_p * ranked.sum(axis=1, keepdims=True)] = 0 # the tokens before sum to top_p",
            LAST_OF_TWO,
        ),
        (
            "np.put_along_axis(p, falling[:, :top_k], ranked, axis=-1)",
            "np.put_along_axis(p, falling[:, :top_k], ranked, axis=1)",
            LAST_OF_TWO,
        ),
        ("reached = np.cumsum(p, axis=-1)", "reached = np.cumsum(p, axis=1)", LAST_OF_TWO),
        *(
            (
                "return np.minimum(passed.sum(axis=-1), p.shape[-1] - 1 - np.argmax(p[:, ::-1] > 0, axis=-1)) # at most the last kept token",  # noqa: E501
                f"return np.minimum(passed.sum(axis={first}), p.shape[{size}] - 1 - np.argmax(p[:, ::-1] > 0, axis={last})) # at most the last kept token",  # noqa: E501
                LAST_OF_TWO,
            )
            for first, size, last in ((1, -1, -1), (-1, 1, -1), (-1, -1, 1))
        ),
    ],
    ("scratch/generation.py", "beam_search"): [
        (
            "scores, texts = np.zeros(1), np.zeros((1, 0), np.int64)",
            ANY,
            "an empty text holds no number, and the search starts from one text only",
        ),
        (
            "best: tuple[Array, float] = texts[0], -np.inf",
            "best: tuple[Array, float] = texts[-1], -np.inf",
            "the first of one is the last",
        ),
        (
            "shifted = last - last.max(axis=-1, keepdims=True)",
            "shifted = last - last.max(axis=1, keepdims=True)",
            LAST_OF_TWO,
        ),
        (
            "log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))",
            "log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
            LAST_OF_TWO,
        ),
        (
            "parents, tokens = np.divmod(kept, log_p.shape[-1])",
            "parents, tokens = np.divmod(kept, log_p.shape[1])",
            LAST_OF_TWO,
        ),
    ],
    ("scratch/layers/dropout.py", "Dropout.forward"): [
        ("if not self.training or self.p == 0:", ANY, "at p = 0 the mask keeps everything and the scale is 1"),
        (
            "keep = generator().random(x.shape) >= self.p",
            "keep = generator().random(x.shape) > self.p",
            "a random number equals p once in 2^53 times",
        ),
    ],
    ("scratch/layers/recurrent.py", "_Recurrent.forward"): [
        (
            "values = np.concatenate(outputs, axis=2) if self.bidirectional else outputs[0]",
            "values = np.concatenate(outputs, axis=2)",
            SAME_VALUE,
        ),
        (
            "values = np.concatenate(outputs, axis=2) if self.bidirectional else outputs[0]",
            "values = np.concatenate(outputs, axis=2) if self.bidirectional else outputs[-1]",
            "the first of one is the last",
        ),
        (
            "return dx, None if hx is None else dhx if self.states > 1 else dhx[0], None",
            "return dx, None if hx is None else dhx if self.states > 1 else dhx[-1], None",
            "the first of one is the last",
        ),
        (
            "return (y.swapaxes(0, 1) if self.batch_first else y, ends if self.states > 1 else ends[0]), backward",
            "return (y.swapaxes(0, 1) if self.batch_first else y, ends if self.states > 1 else ends[-1]), backward",
            "the first of one is the last",
        ),
    ],
    ("scratch/layers/recurrent.py", "_Recurrent._between_layers"): [
        (
            "if not self.training or self.dropout == 0 or layer == self.num_layers - 1:",
            ANY,
            "at p = 0 the mask keeps everything and the scale is 1",
        ),
        (
            "keep = generator().random((B, T, width) if self.batch_first else values.shape) >= self.dropout",
            "keep = generator().random((B, T, width) if self.batch_first else values.shape) > self.dropout",
            "a random number equals p once in 2^53 times",
        ),
        (
            "keep = np.zeros(values.shape, bool)",
            "keep = np.ones(values.shape, bool)",
            "after the end of a row, its value and its gradient are 0",
        ),
        (
            "keep[running] = generator().random((int(running.sum()), width)) >= self.dropout",
            "keep[running] = generator().random((int(running.sum()), width)) > self.dropout",
            "a random number equals p once in 2^53 times",
        ),
    ],
    ("scratch/layers/norm.py", "_BatchNorm.forward"): [
        (
            "if mean is None or var is None or count is None:",
            ANY,
            "either all three exist or none; the line is for the type checker",
        ),
    ],
    ("scratch/module.py", "apply"): [
        (
            "return gradients[0] if len(gradients) == 1 else tuple(gradients)",
            "return gradients[-1] if len(gradients) == 1 else tuple(gradients)",
            "the first of one is the last",
        ),
    ],
    ("scratch/ops/activation.py", "relu"): [
        (
            "zeros = np.zeros_like(x[:1]) if x.ndim else x.dtype.type(0) # maximum with a scalar is slower",
            "zeros = x.dtype.type(0) # maximum with a scalar is slower",
            SAME_VALUE,
        ),
    ],
    ("scratch/checks.py", "one_float_dtype"): [
        (
            "if any(not np.issubdtype(dtype, np.floating) for dtype in dtypes.values()) or len(set(dtypes.values())) > 1:",
            "if all(not np.issubdtype(dtype, np.floating) for dtype in dtypes.values()) or len(set(dtypes.values())) > 1:",
            "if only some are floats, the dtypes differ, and the second half of the line refuses them",
        ),
    ],
    ("scratch/fast/blas.py", "IDLE_CYCLES"): [
        (
            "IDLE_CYCLES = 16 # as a power of two: 65,536 cycles, some 25 microseconds",
            ANY,
            "the time that threads wait changes no value",
        ),
    ],
    ("scratch/fast/channels.py", "Channels._line"): [("return self.shape[-1] if len(self.shape) > 2 else 1", ANY, AT_A_TIME)],
    ("scratch/ops/conv.py", "convolve"): [
        ("if groups > 1:", "if groups >= 1:", SAME_VALUE),
        ("if groups > 1:", "if groups > 0:", SAME_VALUE),
    ],
    ("scratch/ops/conv.py", "conv2d_by_taps"): [
        ("if needs[0]:", ANY, "an unneeded gradient is computed but not returned"),
        ("if needs[1]:", ANY, "an unneeded gradient is computed but not returned"),
    ],
    ("scratch/fast/blockwise_attention.py", "SCORES"): [
        (
            "SCORES = 1 << 17 # scores at a time: blocks of short sequences have several heads, as each call of NumPy costs time",
            ANY,
            AT_A_TIME,
        ),
    ],
    ("scratch/ops/cross_entropy.py", "cross_entropy"): [
        (
            "return unrows(drows if whole else drows * dy.reshape(-1, 1), input), None, None",
            "return unrows(drows * dy.reshape(-1, 1), input), None, None",
            SAME_VALUE,
        ),
    ],
    ("scratch/ops/gru.py", "gru"): [
        (
            "def backward(dy: Array, dh_n: Array, needs: tuple[bool, ...] = (True,) * 6) -> tuple[Array | None, ...]:",
            ANY,
            NEEDS_OF_X,
        ),
    ],
    ("scratch/fast/im2col.py", "_shares"): [
        ("return shares(len(x), len(x) * x.shape[1] * prod(win.out) * prod(win.kernel))", ANY, AT_A_TIME),
    ],
    ("scratch/fast/im2col.py", "conv2d_by_columns"): [
        (
            "narrow = O <= C or win.kernel == (1, 1) # for a wider dy, dx tap by tap is quicker",
            ANY,
            SAME_VALUE,
        ),
        ("if needs[0] and narrow and win.stride == (1, 1) and min(full) >= 0:", ANY, SAME_VALUE),
    ],
    ("scratch/fast/im2col.py", "_gradients_from_dy"): [("if need_weight:", ANY, "what is summed in vain is not returned")],
    ("scratch/fast/im2col.py", "columns"): [
        ("if win.kernel == (1, 1) and win.padding == (0, 0) and win.out == (H, W):", ANY, SAME_VALUE),
        ("pixels = BLOCK // (KH * KW * C)", ANY, AT_A_TIME),
        ("step = max(min(pixels // OW, OH), 1) # rows of the output", ANY, AT_A_TIME),
        ("if C < FEW:", ANY, "the two layouts hold the same numbers"),
    ],
    ("scratch/fast/im2col.py", "BLOCK"): [
        (
            "BLOCK = 1 << 18 # elements gathered at a time: more do not fit in the cache, fewer make the matrix product slow",
            ANY,
            AT_A_TIME,
        ),
    ],
    ("scratch/fast/im2col.py", "FEW"): [
        (
            "FEW = 8 # channels; with fewer, windows are copied along the rows of the images, not along the channels",
            ANY,
            "the two layouts hold the same numbers",
        ),
    ],
    ("scratch/ops/loss.py", "smooth_l1_loss"): [
        (
            "loss = np.where(distance < beta, 0.5 / beta * difference * difference, distance - 0.5 * beta)",
            "loss = np.where(distance <= beta, 0.5 / beta * difference * difference, distance - 0.5 * beta)",
            "the two pieces meet at beta",
        ),
    ],
    ("scratch/ops/lstm.py", "lstm"): [
        (
            "def backward(dy: Array, dh_n: Array, dc_n: Array, needs: tuple[bool, ...] = (True,) * 8) -> tuple[Array | None, ...]:",
            ANY,
            NEEDS_OF_X,
        ),
        (
            "tanh_c, through, product = np.zeros((T, B, H), x.dtype), np.empty((B, 4 * H), x.dtype), np.empty((B, H), x.dtype)",
            ANY,
            "after the end of a row, it is multiplied by a gradient of 0",
        ),
        (
            "dprojected, spare = np.zeros((T, B, P), x.dtype), np.empty((2, B, H), x.dtype)",
            ANY,
            "after the end of a row, it is multiplied by tanh(c) = 0",
        ),
    ],
    ("scratch/fast/memory.py", "LARGEST"): [
        (
            "LARGEST = 32 << 20 # bytes",
            ANY,
            "the memory that the C library keeps changes no value",
        ),
    ],
    ("scratch/ops/norm.py", "batch_norm"): [
        (
            "count, channels = x.size // x.shape[1] or 1, Channels(x)",
            "count, channels = x.size // x.shape[1] or 2, Channels(x)",
            "of no rows every sum is 0, whatever it is divided by",
        ),
        (
            "if running_mean is not None and running_var is not None:",
            "if running_mean is not None:",
            "one without the other was refused earlier",
        ),
        (
            "def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 5) -> tuple[Array | None, ...]:",
            ANY,
            "every gradient is computed, needed or not",
        ),
    ],
    ("scratch/ops/norm.py", "_statistics"): [
        ("first = rows[: -(-len(rows) // 16)]", ANY, NEAR),
        (
            "near = channels.sums(first) / (first.size // channels.shape[1]) # within four standard deviations of the mean",
            ANY,
            NEAR,
        ),
    ],
    ("scratch/ops/pool.py", "avg_pool2d"): [
        (
            "count = sum(tap for _, _, tap in win.taps(win.pad(np.ones(x.shape[-2:], x.dtype))))",
            ANY,
            "the counts are the same for every image, broadcast or not",
        ),
    ],
    ("scratch/ops/pool.py", "_in_layout_of"): [("if dy.strides == aligned.strides:", ANY, SAME_VALUE)],
    ("scratch/fast/row_shares.py", "WORTH"): [
        (
            "WORTH = 1 << 23 # multiplications in all steps: with fewer, one thread is done before a second has begun",
            ANY,
            AT_A_TIME,
        ),
    ],
    ("scratch/fast/row_shares.py", "in_row_shares"): [
        (
            "in_parallel(share, evenly(B, get_num_threads() if len(running) * B * cost >= WORTH else 1))",
            ANY,
            AT_A_TIME,
        ),
    ],
    ("scratch/fast/reduce.py", "ROWS"): [
        (
            "ROWS = 256 # summed at once; their sums are summed in the same way, so that rounding errors stay small in a long column",  # noqa: E501
            ANY,
            AT_A_TIME,
        ),
    ],
    ("scratch/ops/rnn.py", "rnn"): [
        ("(T, B, _), H = x.shape, weight_hh.shape[1]", "(T, B, _), H = x.shape, weight_hh.shape[0]", "weight_hh is square"),
        (
            "def backward(dy: Array, dh_n: Array, needs: tuple[bool, ...] = (True,) * 6) -> tuple[Array | None, ...]:",
            ANY,
            NEEDS_OF_X,
        ),
    ],
    ("scratch/fast/threads.py", "shares"): [
        ("return evenly(count, get_num_threads() if size >= 2 * BLOCK else 1)", ANY, AT_A_TIME)
    ],
    ("scratch/fast/threads.py", "in_blocks"): [
        ("if like.size < 2 * BLOCK:", ANY, AT_A_TIME),
        ("length = max(1, BLOCK * len(like) // like.size)", ANY, AT_A_TIME),
    ],
    ("scratch/fast/threads.py", "BLOCK"): [("BLOCK = 1 << 17 # elements: half a megabyte in float32", ANY, AT_A_TIME)],
    ("scratch/fast/window.py", "Window.overlaps"): [
        (
            "return any(s <= (k - 1) * d for s, k, d in zip(self.stride, self.kernel, self.dilation, strict=True))",
            ANY,
            "adding to zeros is also correct if windows do not overlap",
        ),
    ],
    ("scratch/fast/window.py", "Window.pad"): [
        ("if self.padding == (0, 0):", ANY, "no padding is negative, and a copy without padding is as good as the array itself"),
    ],
    ("scratch/fast/window.py", "Window.view"): [
        (
            "windows = sliding_window_view(padded, ((kh - 1) * dh + 1, (kw - 1) * dw + 1), axis=(-2, -1))",
            "windows = sliding_window_view(padded, ((kh - 1) * dh + 1, (kw - 1) * dw + 1), axis=(2, -1))",
            "an array with four axes: axis 2 is axis -2",
        ),
    ],
    ("scratch/fast/winograd.py", "Points.__init__"): [
        ("self.rows, self.cols = -(-OH // TILE), -(-OW // TILE) # numbers of tiles", ANY, "tiles beyond the image are cropped"),
        (
            "self.to_tile, self.to_points, self.kernel_to_points = (matrix.astype(x.dtype) for matrix in (A, B, G))",
            ANY,
            "float64 is slower, and the result is cast",
        ),
        ("self.lots = _lots(max(C * O, N * self.rows * self.cols * max(C, O)))", ANY, AT_A_TIME),
        ("self.strips = _strips(self.rows, SEEN**2 * self.cols * C)", ANY, AT_A_TIME),
    ],
    ("scratch/fast/winograd.py", "Points.seen_size"): [
        (
            "return SEEN - TILE + self.rows * TILE, SEEN - TILE + self.cols * TILE",
            ANY,
            "zeros beyond the last tile are never read",
        ),
    ],
    ("scratch/fast/winograd.py", "conv2d_by_winograd"): [
        ("groups = _groups(N, SEEN**2 * points.rows * points.cols * C)", ANY, AT_A_TIME),
    ],
    ("scratch/fast/winograd.py", "_lots"): [
        ("return evenly(SEEN**2, max(-(-(SEEN**2) * size // KEPT), get_num_threads()))", ANY, AT_A_TIME),
    ],
    ("scratch/fast/winograd.py", "_groups"): [
        ("return evenly(N, -(-N * size // (BLOCK * get_num_threads())) * get_num_threads())", ANY, AT_A_TIME),
    ],
    ("scratch/fast/winograd.py", "_strips"): [("step = max(BLOCK // size, 1)", ANY, AT_A_TIME)],
    ("scratch/fast/winograd.py", "BLOCK"): [
        ("BLOCK = 1 << 20 # elements of V at a time: four megabytes in float32", ANY, AT_A_TIME)
    ],
    ("scratch/fast/winograd.py", "KEPT"): [
        (
            "KEPT = 1 << 22 # elements of an array at most: the allocator does not keep the memory of larger ones (see memory.py)",
            ANY,
            AT_A_TIME,
        ),
    ],
    ("scratch/fast/winograd.py", "WORTH"): [
        (
            "WORTH = 32 # channels: with fewer, the transforms take longer than the saved products",
            ANY,
            SAME_VALUE,
        ),
    ],
    ("scratch/fast/workers.py", "Team._help"): [
        ("ticket.release()", ANY, "it runs in other threads, of which it is not measured which test reaches them"),
    ],
    ("scratch/fast/workers.py", "BUFFER"): [
        (
            "BUFFER = 512 # elements: NumPy copies shorter rows into a buffer; over longer rows it broadcasts at twice the speed",
            ANY,
            AT_A_TIME,
        ),
    ],
    ("scratch/optim/adam.py", "Adam.update"): [
        (
            "over_pieces(move, data, grad, *(state[name] for name in moments), temporaries=2)",
            ANY,
            "the buffer is larger than needed",
        ),
        (
            'if weight_decay and group["decoupled_weight_decay"]:',
            'if group["decoupled_weight_decay"]:',
            "a decay of 0 multiplies by 1",
        ),
        ("v = np.maximum(v, v_max[0], out=v_max[0])", "v = np.maximum(v, v_max[-1], out=v_max[0])", "the first of one is the last"),
    ],
    ("scratch/optim/clip.py", "clip_grad_norm_"): [
        (
            "total = float(np.linalg.norm(norms, norm_type)) if norms else 0.0",
            "total = float(np.linalg.norm(norms, norm_type))",
            "the norm of an empty array is 0 in NumPy 2.4; older versions raise for the maximum norm",
        ),
        (
            "if not scale >= 1: # smaller, or not a number",
            "if not scale > 1: # smaller, or not a number",
            "a scale of 1 changes nothing",
        ),
    ],
    ("scratch/optim/optimizer.py", "over_pieces"): [
        ("if all(array.flags.c_contiguous for array in arrays): # several threads can share these", ANY, SAME_VALUE),
        ("work(*pieces, *np.empty((temporaries, pieces[0].size), data.dtype))", ANY, "all pieces have one size"),
        (
            'with np.nditer(arrays, ["external_loop", "buffered", "zerosize_ok"], access, buffersize=BLOCK) as walk:',
            ANY,
            AT_A_TIME,
        ),
    ],
    ("scratch/optim/sgd.py", "SGD.update"): [
        ("over_pieces(move, data, grad, *buffers, temporaries=2)", ANY, "the buffer is larger than needed"),
        ("b[0][...] = g", "b[-1][...] = g", "the first of one is the last"),
        ("b[0] *= momentum", "b[-1] *= momentum", "the first of one is the last"),
        (
            "b[0] += np.multiply(g, 1 - dampening, out=temporary) if dampening else g",
            ANY,
            "the first of one is the last, and a dampening of 0 multiplies by 1",
        ),
        (
            'g = np.add(g, np.multiply(b[0], momentum, out=temporary), out=spare) if group["nesterov"] else b[0]',
            ANY,
            "the first of one is the last",
        ),
    ],
}


class Reasons:
    """The reviewed list, by file, function, original line and changed line."""

    def __init__(self, listed: dict[tuple[str, str], list[tuple[str, str, str]]]):
        self.by_key = {(*place, before, after): reason for place, rows in listed.items() for before, after, reason in rows}

    def of(self, key: tuple[str, ...]) -> str:
        """Return why a mutant is equivalent, or "" if it is not listed."""
        file, function, before, after, *_ = key
        return self.by_key.get((file, function, before, after)) or self.by_key.get((file, function, before, ANY), "")

    def names(self, key: tuple[str, ...]) -> bool:
        """Return whether the list names exactly this fault, not only its line."""
        return key[:4] in self.by_key

    def stale(self, keys: list[tuple[str, ...]]) -> list[tuple[str, str, str, str]]:
        """Return the entries that match none of these mutants."""
        faults = {key[:4] for key in keys}
        lines = {(*key[:3], ANY) for key in keys}
        return [key for key in self.by_key if key not in faults | lines]
