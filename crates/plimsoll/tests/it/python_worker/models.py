"""Writes a model file to standard output: the library's own, or one whose code is given on standard input.

    python models.py kernel            a classifier with a kernel that nothing but its library knows
    python models.py answers           what its library answers to the rows on standard input
    python models.py code < model.py   a pickle that runs this code; the class in it is called Model
"""

import io
import json
import pickle
import sys


def kernel():
    from sklearn.datasets import load_iris
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel

    flowers = load_iris()
    rows, names = flowers.data[::3], flowers.target_names[flowers.target[::3]]
    return GaussianProcessClassifier(RBF() + WhiteKernel(), n_jobs=2).fit(rows, names)


class Code:
    def __init__(self, text):
        self.text = text

    def __reduce__(self):
        return eval, (f"(lambda names: (exec({self.text!r}, names), names['Model']())[1])({{}})",)


def main(wanted):
    if wanted == "answers":
        model, rows = kernel(), json.load(sys.stdin)
        labels, chances = model.predict(rows).tolist(), model.predict_proba(rows).tolist()
        print(json.dumps({"predictions": labels, "probabilities": chances}))
        return
    model = kernel() if wanted == "kernel" else Code(sys.stdin.read())
    content = io.BytesIO()
    pickle.dump(model, content, protocol=4)
    sys.stdout.buffer.write(content.getvalue())


main(sys.argv[1])
