#!/usr/bin/env python3
"""Train models on 30 synthetic features, each in its own format and as ONNX; those of trees have 100.

Usage:  python make_models.py OUT_DIR   (needs scikit-learn, xgboost, lightgbm, skl2onnx, onnxmltools)

Writes  NAME.joblib|ubj|txt, NAME.onnx (single precision, as usual), for models of sums NAME.f64.onnx (double
precision, as the library itself computes), and rows.f64: 256 rows of little-endian f64.
"""

import sys
from pathlib import Path

import joblib
import lightgbm
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
x, y = make_classification(
    n_samples=8_000, n_features=30, n_informative=18, n_redundant=6, n_clusters_per_class=3,
    flip_y=0.03, class_sep=0.8, random_state=7,
)
x = x.astype("float32").astype("float64")
(out / "rows.f64").write_bytes(x[:256].astype("<f8").tobytes())

scikit = {
    "forest": RandomForestClassifier(100, random_state=0, n_jobs=1),
    "gradient": GradientBoostingClassifier(n_estimators=100, random_state=0),
    "histogram": HistGradientBoostingClassifier(max_iter=100, random_state=0),
    "logistic": LogisticRegression(max_iter=1000),
    "scaled_logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "perceptron": MLPClassifier((100,), max_iter=30, random_state=0),
    "perceptron_deep": MLPClassifier((256, 128), max_iter=10, random_state=0),
}
options = {"options": {"zipmap": False}, "target_opset": {"": 18, "ai.onnx.ml": 3}}
for name, model in scikit.items():
    joblib.dump(model.fit(x, y), out / f"{name}.joblib")
    onnx = to_onnx(model, x[:1].astype("float32"), **options)
    (out / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    if name.startswith("perceptron"):
        (out / f"{name}.f64.onnx").write_bytes(to_onnx(model, x[:1], **options).SerializeToString())

types = [("input", FloatTensorType([None, x.shape[1]]))]
model = xgboost.XGBClassifier(n_estimators=100, max_depth=6, n_jobs=1).fit(x, y)
model.save_model(out / "xgboost.ubj")
(out / "xgboost.onnx").write_bytes(onnxmltools.convert_xgboost(model, initial_types=types).SerializeToString())
model = lightgbm.LGBMClassifier(n_estimators=100, num_leaves=31, n_jobs=1, verbose=-1).fit(x, y)
model.booster_.save_model(out / "lightgbm.txt")
onnx = onnxmltools.convert_lightgbm(model, initial_types=types, zipmap=False)
# The converter declares one label whatever the batch; ONNX Runtime then refuses more than one row.
onnx.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "rows"
(out / "lightgbm.onnx").write_bytes(onnx.SerializeToString())
