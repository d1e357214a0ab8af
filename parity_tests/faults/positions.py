"""Faults of positions: sinusoidal, learned and rotary ones, and buckets of distances."""

from functools import partial

from parity_tests.faults.fault import Fault

SINUSOIDAL = "sinusoidal_positions|SinusoidalPositions"
table = partial(
    Fault,
    function="ops.sinusoidal_positions.sinusoidal_table",
    cases=("sinusoidal_positions", "SinusoidalPositions"),
    culprit=SINUSOIDAL,
    phase="forward",
)
added = partial(table, function="ops.sinusoidal_positions.sinusoidal_positions")
learned = partial(
    Fault,
    function="layers.learned_positions.LearnedPositions.forward",
    cases=("LearnedPositions", "LearnedPositions-left-padded"),
    culprit="LearnedPositions",
    phase="forward",
)
rotary = partial(
    Fault, function="ops.rotary.rotary", cases=("rotary-late", "rotary-interleaved-left-padded"), culprit="rotary", phase="forward"
)
bucket = partial(
    Fault,
    function="ops.relative_position.relative_position_bucket",
    cases=("relative_position_bucket", "relative_position_bucket-few"),
    culprit="relative_position_bucket",
    phase="forward",
)
causal_bucket = partial(bucket, cases=("relative_position_bucket-causal", "relative_position_bucket-few-causal"))
bias = partial(
    Fault,
    function="layers.relative_position.RelativePositionBias.forward",
    cases=("RelativePositionBias", "RelativePositionBias-continued"),
    culprit="RelativePositionBias",
    phase="forward",
)

EXPONENTS = "(-np.arange(0, width, 2) / width)"
ROTARY_EXPONENTS = "(-np.arange(0, D, 2) / D)"
TURNED = """first, second = x[part][..., firsts], x[part][..., seconds]
            y[part][..., firsts] = first * all_cos[part] - second * all_sin[part]
            y[part][..., seconds] = first * all_sin[part] + second * all_cos[part]"""
SINES = "table[..., 0::2] = np.sin(angles)"
COSINES = "table[..., 1::2] = np.cos(angles[..., : width // 2])"

FAULTS = [
    table(
        "sinusoids: sines and cosines swapped",
        f"{SINES}\n    {COSINES}",
        "table[..., 0::2] = np.cos(angles)\n    table[..., 1::2] = np.sin(angles[..., : width // 2])",
        cause="swaps sines and cosines",
    ),
    table(
        "sinusoids: sines first, then cosines",
        f"{SINES}\n    {COSINES}",
        "table[...] = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)[..., :width]",
        cause="sines in the first half",
        cases=("sinusoidal_positions", "sinusoidal_positions-late"),
    ),
    table("sinusoids: a sine for each cosine", "np.cos(", "np.sin(", cause="a sine in place of each cosine"),
    table(
        "sinusoids: exponent i / D",
        EXPONENTS,
        "(-np.arange(0, width, 2) / 2 / width)",
        cause="uses i / D as the exponent of the base",
    ),
    table(
        "sinusoids: exponent 4i / D",
        EXPONENTS,
        "(-2 * np.arange(0, width, 2) / width)",
        cause="uses 4i / D as the exponent of the base",
    ),
    table(
        "sinusoids: exponent 2i / (D - 2)",
        EXPONENTS,
        "(-np.arange(0, width, 2) / (width - 2))",
        cause=r"uses 2i / \(D - 2\) as the exponent",
    ),
    table("sinusoids: pairs counted from 1", EXPONENTS, "(-np.arange(2, width + 2, 2) / width)", cause="counts the pairs from 1"),
    table(
        "sinusoids: base upside down", EXPONENTS, "(np.arange(0, width, 2) / width)", cause="multiplies by the power of the base"
    ),
    added("sinusoids: positions from 1", "table(positions,", "table(positions + 1,", cause="off by one"),
    added("sinusoids: table in place of x", "x + table", "np.broadcast_to(table, x.shape)", cause="returns the table"),
    added("sinusoids: x scaled by √D", "x + table", "x * x.shape[-1] ** 0.5 + table", cause="multiplies x by √D"),
    added(
        "sinusoids: promotes float32",
        ".astype(x.dtype)",
        "",
        cause="is float64 in float32",
        dtype="float32",
    ),
    added(
        "SinusoidalPositions: base not passed on",
        ", self.base)",
        ")",
        cause="default base",
        function="layers.sinusoidal_positions.SinusoidalPositions.forward",
        cases=("SinusoidalPositions", "SinusoidalPositions-left-padded"),
    ),
    added(
        "SinusoidalPositions: given positions ignored",
        "np.arange(x.shape[-2]) if positions is None else positions",
        "np.arange(x.shape[-2])",
        cause="ignores positions",
        function="layers.sinusoidal_positions.SinusoidalPositions.forward",
        cases=("SinusoidalPositions-given", "SinusoidalPositions-left-padded"),
    ),
    learned("LearnedPositions: positions from 1", "embedding(numbers,", "embedding(numbers + 1,", cause="looks up the row after"),
    learned(
        "LearnedPositions: given positions ignored",
        "np.arange(x.shape[-2]) if positions is None else positions",
        "np.arange(x.shape[-2])",
        cause="ignores positions",
        cases=("LearnedPositions-given", "LearnedPositions-left-padded"),
    ),
    learned(
        "LearnedPositions: vectors in place of x",
        "return x + vectors",
        "return 0 * x + vectors",
        cause="lacks the term|leaves the first term of the sum out",
    ),
    learned(
        "LearnedPositions: gradient of the vectors averaged over the batch",
        "sum_to_shape(dy, vectors.shape)",
        "sum_to_shape(dy, vectors.shape) / len(dy)",
        phase="backward",
        cause="grad weight needs the factor 3",
    ),
    learned(
        "LearnedPositions: gradient of x missing",
        "return dy if positions is None else (dy, None)",
        "return 0 * dy if positions is None else (0 * dy, None)",
        phase="backward",
        cause="zero everywhere|loses the gradient",
    ),
    learned(
        "LearnedPositions: gradient of the vectors missing",
        "self.weight.accumulate(dweight)",
        "pass",
        phase="backward",
        cause="grad weight is missing",
    ),
    rotary("rotary: pairs of the other form", "if interleaved else", "if not interleaved else", cause="as the other form does"),
    rotary(
        "rotary: turned the other way",
        "turned(x, sin), lambda dy: (turned(dy, -sin)",
        "turned(x, -sin), lambda dy: (turned(dy, sin)",
        cause="turns in the opposite direction",
    ),
    rotary(
        "rotary: gradient not turned back",
        "turned(dy, -sin)",
        "turned(dy, sin)",
        phase="backward",
        cause="turns the gradient forward",
    ),
    rotary(
        "rotary: sine left out of the backward",
        "turned(dy, -sin)",
        "turned(dy, 0 * sin)",
        phase="backward",
        cause="leaves the sine out",
    ),
    rotary(
        "rotary: sines and cosines swapped",
        "cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)",
        "sin, cos = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)",
        cause="swaps sines and cosines",
    ),
    rotary("rotary: positions from 1", "positions[..., None]", "(positions[..., None] + 1)", cause="positions are off by one"),
    rotary("rotary: another base", "base ** (", "500000.0 ** (", cause="uses base = 500000"),
    rotary("rotary: base ignored", "base ** (", "10000.0 ** (", cause="default base"),
    rotary("rotary: exponent i / D", ROTARY_EXPONENTS, "(-np.arange(D // 2) / D)", cause="uses i / D as the exponent of the base"),
    rotary(
        "rotary: exponent 4i / D",
        ROTARY_EXPONENTS,
        "(-np.arange(0, 2 * D, 4) / D)",
        cause="uses 4i / D as the exponent of the base",
    ),
    rotary("rotary: pairs counted from 1", ROTARY_EXPONENTS, "(-np.arange(2, D + 2, 2) / D)", cause="counts the pairs from 1"),
    rotary("rotary: base upside down", ROTARY_EXPONENTS, "(np.arange(0, D, 2) / D)", cause="multiplies by the power of the base"),
    rotary(
        "rotary: angles of one form with the pairs of the other",
        TURNED,
        TURNED.replace("first * all_cos[part] - second * all_sin[part]", "first * cos1 - second * sin1")
        .replace("first * all_sin[part] + second * all_cos[part]", "first * sin2 + second * cos2")
        .replace(
            "first, second =",
            "cos1, cos2 = np.split(all_cos[part].repeat(2, -1), 2, -1); "
            "sin1, sin2 = np.split(all_sin[part].repeat(2, -1), 2, -1); first, second =",
        ),
        cause="pairs the numbers in one form and orders the angles in the other",
        cases=("rotary-late", "rotary"),
    ),
    rotary("rotary: sign of one sine", "first * all_sin[part] +", "-first * all_sin[part] +", cause=None),
    rotary(
        "rotary: angles in float32",
        ROTARY_EXPONENTS,
        "(-np.arange(0, D, 2, dtype='f4') / D)",
        cause="precision of float32",
        cases=("rotary", "rotary-left-padded"),
    ),
    rotary(
        "rotary: positions ignored",
        "positions[..., None]",
        "(0 * positions[..., None])",
        cause="uses position 0 for every position",
    ),
    rotary("rotary: writes into x", "y = np.empty_like(x)", "y = x", cause="changes its input"),
    bucket("buckets: far ones one too far", "exact + (share", "exact + 1 + (share", cause="off by one"),
    bucket("buckets: a half exact is all", "exact = count // 2", "exact = count", cause="gives every bucket one distance"),
    bucket("buckets: a quarter exact", "exact = count // 2", "exact = count // 4", cause="a quarter of the buckets"),
    bucket("buckets: one exact too few", "exact = count // 2", "exact = count // 2 - 1", cause="one bucket too few"),
    bucket(
        "buckets: not halved for both directions",
        "num_buckets // 2 if bidirectional else num_buckets",
        "num_buckets",
        cause="does not halve",
    ),
    bucket(
        "buckets: far ones rounded",
        "(share * (count - exact)).astype",
        "np.round(share * (count - exact)).astype",
        cause="rounds the number",
    ),
    bucket(
        "buckets: far ones rounded up",
        "(share * (count - exact)).astype",
        "np.ceil(share * (count - exact)).astype",
        cause="bucket up",
    ),
    bucket("buckets: one bucket too many", "count - 1)", "count)", cause="uses one bucket more than num_buckets"),
    bucket("buckets: last bucket empty", "count - 1)", "count - 2)", cause="leaves the last bucket empty"),
    bucket(
        "buckets: no logarithm",
        "np.where(distance < exact, distance, far)",
        "np.minimum(distance, count - 1)",
        cause="has no buckets for large distances",
    ),
    bucket(
        "buckets: sides swapped", "(relative_position > 0)", "(relative_position <= 0)", cause="swaps the buckets|query minus key"
    ),
    bucket(
        "buckets: 0 among the later ones",
        "(relative_position > 0)",
        "(relative_position >= 0)",
        cause="own position among the later",
    ),
    bucket(
        "buckets: sides alike",
        "bucket += count * (relative_position > 0)",
        "pass",
        cause="puts keys before and after the query into the same buckets",
    ),
    bucket(
        "buckets: max_distance ignored",
        "math.log(max_distance / exact)",
        "math.log(128 / exact)",
        cause="default max_distance",
        cases=("relative_position_bucket-few",),
    ),
    causal_bucket(
        "buckets: query minus key", "np.maximum(-relative_position, 0)", "np.maximum(relative_position, 0)", cause="query minus key"
    ),
    causal_bucket(
        "buckets: later keys as earlier ones",
        "np.maximum(-relative_position, 0)",
        "np.abs(relative_position)",
        cause="treats later keys like earlier ones at the same distance",
    ),
    causal_bucket(
        "buckets: both directions always",
        "    count = num_buckets",
        "    bidirectional = True; count = num_buckets",
        cause="treats the attention as bidirectional where",
        cases=("relative_position_bucket-causal",),
    ),
    bias("RelativePositionBias: query minus key", "keys - queries[:, None]", "queries[:, None] - keys", cause="query minus key"),
    bias(
        "RelativePositionBias: queries along the keys' axis",
        "transpose(2, 0, 1)",
        "transpose(2, 1, 0)",
        cause="axes in another order",
    ),
    bias(
        "RelativePositionBias: both directions always",
        "self.bidirectional, self",
        "True, self",
        cause="treats the attention as bidirectional where",
        cases=("RelativePositionBias-causal", "RelativePositionBias-continued"),
    ),
    bias(
        "RelativePositionBias: one bias for all heads",
        "biases.transpose(2, 0, 1)",
        "biases[..., [0] * biases.shape[-1]].transpose(2, 0, 1)",
        cause="first column",
    ),
    bias(
        "RelativePositionBias: gradient's heads mixed",
        "dy.transpose(1, 2, 0)",
        "dy.reshape(*dy.shape[1:], -1)",
        phase="backward",
        cause=None,
    ),
    bias(
        "RelativePositionBias: gradient of the table missing",
        "self.weight.accumulate(dweight)",
        "pass",
        phase="backward",
        cause="grad weight is missing",
    ),
    bias(
        "RelativePositionBias: gradient averaged over the queries",
        "self.weight.accumulate(dweight)",
        "self.weight.accumulate(dweight / len(queries))",
        phase="backward",
        cause="grad weight needs the factor",
    ),
]
