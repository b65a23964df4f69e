#!/usr/bin/env python3
"""Cuts the tables of a profile out of measurements: rows and columns that a price needs.

    python3 calibrate/profile_tables.py hw_profiles/measured/h100_sxm5 hw_profiles/tables/h100_sxm5

reads MEASURED_gemm_grid.json, _training_gemm.json, _memory.json, _attention.json, _contention.json and
_sustained.json (those that exist) and writes TABLES_<family>.json. Nothing is changed but this:
attention backward loses the two helper kernels that are operators of their own, and its slowdown
beside communication is split into what the lost SMs cost (attention_sms) and what the traffic costs
(contention)."""
import json
import os
import statistics
import sys
from collections import defaultdict


class Measured:
    def __init__(self, prefix, family):
        self.file = f"{prefix}_{family}.json"
        with open(self.file) as text:
            self.heading = json.load(text)

    def rows(self, table):
        t = self.heading["tables"][table]
        return [dict(zip(t["columns"], row)) for row in t["rows"]]

    def source(self, table, note):
        h = self.heading
        return (f"{self.file}, table {table}: {h['library']} on {h['device']}, driver {h['driver']}, "
                f"CUDA {h['cuda']}, {h['date']}; CUPTI kernel durations of one call, median; {note}")


def cell(value):
    if isinstance(value, str):
        return value
    return int(value) if float(value).is_integer() else float(f"{value:.6g}")


def write(prefix, family, source, columns, rows):
    lines = ",\n".join("    " + json.dumps([cell(v) for v in row]) for row in rows)
    with open(f"{prefix}_{family}.json", "w") as out:
        out.write(f'{{\n  "origin": "measured",\n  "source": {json.dumps(source)},\n'
                  f'  "columns": {json.dumps(columns)},\n  "rows": [\n{lines}\n  ]\n}}\n')


def pick(rows, columns):
    return [[row[c] for c in columns] for row in rows]


def gemm_grid(m, to):
    columns = ["precision", "m", "n", "k", "sm", "time_us"]
    write(to, "gemm_grid", m.source("gemm_grid", "burst, operands rotating through device memory"),
          columns, pick(m.rows("gemm_grid"), columns))


def training_gemm(m, to):
    columns = ["precision", "accumulate", "m", "n", "k", "sm", "time_us"]
    rows = [r for r in m.rows("gemm")
            if r["sm"] in (132, 112) and (r["accumulate"] or r["output"] == "bf16")]
    write(to, "gemm_training", m.source("gemm", "burst; rows of 132 and 112 SMs with BF16 results or "
                                        "accumulated FP32 results"), columns, pick(rows, columns))


def memory(m, to):
    columns = ["kind", "rows", "columns", "bytes", "time_us"]
    rows = [r for t in ("memory", "memory_sizes") for r in m.rows(t) if r["cache"] == "rotating"]
    write(to, "memory", m.source("memory and memory_sizes", "burst, operands rotating through device "
                                 "memory"), columns, pick(rows, columns))


def is_cudnn(row):
    return row.get("library", row.get("operator")).startswith("cuDNN") and not row.get("note")


def attention(m, to):
    """Main kernels apart from cuDNN's kernels for dO.O and for dQ to BF16."""
    key = lambda r: tuple(r[c] for c in ("library", "pass", "query_length", "query_heads", "key_heads",
                                         "query_key_dim", "value_dim", "note"))
    kernels = defaultdict(list)  # in the order of the calls
    for row in m.rows("attention_kernels"):
        kernels[key(row)].append((row["kernel"], row["time_us"]))
    calls, helpers, seen = [], [], set()
    for r in m.rows("attention"):
        mine = kernels[key(r)][:r["kernels_per_call"]]
        kernels[key(r)] = kernels[key(r)][r["kernels_per_call"]:]
        if not is_cudnn(r):
            continue
        before = sum(t for name, t in mine if "dot_do_o" in name)
        after = sum(t for name, t in mine if "convert_dq" in name)
        rows = r["sequences"] * r["query_length"] * r["query_heads"]
        q, v = rows * r["query_key_dim"], rows * r["value_dim"]
        if before and (rows, r["query_key_dim"]) not in seen:
            seen.add((rows, r["query_key_dim"]))
            helpers.append(["attention_preprocess", rows, r["value_dim"], 4 * v + 12 * rows + 4 * q,
                            round(before, 2)])
            helpers.append(["attention_postprocess", rows, r["query_key_dim"], 6 * q, round(after, 2)])
        calls.append([r[c] for c in ("pass", "causal", "sequences", "query_heads", "query_length",
                                     "query_key_dim", "value_dim")]
                     + [round(r["time_us"] - before - after, 2)])
    write(to, "attention", m.source("attention and attention_kernels", "burst; backward without "
                                    "cuDNN's kernels for dO.O and for dQ to BF16 (family memory)"),
          ["pass", "causal", "sequences", "query_heads", "query_length", "query_key_dim", "value_dim",
           "time_us"], calls)
    write(to, "attention_memory", m.source("attention_kernels", "cuDNN's kernels around the attention "
                                           "backward"),
          ["kind", "rows", "columns", "bytes", "time_us"], helpers)


def attention_sms(m, to):
    limited = defaultdict(list)
    for r in m.rows("attention_contention"):
        if is_cudnn(r) and r["communication_GBps_set"] == 0:
            limited[(r["pass"], 132 - r["communication_sms"])].append(r["slowdown"])
    write(to, "attention_sms",
          m.source("attention_contention", "cuDNN beside a communication kernel that holds SMs and moves "
                   "nothing: median over shapes of time beside over time alone on all SMs"),
          ["pass", "sm", "slowdown"],
          [[p, sm, round(statistics.median(v), 4)] for (p, sm), v in sorted(limited.items())])


def contention(m, to, attention_file):
    columns = ["class", "communication_sms", "communication_GBps", "slowdown"]
    rows = pick(m.rows("contention_surface"), columns)
    note = ("median over operators whose thread-block clusters hold at most 2 CTAs of time beside over "
            "time alone on the same SMs (memory: the whole device)")
    if attention_file:
        shape = lambda r: (r["pass"], r["communication_sms"], r["query_heads"], r["query_key_dim"])
        beside = [r for r in attention_file.rows("attention_contention") if is_cudnn(r)]
        idle, traffic = defaultdict(list), defaultdict(list)
        for r in beside:
            if r["communication_GBps_set"] == 0:
                idle[shape(r)].append(r["slowdown"])
        for r in beside:
            traffic[(r["communication_sms"], r["communication_GBps_set"])].append(
                r["slowdown"] / statistics.mean(idle[shape(r)]))
        rows += [["attention", sms, rate, round(statistics.median(v), 5)]
                 for (sms, rate), v in sorted(traffic.items())]
        note += (f"; attention: {attention_file.file}, table attention_contention, over the same SMs held "
                 "by communication that moves nothing")
    write(to, "contention", m.source("contention_surface", note), columns, rows)


def sustained(m, to, attention_file, memory_file):
    size = {(r["kind"], r["rows"], r["columns"]): r["bytes"] for r in memory_file.rows("memory")}
    rows = [[r[c] for c in ("load", "class", "operator", "precision", "m", "n", "k", "sm")]
            + [size.get((r["operator"], r["m"], r["n"]), 0), r["burst_us"], r["time_us"]]
            for r in m.rows("sustained") if "beside" not in r["load"]]
    note = ("the last 40 % of 3-4.5 s without a pause; layer_mix: GEMMs and memory kernels of a MoE layer "
            "in turn (layer_mix_112: GEMMs on 112 SMs), alone: one kernel")
    if attention_file:
        rows += [["alone", "attention", r["pass"], "bf16", r["query_heads"], r["query_length"],
                  r["query_key_dim"], 132, 0, r["burst_us"], r["time_us"]]
                 for r in attention_file.rows("attention_sustained") if r["communication_sms"] == 0]
        note += (f"; attention from {attention_file.file}, table attention_sustained (m heads, n length, k "
                 "query and key features)")
    write(to, "sustained", m.source("sustained", note),
          ["load", "class", "operator", "precision", "m", "n", "k", "sm", "bytes", "burst_us", "time_us"],
          rows)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    measured, to = sys.argv[1:]
    have = lambda family: os.path.exists(f"{measured}_{family}.json")
    files = {f: Measured(measured, f) if have(f) else None
             for f in ("gemm_grid", "training_gemm", "memory", "attention", "contention", "sustained")}
    for family, cut in (("gemm_grid", gemm_grid), ("training_gemm", training_gemm), ("memory", memory),
                        ("attention", attention), ("attention", attention_sms)):
        if files[family]:
            cut(files[family], to)
    if files["contention"]:
        contention(files["contention"], to, files["attention"])
    if files["sustained"] and files["memory"]:
        sustained(files["sustained"], to, files["attention"], files["memory"])


if __name__ == "__main__":
    main()
