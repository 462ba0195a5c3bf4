#!/usr/bin/env python3
"""Compare Plimsoll's full path with a bare axum handler around the same model.

One core for the server, one for the client (wrk), both servers measured in turn
in several rounds of one run, so that what else the machine does hits both. The
figure that counts is CPU time per request; medians over the rounds.

Two figures of ours: `answer_us`, of the threads that answer (which write the
journal and the request log), and `cpu_us`, of the whole process: the threads
that move the journal into the log run beside them, also while nobody asks.
At the end: memory at rest and the time to be ready, with three small models.

Usage:  python run.py [--seconds 4] [--rounds 5]
Needs:  wrk, taskset, the release binaries, bench models (bench/run.sh makes them).
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
MODELS = TARGET / "bench"
SMALL = [ROOT / "fixtures/sklearn/1.5.2" / name
         for name in ("iris_logistic.joblib", "cancer_forest.joblib", "diabetes_tree.joblib")]


def cpu_seconds(pid: int) -> tuple[float, float]:
    """CPU time of the whole process, and of the threads that answer.

    On one core the main thread answers; those called tokio-rt-worker run what may block.
    """
    whole, answering = 0.0, 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, seconds = (task / "comm").read_text().strip(), int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:
            continue
        whole += seconds
        if int(task.name) == pid or name == "log" or name.startswith("engine-"):
            answering += seconds
    return whole, answering


def resident_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


def wait_for(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{url} did not answer")


def start_bare() -> tuple[subprocess.Popen, str, str]:
    process = subprocess.Popen(
        ["taskset", "-c", "0", TARGET / "release/plimsoll-bench-bare", MODELS / "forest.joblib", "18080"]
    )
    wait_for("http://127.0.0.1:18080/")
    return process, "http://127.0.0.1:18080/predict", ""


def start_plimsoll(folder: str) -> tuple[subprocess.Popen, str, str]:
    log = open(Path(folder) / "log", "w")
    process = subprocess.Popen(
        ["taskset", "-c", "0", TARGET / "release/plimsoll", "serve", MODELS / "forest.joblib",
         "--listen", "127.0.0.1:18081", "--data-dir", Path(folder) / "data"],
        stdout=subprocess.PIPE, stderr=log, text=True,
    )
    wait_for("http://127.0.0.1:18081/health/ready")
    key = ""
    for line in process.stdout:
        found = re.search(r"plim_live_[0-9A-Za-z]{59}", line)
        if found:
            key = found.group(0)
            break
    if not key:
        sys.exit("the server printed no key")
    return process, "http://127.0.0.1:18081/api/v1/models/forest/predict", key


def load(url: str, bodies: Path, key: str, connections: int, seconds: int, pause_ms: int = 0) -> list[int]:
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
               "-s", str(ROOT / "bench/varied.lua"), url, "--", str(bodies), key or "-"]
    command += [str(pause_ms)] if pause_ms else []
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in text.splitlines() if line.startswith("RESULT"))
    return [int(word) for word in line.split()[1:]]


def measure(server, bodies: Path, connections: int, pause_ms: int, seconds: int) -> dict:
    process, url, key = server
    load(url, bodies, key, connections, 1, pause_ms)
    before = cpu_seconds(process.pid)
    requests, micros, p50, p99, errors = load(url, bodies, key, connections, seconds, pause_ms)
    after = cpu_seconds(process.pid)
    whole, answering = ((now - then) / requests * 1e6 for now, then in zip(after, before))
    return {"rps": requests / micros * 1e6, "answer_us": answering, "cpu_us": whole, "p50_ms": p50 / 1e3,
            "p99_ms": p99 / 1e3, "errors": errors}


def at_rest(models: list[Path]) -> dict:
    """Memory of a server that was asked nothing, and how long two starts took."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for start in ("first", "second"):
            began = time.monotonic()
            process = subprocess.Popen(
                [TARGET / "release/plimsoll", "serve", *models, "--listen", "127.0.0.1:18082",
                 "--data-dir", Path(folder) / "data"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            # It says so once it is ready and its models answer.
            process.stdout.readline(), process.stdout.readline()
            found[f"{start}_start_ms"] = round((time.monotonic() - began) * 1e3, 1)
            found[f"{start}_start_cpu_ms"] = round(cpu_seconds(process.pid)[0] * 1e3, 1)
            time.sleep(2)
            found["resident_mib"] = round(resident_mib(process.pid), 1)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--rounds", type=int, default=5)
    options = options.parse_args()
    rows64 = MODELS / "rows64.json"
    rows = MODELS / "rows.jsonl"
    # Bodies, connections, and the pause of a connection before each request.
    workloads = {
        "1 row, 32 connections, the same load": (rows, 32, 2),
        "1 row, 32 connections, full": (rows, 32, 0),
        "1 row, 1 connection": (rows, 1, 0),
        "64 rows, 8 connections": (rows64, 8, 0),
    }
    with tempfile.TemporaryDirectory() as folder:
        servers = {"bare": start_bare(), "plimsoll": start_plimsoll(folder)}
        try:
            results = {}
            for name, workload in workloads.items():
                rounds = {server: [] for server in servers}
                for _ in range(options.rounds):
                    for server, started in servers.items():
                        rounds[server].append(measure(started, *workload, options.seconds))
                results[name] = {
                    server: {figure: round(statistics.median(r[figure] for r in taken), 2) for figure in taken[0]}
                    for server, taken in rounds.items()
                }
                bare, ours = results[name]["bare"], results[name]["plimsoll"]
                results[name]["answer_ratio"] = round(ours["answer_us"] / bare["cpu_us"], 2)
                results[name]["cpu_ratio"] = round(ours["cpu_us"] / bare["cpu_us"], 2)
                results[name]["p99_ratio"] = round(ours["p99_ms"] / bare["p99_ms"], 2)
                print(json.dumps({name: results[name]}), flush=True)
            loaded = {s: round(resident_mib(p.pid), 1) for s, (p, *_) in servers.items()}
            print(json.dumps({"resident_mib_after_load": loaded}))
        finally:
            for process, *_ in servers.values():
                process.send_signal(signal.SIGTERM)
            for process, *_ in servers.values():
                process.wait(timeout=60)
    print(json.dumps({"three small models": at_rest(SMALL)}))


if __name__ == "__main__":
    main()
