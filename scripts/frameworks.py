"""Serves models of PyTorch or TensorFlow through a Python worker and compares the answers with the library's.

Run by scripts/frameworks.sh with a Python that has one of them:

    python scripts/frameworks.py PROGRAM
"""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROWS = [[0.5, -1.0, 2.0, 0.25], [0.0, 0.0, 0.0, 0.0], [3.0, 1.0, -2.0, 8.0]]


def torch_files(folder):
    """Files of PyTorch, each with what it answers to ROWS."""
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
    model = torch.nn.Sequential(*layers).eval()
    example = torch.tensor(ROWS)
    with torch.no_grad():
        expected = model(example).tolist()
    torch.jit.trace(model, example).save(folder / "torchscript.pt")
    rows = ({0: torch.export.Dim("rows")},)
    torch.export.save(torch.export.export(model, (example,), dynamic_shapes=rows), folder / "exported.pt2")
    torch.save(model, folder / "module.pth")
    return {name: expected for name in ("torchscript.pt", "exported.pt2", "module.pth")}


def keras_files(folder):
    """Files of Keras and TensorFlow, each with what it answers to ROWS."""
    import keras
    import numpy

    keras.utils.set_random_seed(0)
    layers = keras.layers.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)
    model = keras.Sequential(layers)
    expected = numpy.asarray(model(numpy.array(ROWS, dtype="f4"))).tolist()
    model.save(folder / "archive.keras")
    model.save(folder / "weights.h5")
    model.export(folder / "saved")
    shutil.make_archive(folder / "saved", "zip", folder, "saved")
    return {name: expected for name in ("archive.keras", "weights.h5", "saved.zip")}


def served(program, folder, name):
    """What the server answers, the largest memory of its worker, and how long it took to load."""
    started = time.monotonic()
    command = [program, "serve", "--dev", "--json", "--listen", "127.0.0.1:0", "--data-dir", folder / "data",
               "--set", f"engine.python={sys.executable}", "--set", "engine.python_memory=16GiB", folder / name]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        line = server.stdout.readline()
        if not line:
            raise SystemExit(f"{name}: {server.stderr.read().decode()}")
        loading = time.monotonic() - started
        base = json.loads(line)["url"]
        stem = pathlib.Path(name).stem
        request = urllib.request.Request(
            f"{base}/api/v1/models/{stem}/predict",
            json.dumps({"inputs": ROWS}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.load(reply)["predictions"], loading
    finally:
        server.terminate()
        server.wait(30)


def main(program):
    files = torch_files if importlib.util.find_spec("torch") else keras_files
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, expected in files(folder).items():
            answers, loading = served(program, folder, name)
            pairs = [(a, e) for got, want in zip(answers, expected) for a, e in zip(got, want)]
            worst = max(abs(a - e) for a, e in pairs)
            print(f"{name}: {len(pairs)} numbers, largest difference {worst:.1e}, served after {loading:.1f} s")
            if len(pairs) != 9 or worst > 1e-6:
                raise SystemExit(f"{name} is answered otherwise than by its library")


main(sys.argv[1])
