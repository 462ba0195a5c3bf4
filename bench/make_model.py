#!/usr/bin/env python3
"""Train the benchmark's model: 100 trees of depth 10 on 30 synthetic features.

Usage:  python make_model.py OUT_DIR      (needs numpy, scikit-learn, joblib)

Writes  forest.joblib, row.json (one row), rows64.json (64 rows) as request bodies.
"""

import json
import sys
from pathlib import Path

import joblib
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
x, y = make_classification(
    n_samples=20_000, n_features=30, n_informative=18, n_redundant=6, n_clusters_per_class=3,
    flip_y=0.03, class_sep=0.8, random_state=7,
)
forest = RandomForestClassifier(100, max_depth=10, random_state=0, n_jobs=1).fit(x, y)
joblib.dump(forest, out / "forest.joblib")
rows = x[:256].round(6).tolist()
(out / "row.json").write_text(json.dumps({"inputs": rows[:1]}, separators=(",", ":")))
(out / "rows64.json").write_text(json.dumps({"inputs": rows[:64]}, separators=(",", ":")))
# One body per line: a load generator that varies its rows keeps caches honest.
(out / "rows.jsonl").write_text(
    "\n".join(json.dumps({"inputs": [row]}, separators=(",", ":")) for row in rows) + "\n"
)
