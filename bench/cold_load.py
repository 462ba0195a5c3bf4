#!/usr/bin/env python3
"""How long a cold load takes: a model is let go of and loaded again, over HTTP, on a server of its own.

Usage:  python3 bench/cold_load.py PLIMSOLL MODEL_FILE [LOADS]     (LOADS: 200)

Prints the median and the tenth of `load_ms` (inside the server: check, open, run the example row) and of the whole
request, the memory of the model as the server counts it, and the growth of the process over all loads.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

program, model = sys.argv[1:3]
loads = int(sys.argv[3]) if len(sys.argv) > 3 else 200


def call(method, url, key, body=None, content_type=None):
    headers = {"Authorization": f"Bearer {key}"}
    if content_type:
        headers["Content-Type"] = content_type
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def upload(url, key, content):
    edge = uuid.uuid4().hex
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="name"\r\n\r\nm\r\n'.encode(),
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="m"\r\n\r\n'.encode(),
        content,
        f"\r\n--{edge}--\r\n".encode(),
    ]
    call("POST", f"{url}/api/v1/models", key, b"".join(parts), f"multipart/form-data; boundary={edge}")


def resident(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


with tempfile.TemporaryDirectory() as folder:
    environment = {"PATH": os.environ["PATH"], "PLIMSOLL_DATA_DIR": f"{folder}/data"}
    create = [program, "key", "create", "--name", "bench", "--scope", "admin", "--rate-limit", "0", "--json"]
    key = json.loads(subprocess.run(create, env=environment, check=True, capture_output=True).stdout)["api_key"]
    serve = [program, "serve", "--json", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(serve, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        url = json.loads(process.stdout.readline())["url"]
        with open(model, "rb") as file:
            upload(url, key, file.read())
        path = f"{url}/api/v1/models/m/versions/1/load"
        inside, whole = [], []
        for index in range(loads + 60):
            call("DELETE", path, key)
            started = time.perf_counter()
            loaded = json.loads(call("POST", path, key))
            if index == 59:
                before = resident(process)
            if index >= 60:
                whole.append((time.perf_counter() - started) * 1e3)
                inside.append(loaded["load_ms"])
            # The check of a large original runs behind the load.
            time.sleep(0.02)
        after = resident(process)
        for name, figures in [("in the server", inside), ("request", whole)]:
            tenth = statistics.quantiles(figures, n=10)[0]
            print(f"{name:14} median {statistics.median(figures):6.2f} ms, fastest tenth {tenth:6.2f} ms")
        print(f"{'model':14} {loaded['resident_bytes'] / 2**20:.2f} MiB of a file of {os.path.getsize(model) / 2**20:.2f} MiB")
        print(f"{'process':14} {before:.1f} MiB, after {loads} more loads {after:.1f} MiB ({after / before - 1:+.1%})")
    finally:
        process.terminate()
        process.wait()
