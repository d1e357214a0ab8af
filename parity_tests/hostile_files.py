"""Files that are hostile or damaged: all that can be wrong with a saved model and with a saved run.

Each entry changes a directory of valid files so that one is invalid. Each must be refused in one line.
"""

import json
import os

import numpy as np

from parity.checkpoints.arrays import CHECKSUM, load_stored, save_arrays

CONFIG, WEIGHTS, SAMPLES, RUN = "config.json", "model.safetensors", "samples.safetensors", "checkpoint.safetensors"
DEEP = "[" * 100_000
TENSOR = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}


def safetensors_file(header, data=b"", length=None):
    """Return the bytes of a safetensors file with any header, right or wrong."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def content(file, made):
    """Replace the bytes of a file by others, or by a function of them."""

    def change(directory):
        path = directory / file
        path.write_bytes(made(path.read_bytes()) if callable(made) else made)

    return change


def link(file, target):
    def change(directory):
        (directory / file).unlink()
        (directory / file).symlink_to(target)

    return change


def folder(file):
    def change(directory):
        (directory / file).unlink()
        (directory / file).mkdir()

    return change


def pipe(file):
    def change(directory):
        (directory / file).unlink()
        os.mkfifo(directory / file)

    return change


def missing(file):
    return lambda directory: (directory / file).unlink()


def sparse(file):
    """Replace a file by a terabyte that takes no space on the disk, with a header that fits it."""
    count = 10**12 - 10**12 % 4

    def change(directory):
        header = safetensors_file({"layers.0.weight": {"dtype": "F32", "shape": [count // 4], "data_offsets": [0, count]}})
        (directory / file).write_bytes(header)
        os.truncate(directory / file, len(header) + count)

    return change


def arrays(file, change_arrays):
    """Change the arrays of a file; its checksum stays right."""

    def change(directory):
        found, metadata = load_stored(directory / file)
        change_arrays(found)
        save_arrays(directory / file, found, {name: text for name, text in metadata.items() if name not in ("tied", CHECKSUM)})

    return change


def description(change_description):
    """Change the description of a checkpoint; its checksum stays right."""

    def change(directory):
        found, metadata = load_stored(directory / RUN)
        described = json.loads(metadata["checkpoint"])
        changed = change_description(described)
        save_arrays(directory / RUN, found, {"checkpoint": changed if isinstance(changed, str) else json.dumps(described)})

    return change


def bits(file, seed, high=False):
    """Flip one random bit; with `high` the highest bit of a byte, after which JSON is not UTF-8."""

    def turned(before):
        rng, after = np.random.default_rng(seed), bytearray(before)
        after[rng.integers(len(after))] ^= 0x80 if high else 1 << int(rng.integers(8))
        return bytes(after)

    return content(file, turned)


def damaged(file):
    """Return damages of any file, by name."""
    cuts = {"empty": 0, "of 1 byte": 1, "of 7 bytes": 7, "of 9 bytes": 9, "cut in half": 0.5, "without its end": -3}

    def cut(at):
        return lambda before: before[: int(len(before) * at) if isinstance(at, float) else at]

    found = {f"{file} {name}": content(file, cut(at)) for name, at in cuts.items()}
    found |= {
        f"{file} of other bytes": content(file, lambda before: np.random.default_rng(0).bytes(len(before))),
        f"{file} of zeros": content(file, lambda before: bytes(len(before))),
        f"{file} begins elsewhere": content(file, lambda before: b"PK\3\4" + before),
        f"{file} is nested deeply": content(file, DEEP.encode()),
        f"{file} is a folder": folder(file),
        f"{file} is a link to itself": link(file, file),
        f"{file} is a link to nowhere": link(file, "nowhere"),
        f"{file} is a link to a device": link(file, "/dev/zero"),
        f"{file} is a pipe": pipe(file),
        f"{file} is missing": missing(file),
    }
    return found


def damaged_arrays(file):
    """Return damages of a safetensors file, by name."""

    def header(text, data=b"\0\0"):
        return content(file, safetensors_file(text, data))

    headers = {
        "no JSON": b"{",
        "a list": b"[]",
        "a number": b"12",
        "null": b"null",
        "NaN": b'{"a": NaN}',
        "a name twice": b'{"a":%s,"a":%s}' % ((json.dumps(TENSOR).encode(),) * 2),
        "a tensor that is a list": {"a": []},
        "a tensor of nothing": {"a": {}},
        "an unknown dtype": {"a": TENSOR | {"dtype": "X7"}},
        "a dtype that is a number": {"a": TENSOR | {"dtype": 7}},
        "a negative size": {"a": TENSOR | {"shape": [-2]}},
        "a size that is a word": {"a": TENSOR | {"shape": ["two"]}},
        "a size that is no list": {"a": TENSOR | {"shape": 2}},
        "a size beyond all": {"a": TENSOR | {"shape": [10**30]}},
        "sizes that overflow": {"a": TENSOR | {"shape": [2**63, 2**63]}},
        "sizes that overflow beside zero": {"a": TENSOR | {"shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}},
        "another size than its bytes": {"a": TENSOR | {"shape": [3]}},
        "bytes that overlap": {"a": TENSOR, "b": TENSOR | {"data_offsets": [1, 3]}},
        "a gap": {"a": TENSOR | {"shape": [1], "data_offsets": [1, 2]}},
        "bytes backwards": {"a": TENSOR | {"data_offsets": [2, 0]}},
        "bytes beyond the end": {"a": TENSOR | {"shape": [9], "data_offsets": [0, 9]}},
        "metadata that are numbers": {"__metadata__": {"tied": 1}, "a": TENSOR},
        "metadata that are a list": {"__metadata__": [], "a": TENSOR},
        "no tensors": {},
    }
    tied = {
        "no JSON": "{",
        "a list": "[]",
        "a number": "7",
        "null": "null",
        "NaN": "NaN",
        "nested deeply": DEEP,
        "a name of nothing": '{"b": "nowhere"}',
        "a number for a name": '{"b": 7}',
        "a list for a name": '{"b": ["a"]}',
        "itself": '{"b": "b"}',
        "what there is": '{"a": "a"}',
        "a name twice": '{"b": "a", "b": "a"}',
    }
    lengths = {"0": 0, "1": 1, "beyond the end": 10_000, "100 million": 10**8 + 1, "2**63": 2**63, "2**64 - 1": 2**64 - 1}
    checksums = {"empty": "", "short": "sha256 of this file with zeros here: 12", "another": None}
    dtypes = {"F8_E4M3": 1, "F8_E5M2": 1, "C64": 8}
    return (
        {f"{file}: a header of {name}": header(text) for name, text in headers.items()}
        | {f"{file}: tied of {name}": header({"__metadata__": {"tied": text}, "a": TENSOR}) for name, text in tied.items()}
        | {
            f"{file}: a header's length of {name}": content(file, safetensors_file({"a": TENSOR}, b"\0\0", length))
            for name, length in lengths.items()
        }
        | {
            f"{file}: a checksum that is {name}": header(
                {"__metadata__": {CHECKSUM: "sha256 of this file with zeros here: " + "0" * 64 if text is None else text}}, b""
            )
            for name, text in checksums.items()
        }
        | {
            f"{file}: numbers of {dtype}": header(
                {"a": {"dtype": dtype, "shape": [2], "data_offsets": [0, 2 * size]}}, bytes(2 * size)
            )
            for dtype, size in dtypes.items()
        }
        | {f"{file}: a bit has turned over ({seed})": bits(file, seed) for seed in range(30)}
        | {f"{file} is a terabyte": sparse(file)}
    )


def config_of(text):
    return content(CONFIG, text if isinstance(text, bytes) else text.encode())


def config_with(**changes):
    def made(before):
        described = json.loads(before)
        described["config"] |= changes
        return json.dumps(described).encode()

    return content(CONFIG, made)


def model_of(name, **config):
    return config_of(json.dumps({"model": name, "config": config}))


MLP = '{"model": "MLP", "config": {"in_features": 6, "hidden": [5], "out_features": 4%s}}'
CONFIGS = (
    damaged(CONFIG)
    | {f"config.json: a byte is no UTF-8 ({seed})": bits(CONFIG, seed, high=True) for seed in range(5)}
    | {
        f"config.json: {name}": config_of(text)
        for name, text in {
            "a number": "7",
            "a string": '"MLP"',
            "null": "null",
            "a list": "[]",
            "no object": "{}",
            "a byte order mark": b"\xef\xbb\xbf" + MLP.encode() % b"",
            "UTF-16": (MLP % "").encode("utf-16"),
            "no model": '{"config": {}}',
            "no config": '{"model": "MLP"}',
            "NaN": MLP % ', "dropout": NaN',
            "infinity": MLP % ', "dropout": -Infinity',
            "a number beyond all": MLP % ', "dropout": 1e999',
            "5,000 digits": MLP % f', "dropout": {"9" * 5000}',
            "a key twice": MLP % ', "hidden": [5]',
            "the model twice": (MLP % "")[:-1] + ', "model": "MLP"}',
            "more after it": (MLP % "") + "{}",
        }.items()
    }
    | {
        f"config.json: the model {name!r}"[:60]: config_of(json.dumps({"model": name, "config": {}}))
        for name in (
            7,
            None,
            [],
            {},
            True,
            "",
            "mlp",
            "Nothing",
            "__doc__",
            "Module",
            "MLP\n\x1b[2J",
            "\ud800",
            "../MLP",
            "x" * 10**5,
        )
    }
    | {
        f"config.json: the config {config!r}": config_of(json.dumps({"model": "MLP", "config": config}))
        for config in (None, [], "", 7, {})
    }
    | {
        f"config.json: {name} {value!r}"[:70]: config_with(**{name: value})
        for name in ("in_features", "hidden", "out_features", "activation", "dropout", "batch_norm")
        for value in ("../x", -1, 1.5, None, [], {}, [[]], 10**12, 10**30, [10**12], 2**31 - 1)
        if not (name == "batch_norm" and value in (None, [], {}))  # all count as False
        and not (name == "dropout" and value in (None, [], {}))
    }
    | {"config.json: an unknown option": config_with(depth=3), "config.json: an option of no name": config_with(**{"": 3})}
    | {
        f"config.json: an enormous {name} ({option})": model_of(name, **config)
        for name, option, config in (
            ("GPT", "layers", dict(vocab_size=9, context=9, width=4, layers=2**31 - 1, heads=1)),
            ("GPT", "context", dict(vocab_size=9, context=2**31 - 1, width=2**20, layers=1, heads=1)),
            ("BERT", "vocab_size", dict(vocab_size=2**31 - 1, context=9, width=2**20, layers=1, heads=1, feed_forward=4)),
            ("UNet", "depth", dict(in_channels=1, classes=2, depth=10**6)),
            ("CNN", "channels", dict(in_channels=1, image_size=[2**30, 2**30], classes=2**30, channels=[2**30])),
            ("MLP", "hidden", dict(in_features=6, hidden=[5] * 10**5, out_features=4)),
            ("CharLanguageModel", "hidden_size", dict(vocab_size=9, embedding_size=2**20, hidden_size=2**31 - 1)),
        )
    }
)


def put(name, array):
    return lambda found: found.update({name: np.asarray(array)})


def drop(name):
    return lambda found: found.pop(name)


def but(name, function):
    return lambda found: found.update({name: function(found[name])})


def first_is(value):
    def change(array):
        array = array.copy()
        array.flat[0] = value
        return array

    return change


ODD_WEIGHTS = {
    f"model.safetensors: {name}": arrays(WEIGHTS, change)
    for name, change in {
        "a weight is NaN": but("layers.0.weight", first_is(np.nan)),
        "a weight is infinite": but("layers.0.weight", first_is(-np.inf)),
        "a weight beyond float32": but("layers.0.weight", lambda a: first_is(1e300)(a.astype(np.float64))),
        "one more": put("layers.9.weight", np.zeros(3)),
        "one less": drop("layers.0.bias"),
        "transposed": but("layers.0.weight", np.transpose),
        "flat": but("layers.0.weight", np.ravel),
        "a name that clears the screen": put("\x1b[2J\n\n\0", np.zeros(3)),
        "100,000 more": lambda found: found.update({f"more.{n}": np.zeros(0) for n in range(100_000)}),
    }.items()
}
ODD_SAMPLES = {
    f"samples.safetensors: {name}": arrays(SAMPLES, change)
    for name, change in {
        "NaN": but("x", first_is(np.nan)),
        "infinite": but("x", first_is(np.inf)),
        "beyond float32": but("x", lambda a: first_is(1e39)(a.astype(np.float64))),
        "whole numbers": but("x", lambda a: a.astype(np.int64)),
        "bytes": but("x", lambda a: a.astype(np.uint8)),
        "truths": but("x", lambda a: a > 0),
        "narrower": but("x", lambda a: a[:, :-1]),
        "one number": put("x", np.float32(1)),
        "no examples": but("x", lambda a: a[:0]),
        "an unknown input": put("labels", np.zeros(3)),
        "an input of a strange name": put("\x1b[2J\n", np.zeros(3)),
        "nothing": lambda found: found.clear(),
        "another name": lambda found: found.update(y=found.pop("x")),
    }.items()
}
SAVED_MODELS = CONFIGS | ODD_WEIGHTS | ODD_SAMPLES
for _file in (WEIGHTS, SAMPLES):
    SAVED_MODELS |= damaged(_file) | damaged_arrays(_file)


def described(**changes):
    return description(lambda found: found.update(changes))


def option(name, value):
    return description(lambda found: found["options"].update({name: value}))


ODD = (None, "16; rm", "../x", "/tmp/x", -1, 1.5, True, [], {}, [1], 10**12, 10**30)
DESCRIPTIONS = (
    {
        f"a checkpoint's description: {name}": description(lambda found, text=text: text)
        for name, text in {"no JSON": "{", "a list": "[]", "null": "null", "nested deeply": DEEP, "NaN": '{"step": NaN}'}.items()
    }
    | {
        f"a checkpoint without {name}": description(lambda found, name=name: found.pop(name) and None)
        for name in ("step", "options", "model", "config", "vocabulary")
    }
    | {
        f"a checkpoint's {name}: {value!r}"[:70]: described(**{name: value})
        for name in ("step", "options", "model", "config", "vocabulary", "environment")
        for value in (None, "2", -1, 1.5, True, [], {}, "x", 99, 10**30)
        if not (value == {} and name in ("config", "environment"))  # both may be empty
    }
    | {"a checkpoint with another key": described(arrays={}), "a checkpoint with a key of no name": described(**{"": 1})}
    | {"an environment of numbers": described(environment={"numpy": 2})}
    | {
        "another vocabulary": described(vocabulary={"letters": "abc"}),
        "a vocabulary of numbers": described(vocabulary={"letters": 3}),
    }
)
OPTIONS = (
    {
        f"a checkpoint's option {name}: {value!r}"[:70]: option(name, value)
        for name in ("hidden", "layers", "embedding", "batch", "steps", "every", "seed")
        for value in ODD
        if value is not None and not (name in ("seed", "every", "steps") and value in (10**12, 10**30))  # valid values
    }
    | {
        f"a checkpoint's option {name}: {value!r}"[:70]: option(name, value)
        for name in ("lr", "dropout", "label_smoothing")
        for value in ("nan", "inf", -1, [], {}, True, "../x")
    }
    | {
        f"a checkpoint's option {name}: {value!r}"[:70]: option(name, value)
        for name in ("dtype", "schedule")
        for value in ("float16", "../x", 7, [], {})
    }
    | {
        f"a checkpoint names {value!r} to {name}": option(name, value)
        for name in ("save", "plots", "resume", "device", "backend", "backends", "compare", "sav", "prompt", "known_data", "help")
        for value in ("/tmp/scratch-parity-never", "../never", "cuda", True)
    }
    | {
        f"a checkpoint's data is {value!r}": option("data", value)
        for value in ("/etc/passwd", "../x", "/dev/zero", "mnist", 7, ["names"])
    }
)
ODD_RUNS = {
    f"a checkpoint: {name}": arrays(RUN, change)
    for name, change in {
        "a weight is NaN": but("model.head.weight", first_is(np.nan)),
        "a weight is missing": drop("model.head.weight"),
        "one weight more": put("model.more", np.zeros(3)),
        "a transposed weight": but("model.head.weight", np.transpose),
        "an optimiser's moment is infinite": but("optimizer.0.exp_avg", first_is(np.inf)),
        "an optimiser's moment is missing": drop("optimizer.0.exp_avg"),
        "an optimiser's moment is flat": but("optimizer.0.exp_avg", np.ravel),
        "an optimiser's moment is whole": but("optimizer.0.exp_avg", lambda a: a.astype(np.int64)),
        "an optimiser of one parameter more": put("optimizer.99.step", np.float32(1)),
        "an optimiser of a parameter of no number": put("optimizer.x.step", np.float32(1)),
        "an optimiser of a parameter -1": put("optimizer.-1.step", np.float32(1)),
        "an optimiser of a parameter of 5,000 digits": put(f"optimizer.{'9' * 5000}.step", np.float32(1)),
        "an optimiser of nothing": put("optimizer.", np.float32(1)),
        "an optimiser with more": put("optimizer.0.momentum", np.float32(1)),
        "a state that there should not be": put("state.0", np.zeros((1, 2, 3), np.float32)),
        "a state of no number": put("state.x", np.zeros((1, 2, 3), np.float32)),
        "no losses": drop("history.losses"),
        "no scores": drop("history.scores"),
        "too few losses": but("history.losses", lambda a: a[:-1]),
        "losses of two": but("history.losses", lambda a: np.repeat(a, 2, axis=1)),
        "losses that are whole": but("history.losses", lambda a: a.astype(np.int64)),
        "a loss is NaN": but("history.losses", first_is(np.nan)),
        "scores in a row": but("history.scores", np.ravel),
    }.items()
}
RUNS = damaged(RUN) | damaged_arrays(RUN) | DESCRIPTIONS | OPTIONS | ODD_RUNS
