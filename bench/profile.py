#!/usr/bin/env python3
"""Say where each microsecond of a request goes.

Samples the thread that answers while wrk asks for single rows, gives each
sample to a part by its function (or by the system call it is in), and scales
the shares to the CPU time per request of the same run.

Usage:  python profile.py [--seconds 8]       (as root: needs perf, wrk, nm)
"""

import argparse
import bisect
import collections
import re
import subprocess
import tempfile

import run

# The first pattern found in any frame of a sample, innermost first, decides.
PARTS = [
    ("kernel: send the answer", r"\[k\] tcp_sendmsg$"),
    ("kernel: receive the request", r"\[k\] __sys_recvfrom$"),
    ("kernel: wait for sockets", r"\[k\] (do_epoll_wait|__x64_sys_epoll)"),
    ("kernel: write the journal", r"\[k\] ext4_"),
    ("kernel: wake other threads, switch to them", r"\[k\] (do_futex|__schedule|schedule)$"),
    ("model", r"^(<?plimsoll_engine|<?plimsoll_core::column)"),
    ("body to columns", r"plimsoll_core::decode"),
    ("answer to JSON", r"plimsoll_app::serving::answer|^<?serde_json|^<?serde_core|zmij|itoa"),
    ("record for the journal", r"plimsoll_core::record|^<?plimsoll_journal|crc32c|history::record|capture"),
    ("move records into the log", r"sqlx|flume|history::ingest|history::batch|plimsoll_store"),
    ("request log", r"plimsoll::logging|tracing|edge::line"),
    ("credential", r"sha2|subtle|crc32fast|auth::|plimsoll_core::key|extract::auth"),
    ("counters", r"prometheus|metrics|meters"),
    ("edge, extractors, handler", r"plimsoll_http::(edge|extract|routes|context|problem)"),
    ("connection's watch", r"plimsoll_http::server"),
    ("look-up of model and version", r"plimsoll_app|plimsoll_core"),
    ("routing", r"axum|tower|matchit"),
    ("HTTP/1 and headers", r"hyper|httparse|^<?http::|http_body|httpdate"),
    ("runtime", r"tokio|futures|want::|mio"),
    ("clock", r"clock_gettime|Timespec|SystemTime"),
    ("memory: allocate, free, copy, compare", r"malloc|cfree|realloc|calloc|_int_|unlink_chunk|mem(move|set|cpy|cmp)|alloc|bytes::|drop_in_place"),
    ("kernel: the rest", r"\[k\]"),
]


def symbols(binary: str) -> tuple[list[int], list[str]]:
    lines = subprocess.run(["nm", "-C", "--defined-only", binary], capture_output=True, text=True, check=True).stdout
    found = sorted((int(words[0], 16), words[2]) for words in (line.split(" ", 2) for line in lines.splitlines())
                   if words[1] in "tTwW")
    return [address for address, _ in found], [name for _, name in found]


def text_shift(binary: str) -> int:
    """perf gives offsets in the file; symbols have addresses in memory."""
    headers = subprocess.run(["readelf", "-lW", binary], capture_output=True, text=True, check=True).stdout
    row = next(line.split() for line in headers.splitlines() if re.search(r"LOAD.* R E ", line))
    return int(row[2], 16) - int(row[1], 16)


def samples(data: str, binary: str):
    addresses, names = symbols(binary)
    shift = text_shift(binary)
    script = subprocess.run(["perf", "script", "-i", data, "-F", "tid,ip,sym,dso"], capture_output=True, text=True).stdout
    for block in script.split("\n\n"):
        frames = []
        for line in block.splitlines():
            found = re.match(r"\s+([0-9a-f]+) (.*) \((.*)\)$", line)
            if not found:
                continue
            address, name, file = found.groups()
            if file.startswith("[kernel"):
                name = f"[k] {name}"
            elif file.endswith("/plimsoll"):
                name = names[bisect.bisect_right(addresses, int(address, 16) + shift) - 1]
            frames.append(name)
        if frames:
            yield frames


def part_of(frames: list[str]) -> str:
    # Inside the kernel the call decides, not the innermost function.
    in_kernel = frames[0].startswith("[k]")
    looked_at = [frame for frame in frames if frame.startswith("[k]")] if in_kernel else frames[:1]
    for part, pattern in PARTS:
        if any(re.search(pattern, frame) for frame in looked_at):
            return part
    return "other"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=int, default=8)
    seconds = options.parse_args().seconds
    binary = str(run.TARGET / "release/plimsoll")
    with tempfile.TemporaryDirectory() as folder:
        process, url, key = run.start_plimsoll(folder)
        # On one core the main thread answers.
        worker = str(process.pid)
        bodies = run.MODELS / "rows.jsonl"
        run.load(url, bodies, key, 32, 2)
        data = f"{folder}/perf.data"
        perf = subprocess.Popen(["perf", "record", "-q", "-F", "3999", "-g", "-t", worker, "-o", data])
        before = run.cpu_seconds(process.pid)[1]
        requests = run.load(url, bodies, key, 32, seconds)[0]
        answer_us = (run.cpu_seconds(process.pid)[1] - before) / requests * 1e6
        perf.send_signal(2)
        perf.wait()
        process.terminate()
        process.wait(timeout=60)
        counts = collections.Counter(part_of(frames) for frames in samples(data, binary))
    total = sum(counts.values())
    print(f"{answer_us:.1f} us a request on the answering thread, {total} samples\n")
    for part, count in counts.most_common():
        print(f"| {part} | {count / total * answer_us:.1f} | {100 * count / total:.0f} % |")


if __name__ == "__main__":
    main()
