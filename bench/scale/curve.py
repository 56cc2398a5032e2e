#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""curve.py OUT: makes a table OUT.md and curves OUT.svg from OUT.jsonl, the output of bench/scale."""
import json
import math
import platform
import sys

COLUMNS = [
    ("connections", "conns", "{:,}"),
    ("bytes a connection", "bytes", "{:.0f}"),
    ("resident", "bytes_resident", "{:.0f}"),
    ("idle turn, cycles", "idle_turn_cycles", "{:.0f}"),
    ("longest idle turn, µs", "worst_idle_turn_us", "{:.0f}"),
    ("timers, cycles an hour", "timer_cycles_hour", "{:.0f}"),
    ("lookup in bursts, cycles", "lookup_staged_cycles", "{:.0f}"),
    ("alone", "lookup_single_cycles", "{:.0f}"),
    ("exchange, ns (least)", "exchange_ns_min", "{:.0f}"),
    ("median", "exchange_ns_median", "{:.0f}"),
    ("segments", "exchange_segments", "{:.1f}"),
    ("open + exchange + close, ns", "churn_ns", "{:.0f}"),
]
CURVES = [
    ("exchange in random order, ns", "exchange_ns_min"),
    ("lookup in bursts, cycles", "lookup_staged_cycles"),
    ("lookup alone, cycles", "lookup_single_cycles"),
    ("memory, bytes a connection", "bytes"),
    ("idle turn, cycles", "idle_turn_cycles"),
]
NAMES = {"tcp": "byte streams (a connection on both sides)", "dubbo": "Dubbo clients on shared server connections",
         "thrift": "Thrift clients on shared server connections"}
INK = {"tcp": "#1f77b4", "dubbo": "#d62728", "thrift": "#2ca02c"}
WIDTH, HEIGHT, LEFT, GAP = 640, 180, 70, 50


def table(codec, rows):
    out = [f"### {NAMES[codec]}, {rows[0]['size']} B", ""]
    out.append("| " + " | ".join(title for title, _, _ in COLUMNS) + " |")
    out.append("|" + "---:|" * len(COLUMNS))
    for r in rows:
        out.append("| " + " | ".join(form.format(r[key]) for _, key, form in COLUMNS) + " |")
    # A line may contain a "note", added by hand.
    out += [f"\n{r['conns']:,}: {r['note']}" for r in rows if r.get("note")]
    return "\n".join(out) + "\n"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "?")
    return f"{model}, Linux {platform.release()}"


def panel(title, key, series, top):
    """A diagram: the number of connections on a logarithmic axis, the result on a linear axis from 0."""
    xs = [math.log10(r["conns"]) for rows in series.values() for r in rows]
    lo, hi = min(xs), max(max(xs), min(xs) + 1)
    most = max(max(r[key] for rows in series.values() for r in rows), 1) * 1.1

    def at(r):
        x = LEFT + (math.log10(r["conns"]) - lo) / (hi - lo) * (WIDTH - LEFT - 20)
        return x, top + HEIGHT - r[key] / most * HEIGHT

    out = [f'<text x="{LEFT}" y="{top - 8}" font-weight="bold">{title}</text>',
           f'<path d="M{LEFT} {top}V{top + HEIGHT}H{WIDTH - 20}" fill="none" stroke="#888"/>']
    for share in (0, 0.5, 1):
        y = top + HEIGHT - share / 1.1 * HEIGHT
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{most / 1.1 * share:,.0f}</text>')
    for codec, rows in series.items():
        points = [at(r) for r in rows]
        out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" '
                   f'stroke="{INK[codec]}" stroke-width="2"/>')
        for (x, y), r in zip(points, rows):
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{INK[codec]}"/>'
                       f'<text x="{x:.1f}" y="{top + HEIGHT + 16}" text-anchor="middle">{r["conns"]:,}</text>')
    return out


def drawing(series):
    step = HEIGHT + GAP
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{step * len(CURVES) + 60}" '
           'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    for i, codec in enumerate(series):
        out.append(f'<text x="{LEFT}" y="{16 + 14 * i}" fill="{INK[codec]}">{NAMES[codec]}</text>')
    for i, (title, key) in enumerate(CURVES):
        out += panel(title, key, series, 64 + step * i)
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1] + ".jsonl", encoding="utf-8") as f:
        rows = [json.loads(line) for line in f if line.strip()]
    if not rows:
        sys.exit("no lines")
    series = {codec: sorted((r for r in rows if r["codec"] == codec), key=lambda r: r["conns"])
              for codec in dict.fromkeys(r["codec"] for r in rows)}
    with open(sys.argv[1] + ".md", "w", encoding="utf-8") as f:
        f.write(f"# Many connections on one worker\n\nMade by `bench/scale/run.sh` on {machine()}, "
                f"{rows[0]['tsc_hz'] / 1e9:.1f} GHz time stamp counter. docs/testing/scale.md explains the columns.\n\n")
        f.write("\n".join(table(codec, r) for codec, r in series.items()))
    with open(sys.argv[1] + ".svg", "w", encoding="utf-8") as f:
        f.write(drawing(series))
    print(f"{sys.argv[1]}.md and .svg")


if __name__ == "__main__":
    main()
