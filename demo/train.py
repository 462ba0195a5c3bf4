#!/usr/bin/env python3
"""Train the demo models: real scikit-learn models on its bundled data.

Usage:  python train.py OUT_DIR
Needs:  numpy scikit-learn joblib skl2onnx

Writes  breast-cancer.joblib   StandardScaler + LogisticRegression, 30 features
        wine-forest.joblib     RandomForestClassifier, 13 features
        diabetes-onnx.onnx     Ridge regression, exported with skl2onnx
Seeds are fixed, so the files are the same every time for one set of versions.
"""

import sys
from pathlib import Path

import joblib
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)

    x, y = load_breast_cancer(return_X_y=True)
    cancer = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    joblib.dump(cancer, out / "breast-cancer.joblib")

    x, y = load_wine(return_X_y=True)
    wine = RandomForestClassifier(n_estimators=100, random_state=0).fit(x, y)
    joblib.dump(wine, out / "wine-forest.joblib")

    x, y = load_diabetes(return_X_y=True)
    diabetes = make_pipeline(StandardScaler(), Ridge()).fit(x, y)
    onnx = to_onnx(diabetes, x[:1].astype("float32"), target_opset=17)
    (out / "diabetes-onnx.onnx").write_bytes(onnx.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
