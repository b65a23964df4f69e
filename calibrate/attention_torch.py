#!/usr/bin/env python3
"""Times PyTorch's scaled-dot-product attention (cuDNN and FlashAttention-2 backends), forward and
backward, alone and beside the communication stand-in of kernels/, and writes a table.

Kernel times are CUPTI's, through torch.profiler: the sum of one call's kernels, median over calls.
FLOPs, causal: forward H S^2 (qk + v), backward H S^2 (3 qk + 2 v).

    python3 calibrate/attention_torch.py --out FILE [--communication liborrery_communication.so]
"""
import argparse
import ctypes
import datetime
import json
import statistics
import subprocess
import sys
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

COLUMNS = ["library", "pass", "sequences", "query_length", "key_length", "query_heads", "key_heads",
           "query_key_dim", "value_dim", "causal", "sm", "clock", "time_us", "tflops", "n_samples",
           "spread", "clock_MHz", "kernels_per_call", "main_kernel", "main_kernel_us", "note"]
BESIDE = ["class", "operator", "pass", "query_length", "query_heads", "query_key_dim", "value_dim",
          "communication_sms", "communication_GBps_set", "time_alone_us", "time_beside_us",
          "slowdown", "communication_GBps", "n_samples", "spread"]


STEADY = ["library", "pass", "query_length", "query_heads", "query_key_dim", "value_dim",
          "communication_sms", "communication_GBps", "time_us", "burst_us", "sustained_over_burst",
          "n_samples", "spread", "clock_MHz", "power_W"]
SURFACE = ["class", "communication_sms", "communication_GBps", "slowdown", "least", "largest",
           "operators"]


def slowdown_surface(beside, library):
    """Median slowdown of one library's kernels for each (SMs, bandwidth asked for)."""
    groups = {}
    for row in beside:
        r = dict(zip(BESIDE, row))
        if r["operator"] == library:
            key = (r["communication_sms"], r["communication_GBps_set"])
            groups.setdefault(key, []).append(r["slowdown"])
    return [["attention", sms, rate, round(statistics.median(v), 4), min(v), max(v), len(v)]
            for (sms, rate), v in sorted(groups.items())]


class Setting(ctypes.Structure):
    """OrreryCommunication of kernels/communication.hpp."""
    _fields_ = [("ctas", ctypes.c_int), ("cluster", ctypes.c_int), ("whole_sm", ctypes.c_int),
                ("bytes_per_ns", ctypes.c_double), ("from_", ctypes.c_void_p),
                ("to", ctypes.c_void_p), ("buffer_bytes", ctypes.c_int64),
                ("longest_ns", ctypes.c_int64), ("stop", ctypes.c_void_p),
                ("started", ctypes.c_void_p), ("report", ctypes.c_void_p)]


class Communication:
    def __init__(self, library):
        self.library = ctypes.CDLL(library)
        self.source = torch.randn(1 << 28, device="cuda", dtype=torch.float32)
        self.target = torch.empty_like(self.source)
        self.stop_flag = torch.zeros(1, dtype=torch.int32, device="cuda")
        self.report = torch.zeros(132 * 3, dtype=torch.int64, device="cuda")
        self.started = torch.zeros(1, dtype=torch.int32).pin_memory()
        self.one = torch.ones(1, dtype=torch.int32).pin_memory()
        self.stream = torch.cuda.Stream(priority=-5)
        self.control = torch.cuda.Stream()

    def start(self, ctas, rate):
        self.stop_flag.zero_()
        torch.cuda.synchronize()
        self.started.zero_()
        what = Setting(ctas, 2, 1, rate, self.source.data_ptr(), self.target.data_ptr(), 1 << 30,
                       20_000_000_000, self.stop_flag.data_ptr(), self.started.data_ptr(),
                       self.report.data_ptr())
        error = self.library.orrery_communication_launch(
            ctypes.byref(what), ctypes.c_void_p(self.stream.cuda_stream))
        if error:
            raise RuntimeError(f"communication launch: CUDA error {error}")
        begin = time.monotonic()
        while int(self.started[0]) < ctas:
            if time.monotonic() - begin > 2:
                self.stop()
                raise RuntimeError("communication kernel did not start")
        self.ctas = ctas

    def stop(self):
        with torch.cuda.stream(self.control):
            self.stop_flag.copy_(self.one, non_blocking=True)
        self.control.synchronize()
        self.stream.synchronize()
        rows = self.report.cpu().view(-1, 3)[:self.ctas].double()
        return float((rows[:, 0] / rows[:, 1].clamp(min=1)).sum())


def half_width(samples):
    """Relative half-width of the median's 95 % interval, as calibrate/statistics.hpp."""
    x = sorted(samples)
    n = len(x)
    if n < 5:
        return 1.0
    reach = 1.96 * n ** 0.5 / 2
    low, high = max(0, int((n - 1) / 2 - reach)), min(n - 1, int((n - 1) / 2 + reach) + 1)
    return (x[high] - x[low]) / 2 / statistics.median(x)


def kernel_times(call, calls, finish):
    """Per-call kernel times and the names and median times of a call's kernels. `finish` waits for
    the calls and stops what runs beside them: leaving the profiler waits for the whole device."""
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as prof:
        for _ in range(calls):
            call()
        finish()
    events = [e for e in prof.events() if e.device_type == torch.autograd.DeviceType.CUDA
              and "communicate" not in e.name and not e.name.startswith("Memcpy")
              and "ProfilerStep" not in e.name]
    events.sort(key=lambda e: e.time_range.start)
    per_call = len(events) // calls
    if per_call == 0 or len(events) % calls:
        raise RuntimeError(f"{len(events)} kernels in {calls} calls")
    groups = [events[i * per_call:(i + 1) * per_call] for i in range(calls)]
    times = [sum(e.time_range.elapsed_us() for e in g) for g in groups]
    by_kernel = [(groups[0][i].name, statistics.median(g[i].time_range.elapsed_us() for g in groups))
                 for i in range(per_call)]
    return times, by_kernel


def clock_and_power():
    """SM clock in MHz and power in W, now; zeros where nvidia-smi does not answer."""
    out = subprocess.run(["nvidia-smi", "--query-gpu=clocks.sm,power.draw",
                          "--format=csv,noheader,nounits"], capture_output=True, text=True)
    if out.returncode:
        return 0.0, 0.0
    mhz, watts = out.stdout.split(",")
    return float(mhz), float(watts)


def settle(call, seconds):
    """Calls without a pause for `seconds`; clock and power near the end, GPU still busy."""
    begin, seen = time.monotonic(), (0.0, 0.0)
    while time.monotonic() - begin < seconds:
        done = torch.cuda.Event()
        for _ in range(40):
            call()
        done.record()
        if time.monotonic() - begin > 0.7 * seconds:
            seen = clock_and_power()
        done.synchronize()
    return seen


def sustained_rows(case, communication, calls, seconds, burst):
    """Forward, backward and both in turn under continuous load, alone and beside communication."""
    rows = []
    for rate in (None, 100.0) if communication else (None,):
        for direction in ("forward", "backward"):
            call = getattr(case, direction)
            if rate is not None:
                communication.start(20, rate)
            mhz, watts = settle(call, seconds)

            def finish():
                torch.cuda.current_stream().synchronize()
                if rate is not None:
                    communication.stop()

            times, _ = kernel_times(call, calls, finish)
            median = statistics.median(times)
            rows.append([case.name, direction, case.length, case.heads, case.qk, case.v,
                         0 if rate is None else 20, rate or 0.0, round(median, 2),
                         burst[direction], round(median / burst[direction], 4), len(times),
                         round(half_width(times), 5), mhz, watts])
            print(rows[-1], flush=True)
    return rows


class Case:
    def __init__(self, name, backend, heads, key_heads, qk, v, length, sequences=1, pad_v=False):
        self.name, self.backend, self.heads, self.key_heads = name, backend, heads, key_heads
        self.qk, self.v, self.length, self.sequences = qk, v, length, sequences
        stored_v = qk if pad_v else v
        self.note = f"value padded from {v} to {qk}" if pad_v else ""

        def random(h, d):
            return torch.randn(sequences, h, length, d, device="cuda", dtype=torch.bfloat16,
                               requires_grad=True)
        self.q, self.k, self.val = random(heads, qk), random(key_heads, qk), random(key_heads, stored_v)
        self.grad = torch.randn(sequences, heads, length, stored_v, device="cuda",
                                dtype=torch.bfloat16)
        self.out = None

    def forward(self):
        with sdpa_kernel(self.backend):
            self.out = torch.nn.functional.scaled_dot_product_attention(
                self.q, self.k, self.val, is_causal=True, enable_gqa=self.heads != self.key_heads)

    def backward(self):
        torch.autograd.grad(self.out, (self.q, self.k, self.val), self.grad, retain_graph=True)

    def flops(self, direction):
        share = self.qk + self.v if direction == "forward" else 3 * self.qk + 2 * self.v
        return self.sequences * self.heads * self.length ** 2 * share


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--communication")
    parser.add_argument("--commit", default="")
    parser.add_argument("--seconds", type=float, default=3, help="length of one sustained run")
    parser.add_argument("--calls", type=int, default=15)
    args = parser.parse_args()
    names = {SDPBackend.CUDNN_ATTENTION: f"cuDNN {torch.backends.cudnn.version()}",
             SDPBackend.FLASH_ATTENTION: f"FlashAttention-2 in PyTorch {torch.__version__}"}
    plans = []
    for backend in names:
        flash = backend == SDPBackend.FLASH_ATTENTION
        plans += [(backend, 128, 128, 192, 128, 4096, 1, flash)]
        if not flash:
            plans += [(backend, 128, 128, 192, 128, s, 1, False) for s in (2048, 8192)]
            plans += [(backend, 128, 128, 192, 128, 4096, 1, True), (backend, 16, 16, 192, 128, 4096, 1, False)]
        plans += [(backend, 32, 8, 128, 128, s, 1, False) for s in (1024, 2048, 4096, 8192, 16384)]
        plans += [(backend, 32, 8, 128, 128, 4096, 4, False), (backend, 64, 8, 128, 128, 4096, 1, False),
                  (backend, 32, 32, 128, 128, 4096, 1, False)]
    rows, beside, kernels, steady = [], [], [], []
    communication = Communication(args.communication) if args.communication else None
    for backend, heads, key_heads, qk, v, length, sequences, pad in plans:
        try:
            case = Case(names[backend], backend, heads, key_heads, qk, v, length, sequences, pad)
            burst = {}
            for direction in ("forward", "backward"):
                call = getattr(case, direction)
                for _ in range(3):
                    call()
                torch.cuda.synchronize()
                times, by_kernel = kernel_times(call, args.calls, torch.cuda.synchronize)
                mhz = clock_and_power()[0]
                burst[direction] = round(statistics.median(times), 2)
                median = statistics.median(times)
                main_kernel = max(by_kernel, key=lambda k: k[1])
                rows.append([names[backend], direction, sequences, length, length, heads, key_heads,
                             qk, v, 1, 132, "burst", round(median, 2),
                             round(case.flops(direction) / median * 1e-6, 1), len(times),
                             round(half_width(times), 5), mhz, len(by_kernel), main_kernel[0],
                             round(main_kernel[1], 2), case.note])
                for name, us in by_kernel:
                    kernels.append([names[backend], direction, length, heads, key_heads, qk, v,
                                    case.note, name, round(us, 2)])
                print(rows[-1], flush=True)
                if communication and length == 4096 and sequences == 1 and heads in (32, 128) and not case.note:
                    for ctas in (20, 8, 16, 24):
                        for rate in (0.0, 50.0, 100.0, 200.0, 400.0):
                            communication.start(ctas, rate)

                            def finish():
                                torch.cuda.current_stream().synchronize()
                                beside_rate.append(communication.stop())

                            beside_rate = []
                            some, _ = kernel_times(call, 6, finish)
                            got = beside_rate[0]
                            m = statistics.median(some)
                            beside.append(["attention", names[backend], direction, length, heads,
                                           qk, v, ctas, rate, round(median, 2), round(m, 2),
                                           round(m / median, 4), round(got, 1), len(some),
                                           round(half_width(some), 5)])
                            print(beside[-1], flush=True)
            if length == 4096 and heads == 128 and not case.note:
                steady += sustained_rows(case, communication, args.calls, args.seconds, burst)
            del case
            torch.cuda.empty_cache()
        except Exception as error:  # one backend's refusal must not end the others
            if communication and getattr(communication, "ctas", 0):
                communication.stop()
            print("refused:", names[backend], heads, key_heads, qk, v, length, pad,
                  str(error).splitlines()[0] if str(error) else error, file=sys.stderr, flush=True)
    surface = slowdown_surface(beside, names[SDPBackend.CUDNN_ATTENTION])
    gpu = torch.cuda.get_device_properties(0)
    driver = subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
                            capture_output=True, text=True).stdout.strip()
    result = {"device": f"{gpu.name} ({gpu.multi_processor_count} SMs)",
              "date": datetime.date.today().isoformat(), "driver": driver,
              "cuda": torch.version.cuda,
              "library": f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}",
              "timer": "CUPTI kernel records through torch.profiler: sum of one call's kernels, "
                       "median over calls",
              "command": "calibrate/attention_torch.py " + " ".join(sys.argv[1:]),
              "commit": args.commit,
              "tables": {}}
    for name, columns, data in (("attention", COLUMNS, rows), ("attention_contention", BESIDE, beside),
                                ("attention_sustained", STEADY, steady),
                                ("contention_surface", SURFACE, surface),
                                ("attention_kernels",
                                 ["library", "pass", "query_length", "query_heads", "key_heads",
                                  "query_key_dim", "value_dim", "note", "kernel", "time_us"], kernels)):
        result["tables"][name] = {"origin": "measured", "source": args.out, "columns": columns,
                                  "rows": data}
    with open(args.out, "w") as out:
        json.dump(result, out, indent=1)


if __name__ == "__main__":
    main()
