"""Loads one model and answers for it: the Python side of a worker.

Descriptor 0 is the model file, descriptor 1 the socket of frames, and the only
argument says what kind of file it is. The process has been confined before
this program began. The frames are described in frame.rs and message.rs.
"""

import importlib.util
import json
import os
import re
import struct
import sys

PREFIX = struct.Struct("<IQ")
DETAIL = 300  # longest sentence about a failure, in characters


class Channel:
    """Frames over a socket."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def send(self, head, body=b""):
        head = json.dumps(head).encode()
        rest = memoryview(PREFIX.pack(len(head), len(body)) + head + body)
        while rest:
            rest = rest[os.write(self.descriptor, rest):]

    def receive(self):
        head, body = PREFIX.unpack(self.read(PREFIX.size))
        return json.loads(self.read(head)), self.read(body)

    def read(self, length):
        parts = []
        while length:
            part = os.read(self.descriptor, min(length, 1 << 20))
            if not part:
                sys.exit(0)  # the server is gone or does not want us any more
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


def take_channel():
    """The socket, out of reach of what libraries print; nothing else stays open."""
    os.closerange(3, 256)
    channel = Channel(os.dup(1))
    os.dup2(2, 1)
    return channel


def silence():
    """What a model prints is not wanted, and must not fill a pipe nobody reads."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def failure(error):
    """What the server is told of an exception."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return {"type": "failed", "reason": "missing-module", "detail": error.name}
    reason = "input" if isinstance(error, ValueError) else "error"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return {"type": "failed", "reason": reason, "detail": text[:DETAIL]}


def installed(name):
    return importlib.util.find_spec(name) is not None


# --- loading, by the kind of file ------------------------------------------------


def load_pickle(file):
    """Everything that joblib or pickle wrote; cloudpickle's need no more than being installed."""
    if installed("joblib"):
        import joblib

        return joblib.load(file)
    import pickle

    return pickle.load(file)


def load_torchscript(file):
    import torch

    return torch.jit.load(file, map_location="cpu")


def load_torch_export(file):
    import torch

    return torch.export.load(file).module()


def load_torch_pickle(file):
    import torch

    return torch.load(file, map_location="cpu", weights_only=False)


def load_keras(file):
    if not installed("tensorflow"):
        os.environ["KERAS_BACKEND"] = "torch" if installed("torch") else "jax"
    import keras

    # Keras chooses its reader by the ending.
    content = file.read()
    name = "model.h5" if content.startswith(b"\x89HDF") else "model.keras"
    with open(name, "wb") as copy:
        copy.write(content)
    return keras.saving.load_model(name, compile=False, safe_mode=False)


def load_saved_model(file):
    import zipfile

    import tensorflow

    with zipfile.ZipFile(file) as archive:
        archive.extractall("model")
    for folder, _, names in os.walk("model"):
        if "saved_model.pb" in names:
            return tensorflow.saved_model.load(folder)
    raise LookupError("no saved_model.pb in the archive")


LOADERS = {
    "pickle": load_pickle,
    "torch-script": load_torchscript,
    "torch-export": load_torch_export,
    "torch-pickle": load_torch_pickle,
    "keras": load_keras,
    "saved-model": load_saved_model,
}


# --- fields and arrays -----------------------------------------------------------


def field(name, kind, shape=(), nullable=False):
    return {"name": name, "type": kind, "nullable": nullable, "shape": list(shape)}


def type_of(array):
    kinds = {"i": "int64", "u": "int64", "b": "bool"}
    if array.dtype.kind == "f":
        return "float32" if array.dtype.itemsize <= 4 else "float64"
    return kinds.get(array.dtype.kind, "string")


def encoded(array, kind):
    """Bytes of a column, as message.rs reads them."""
    import numpy

    if kind == "string":
        return json.dumps([None if v is None else str(v) for v in array.ravel().tolist()]).encode()
    types = {"float64": "<f8", "float32": "<f4", "int64": "<i8", "bool": "u1"}
    return numpy.ascontiguousarray(array, dtype=types[kind]).tobytes()


def decoded(columns, rows, body):
    """Arrays of a frame's body: (rows, width) or (rows, *shape)."""
    import numpy

    types = {"float64": "<f8", "float32": "<f4", "int64": "<i8", "bool": "?"}
    arrays, start = [], 0
    for column in columns:
        part = body[start:start + column["bytes"]]
        start += column["bytes"]
        shape = (rows, *(column["shape"] or [column["width"]]))
        if column["data_type"] == "string":
            array = numpy.array(json.loads(part), dtype=object)
        else:
            array = numpy.frombuffer(part, types[column["data_type"]])
        arrays.append(array.reshape(shape))
    return arrays


def outputs_of(answers, name="prediction"):
    """Fields for the arrays that one row was answered with."""
    fields = []
    for index, array in enumerate(answers):
        label = name if len(answers) == 1 else f"{name}{index}"
        fields.append(field(label, type_of(array), array.shape[1:] if array.ndim > 1 else ()))
    return fields


def flat(array):
    """One column of single values has no second dimension."""
    import numpy

    array = numpy.asarray(array)
    return array.reshape(len(array)) if array.ndim == 2 and array.shape[1] == 1 else array


def version_of(model):
    """Name and version of the library that made the model."""
    import importlib.metadata

    module = type(model).__module__.split(".")[0]
    name = {"sklearn": "scikit-learn"}.get(module, module)
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return name


# --- models over tables: scikit-learn and whatever has `predict` -------------------


def steps_of(model):
    """The model and everything inside pipelines, with the columns each part gets."""
    yield model, None
    for _, step in getattr(model, "steps", None) or ():
        yield from steps_of(step)
    for _, transformer, columns in getattr(model, "transformers_", None) or ():
        for step, _ in steps_of(transformer):
            yield step, columns


def text_columns(model):
    """Names of the columns whose encoders learned texts, or that are split into words."""
    found = set()
    for step, columns in steps_of(model):
        if columns is None or isinstance(columns, (slice, int)):
            continue
        if isinstance(columns, str):
            found.add(columns)
        categories = getattr(step, "categories_", None) or ()
        found.update(name for name, known in zip(columns, categories) if known.dtype.kind in "OUS")
    return found


class Table:
    """A model with `predict` over rows of named or numbered columns."""

    def __init__(self, model):
        self.model = model
        self.frame = getattr(model, "feature_names_in_", None) is not None and installed("pandas")
        names = getattr(model, "feature_names_in_", None)
        if names is None:
            names = getattr(getattr(model, "model", None), "exog_names", None)
        width = getattr(model, "n_features_in_", None) or (getattr(model, "shape_fit_", None) or (0, None))[1]
        if names is None and width is not None:
            names = [f"x{index}" for index in range(width)]
        self.names = None if names is None else [str(name) for name in names]
        self.texts = text_columns(model)
        self.classes = self.known_classes()
        self.library = version_of(model)
        self.algorithm = type(model).__name__
        self.one_job()

    def known_classes(self):
        classes = getattr(self.model, "classes_", None)
        plain = getattr(getattr(classes, "dtype", None), "kind", None)
        return classes if plain is not None and plain in "biufUSO" and classes.ndim == 1 else None

    def one_job(self):
        """The processors belong to the server."""
        if not hasattr(self.model, "get_params"):
            return
        jobs = [name for name in self.model.get_params() if name.split("__")[-1] == "n_jobs"]
        self.model.set_params(**dict.fromkeys(jobs, 1))

    def inputs(self):
        if self.names is None:
            return [field("input", "float64", [None])]
        return [
            field(name, "string" if name in self.texts else "float64", nullable=True)
            for name in self.names
        ]

    def example(self):
        """One row of zeros and of the first known texts; nothing if the width is unknown."""
        import numpy

        if self.names is None:
            return None
        numbers = numpy.zeros((1, len(self.names) - len(self.texts)))
        texts = numpy.array([[""] * len(self.texts)], dtype=object)
        first_is_text = self.names[0] in self.texts
        blocks = [texts, numbers] if first_is_text else [numbers, texts]
        return [block for block in blocks if block.shape[1]]

    def rows(self, arrays):
        """What `predict` takes, from one array of numbers and one of texts."""
        if not self.frame and len(arrays) == 1:
            return arrays[0]
        columns = {array.dtype == object: iter(array.T) for array in arrays}
        ordered = [next(columns[name in self.texts]) for name in self.names]
        if self.frame:
            import pandas

            return pandas.DataFrame(dict(zip(self.names, ordered)), columns=self.names)
        import numpy

        return numpy.array(ordered, dtype=object).T

    def answer(self, arrays):
        import numpy

        rows = self.rows(arrays)
        predicted = flat(self.model.predict(rows))
        if self.classes is None:
            return [predicted]
        positions = {label: index for index, label in enumerate(self.classes.tolist())}
        labels = numpy.array([positions[label] for label in predicted.tolist()], dtype="<i8")
        if not hasattr(self.model, "predict_proba"):
            return [labels]
        return [labels, numpy.asarray(self.model.predict_proba(rows), dtype="<f8")]

    def task(self):
        if self.classes is not None:
            return "classification"
        kind = getattr(self.model, "_estimator_type", None)
        known = {"regressor": "regression", "clusterer": "clustering", "outlier_detector": "outlier"}
        return known.get(kind, "regression" if kind is None else "other")


# --- models over tensors -----------------------------------------------------------


class Torch:
    """A module of PyTorch with one input."""

    def __init__(self, model):
        import torch

        torch.set_num_threads(1)
        self.model = model
        if hasattr(model, "eval") and not type(model).__name__.startswith("GraphModule"):
            model.eval()
        self.classes = None
        self.library = f"torch {torch.__version__}"
        self.algorithm = getattr(model, "original_name", type(model).__name__)
        self.shape = self.fitting_shape()

    def fitting_shape(self):
        """The first layer with weights tells what a row looks like; a trial tells whether that is so."""
        for weight in self.model.parameters():
            guesses = {2: [[weight.shape[-1]]], 4: [[weight.shape[1], 224, 224], [weight.shape[1], 28, 28]]}
            for shape in guesses.get(weight.ndim, ()):
                if self.takes(shape):
                    return shape
            break
        return None

    def takes(self, shape):
        import numpy

        try:
            self.answer([numpy.zeros((1, *shape), dtype="<f4")])
        except Exception:
            return False
        return True

    def inputs(self):
        return [field("input", "float32", self.shape or [None])]

    def example(self):
        import numpy

        return self.shape and [numpy.zeros((1, *self.shape), dtype="<f4")]

    def answer(self, arrays):
        import torch

        with torch.inference_mode():
            answered = self.model(torch.from_numpy(arrays[0].copy()))
        tensors = answered.values() if isinstance(answered, dict) else answered
        tensors = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
        return [flat(tensor.numpy()) for tensor in tensors]

    def task(self):
        return "other"


class Keras:
    """A model of Keras with one input or several."""

    def __init__(self, model):
        import keras

        self.model = model
        self.classes = None
        self.library = f"keras {keras.__version__}"
        self.algorithm = type(model).__name__

    def inputs(self):
        kinds = {"float64": "float64", "int64": "int64", "int32": "int64", "bool": "bool", "string": "string"}
        return [
            field(tensor.name, kinds.get(str(tensor.dtype), "float32"), tensor.shape[1:] or [1])
            for tensor in self.model.inputs
        ]

    def example(self):
        import numpy

        shapes = [[size or 1 for size in tensor.shape[1:] or [1]] for tensor in self.model.inputs]
        return [numpy.zeros((1, *shape), dtype="<f4") for shape in shapes]

    def answer(self, arrays):
        import keras

        answered = self.model(arrays[0] if len(arrays) == 1 else arrays, training=False)
        answered = answered if isinstance(answered, (list, tuple)) else [answered]
        return [flat(keras.ops.convert_to_numpy(tensor)) for tensor in answered]

    def task(self):
        return "other"


class SavedModel:
    """The default signature of a SavedModel."""

    def __init__(self, model):
        import tensorflow

        self.loaded = model  # the signature does not keep it alive
        self.signature = model.signatures["serving_default"]
        self.specs = self.signature.structured_input_signature[1]
        self.classes = None
        self.library = f"tensorflow {tensorflow.__version__}"
        self.algorithm = "SavedModel"

    def inputs(self):
        kinds = {"float64": "float64", "int64": "int64", "int32": "int64", "bool": "bool", "string": "string"}
        return [
            field(name, kinds.get(spec.dtype.name, "float32"), list(spec.shape)[1:] or [1])
            for name, spec in self.specs.items()
        ]

    def example(self):
        import numpy

        shapes = [[size or 1 for size in list(spec.shape)[1:] or [1]] for spec in self.specs.values()]
        return [numpy.zeros((1, *shape), dtype="<f4") for shape in shapes]

    def answer(self, arrays):
        import tensorflow

        given = {
            name: tensorflow.cast(array, spec.dtype)
            for (name, spec), array in zip(self.specs.items(), arrays)
        }
        return [flat(tensor.numpy()) for _, tensor in sorted(self.signature(**given).items())]

    def task(self):
        return "other"


def adapted(kind, model):
    if kind.startswith("torch"):
        if not callable(model):
            raise TypeError(f"the file holds a {type(model).__name__}, not a module with a graph")
        return Torch(model)
    if kind == "keras":
        return Keras(model)
    if kind == "saved-model":
        return SavedModel(model)
    if "torch" in sys.modules and isinstance(model, sys.modules["torch"].nn.Module):
        return Torch(model)
    if not callable(getattr(model, "predict", None)):
        raise TypeError(f"the file holds a {type(model).__name__}, which has no predict")
    return Table(model)


# --- the life of a worker ------------------------------------------------------------


def resident_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024


def described(model):
    """What a loaded model is, found out with one row."""
    example = model.example()
    answers = None if example is None else model.answer(example)
    if model.classes is not None:
        outputs = []
    elif answers is None:
        outputs = [field("prediction", "float64", [])]
    else:
        outputs = outputs_of(answers)
    return {
        "type": "loaded",
        "algorithm": model.algorithm,
        "library": model.library,
        "task": model.task(),
        "inputs": model.inputs(),
        "outputs": outputs,
        "classes": [] if model.classes is None else model.classes.tolist(),
        "probabilities": model.classes is not None and hasattr(model.model, "predict_proba"),
        "resident_bytes": resident_bytes(),
    }


def answered(model, head, body):
    """The answer to one frame."""
    answers = model.answer(decoded(head["columns"], head["rows"], body))
    columns, parts = [], []
    for array in answers:
        kind, shape = type_of(array), list(array.shape[1:])
        parts.append(encoded(array, kind))
        width = array.size // max(len(array), 1)
        columns.append({"data_type": kind, "width": width, "shape": shape, "bytes": len(parts[-1])})
    return {"type": "answer", "columns": columns}, b"".join(parts)


def main(kind):
    channel = take_channel()
    guards = [guard for guard in os.environ.get("PLIMSOLL_GUARDS", "").split(",") if guard]
    channel.send({"type": "hello", "python": sys.version.split()[0], "guards": guards})
    if kind == "nothing":
        return
    try:
        with os.fdopen(os.dup(0), "rb") as file:
            silence()
            model = adapted(kind, LOADERS[kind](file))
        loaded = described(model)
    except Exception as error:
        channel.send(failure(error))
        return
    channel.send(loaded)
    while True:
        head, body = channel.receive()
        try:
            answer = answered(model, head, body)
        except Exception as error:
            answer = (failure(error), b"")
        channel.send(*answer)


main(sys.argv[1])
