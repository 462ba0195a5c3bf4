#!/usr/bin/env python3
"""Train tree models of 100 trees on 30 synthetic features, each in its own format and as ONNX.

Usage:  python make_models.py OUT_DIR   (needs scikit-learn, xgboost, lightgbm, skl2onnx, onnxmltools)

Writes  NAME.joblib|ubj|txt, NAME.onnx, and rows.f64: 256 rows of little-endian f64.
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
}
for name, model in scikit.items():
    joblib.dump(model.fit(x, y), out / f"{name}.joblib")
    onnx = to_onnx(model, x[:1].astype("float32"), options={"zipmap": False}, target_opset={"": 18, "ai.onnx.ml": 3})
    (out / f"{name}.onnx").write_bytes(onnx.SerializeToString())

types = [("input", FloatTensorType([None, x.shape[1]]))]
model = xgboost.XGBClassifier(n_estimators=100, max_depth=6, n_jobs=1).fit(x, y)
model.save_model(out / "xgboost.ubj")
(out / "xgboost.onnx").write_bytes(onnxmltools.convert_xgboost(model, initial_types=types).SerializeToString())
model = lightgbm.LGBMClassifier(n_estimators=100, num_leaves=31, n_jobs=1, verbose=-1).fit(x, y)
model.booster_.save_model(out / "lightgbm.txt")
onnx = onnxmltools.convert_lightgbm(model, initial_types=types, zipmap=False)
(out / "lightgbm.onnx").write_bytes(onnx.SerializeToString())
