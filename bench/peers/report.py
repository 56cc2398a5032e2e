# SPDX-License-Identifier: Apache-2.0
"""Writes results as Markdown tables and SVG plots, from the JSON file only, so that they can be made again at any time."""

import json
import os

import plan
import plot

BASES = ("direct", "kernel-nat", "meltemi-l4", "meltemi", "meltemi-mux", "meltemi-xdp", "meltemi-poll", "haproxy", "haproxy-splice", "nginx", "envoy-tcp",
         "envoy-thrift", "envoy-dubbo")
NO_PROCESS = ("direct", "kernel-nat")
FORWARDED = (*NO_PROCESS, "meltemi-l4", "meltemi", "haproxy")
ORDER = (*BASES, *(f"{b}+jumbo" for b in BASES), *(f"{b}+offload" for b in BASES), "meltemi-memif", "meltemi-memif+jumbo")
TITLES = {"dubbo": "Dubbo", "thrift": "Thrift (framed)", "tcp": "opaque TCP"}
INTRO = """\
# Comparison with other proxies

{when}, {cpu}, {cores} cores, Linux {kernel}. Meltemi {meltemi} (commit {commit}, {build}); {haproxy}; {nginx}; Envoy {envoy}.
Made by `{command}`. [{json}]({json}) contains the configurations and all results.

One core runs the proxy, the other one the load generator *and* the servers. **So the generator's core limits the rates, and CPU per
call is the value to compare**: the scheduler's run time of all threads of a proxy, including kernel work for it. A Meltemi worker
polls between packets, so its run time is mostly the whole core; *work* is the time of its loop iterations that found work, by its own
clock. Only runs without a lost, late or wrong answer are used. "–" is a cell that was not measured; "✗" one that failed (the reasons
are at the end); "~" one in which other programs took more than {disturbed:.0f} % of a core in every try.

- **veth**: all proxies use the same two links with 1,500-byte frames and checksums, as on a network. Meltemi uses af_packet, where the
  kernel still handles every packet for it; the other proxies use the kernel's TCP.
- **meltemi-xdp**: the same with af_xdp in place of af_packet. **meltemi-mux**: Thrift with `multiplexing: true`.
- **+jumbo**: frames of 9,000 bytes for all.
- **+offload**: the kernel's TCP stacks exchange segments of 64 KB without checksums, as with segmentation offload of a network card. Proxies
  with long messages are fastest then. af_packet cannot use it.
- **meltemi-memif**: Meltemi without the kernel: `bench/path` between two programs over a memif, including its transmit and receive,
  with route, limit and metrics. This is the case for DPDK ports. Its peers are stubs, so it is a different run.
"""


DISTURBED = 0.08  # share of a core that other programs took


def read(path):
    """The contents of a file of results."""
    try:
        data = json.loads(path.read_text())
    except OSError as failure:
        raise SystemExit(f"{path}: {failure.strerror}") from None
    except ValueError:
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("cells"), dict):
        raise SystemExit(f"{path} contains no results of bench/peers/run.py")
    return data


class Report:
    def __init__(self, path):
        self.path, self.data = path, read(path)
        self.cells = self.data["cells"]
        self.out = []

    def cell(self, *parts):
        return self.cells.get("/".join(str(p) for p in parts))

    def good(self, *parts):
        found = self.cell(*parts)
        return found if found and found["ok"] else None

    def systems(self, kind, proto):
        """The systems with a cell of that kind, always in the same order."""
        found = {key.split("/")[2] for key in self.cells if key.startswith(f"{kind}/{proto}/")}
        return [name for name in ORDER if name in found]

    def add(self, *lines):
        self.out += lines

    def table(self, head, rows):
        if rows:
            self.add("| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(r) + " |" for r in rows), "")


def us(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def shown(cell, form):
    if cell is None:
        return "–"
    if not cell["ok"]:
        return "✗"
    return form(cell) + (" ~" if cell.get("others_share", 0) > DISTURBED else "")


def cpu_and_rate(cell):
    if "core_share" in cell and not cell["core_share"]:  # no proxy
        return f"{cell['per_second']:,.0f}/s"
    work = cell.get("work_us")
    extra = f" (work {us(work)})" if work is not None else ""
    rate = f"<br>{cell['per_second']:,.0f}/s" if "p50_us" in cell else ""
    return f"{us(cell['cpu_us'])}{extra}{rate}"


def load_name(load):
    return f"{load[0]} x {load[1]}"


def by_load(r, proto):
    """20 B, every load."""
    systems = [s for s in r.systems("closed", proto) if "+" not in s]
    memif = [s for s in r.systems("path", proto) if "+" not in s]
    rows = []
    for connections in plan.CONNECTIONS:
        for outstanding in plan.OUTSTANDING:
            load = f"{connections}x{outstanding}"
            found = [shown(r.cell("closed", proto, s, 20, load), cpu_and_rate) for s in systems]
            found += [shown(r.cell("path", proto, s, 20, load), cpu_and_rate) for s in memif]
            if any(f != "–" for f in found):
                rows.append([load_name((connections, outstanding)), *found])
    r.table(["connections x in flight", *systems, *memif], rows)


def by_size(r, proto, load):
    systems = [s for s in r.systems("closed", proto) if not s.startswith(NO_PROCESS)]
    memif = r.systems("path", proto)
    rows = []
    for size in plan.SIZES:
        name = f"{load[0]}x{load[1]}"
        found = [shown(r.cell("closed", proto, s, size, name), lambda c: us(c["cpu_us"])) for s in systems]
        found += [shown(r.cell("path", proto, s, size, name), lambda c: us(c["cpu_us"])) for s in memif]
        if any(f != "–" for f in found):
            rows.append([f"{size:,} B", *found])
    if rows:
        r.add(f"{load_name(load)}:", "")
    r.table(["size", *systems, *memif], rows)


def forwarded(r):
    """Layer 4 beside the kernel's NAT, which has no process: it works in the time of client and server, so their CPU is counted, too."""
    systems = [s for s in r.systems("closed", "tcp") if s in FORWARDED]
    if not set(systems) & set(plan.FORWARDERS):
        return
    r.add("## Forwarded at layer 4", "", "CPU of client, server, proxy and ksoftirqd per call, in us, and calls per second: the difference to `direct` is what the "
          "path costs. On veth the kernel carries each packet for Meltemi, too; `bench/l4` measures forwarding without it.", "")
    rows = []
    for size in plan.SIZES:
        for load in plan.CURVES:
            found = [shown(r.cell("closed", "tcp", s, size, f"{load[0]}x{load[1]}"), all_and_rate) for s in systems]
            if any(f != "–" for f in found):
                rows.append([f"{size:,} B", load_name(load), *found])
    r.table(["size", "connections x in flight", *systems], rows)


def all_and_rate(cell):
    return f"{us(cell['all_us'])}<br>{cell['per_second']:,.0f}/s" if "all_us" in cell else "–"


def own_of(peer):
    """The Meltemi cell to compare a peer with: the same frames; +offload is compared with 1,500-byte frames."""
    return "meltemi+jumbo" if peer.endswith("+jumbo") else "meltemi"


def kernels(r):
    """The kernel's share of the CPU."""
    r.add("## The kernel's share", "", "Share of each proxy's CPU, 64 x 1, in percent (by ticks, within some percent).", "")
    rows = []
    for proto in plan.CODECS:
        for system in (s for s in r.systems("closed", proto) if not s.startswith(NO_PROCESS)):
            rows.append([TITLES[proto], system, *(shown(r.cell("closed", proto, system, size, "64x1"),
                                                        lambda c: f"{c['kernel_share'] * 100:.0f}") for size in plan.SIZES)])
    r.table(["protocol", "path", *(f"{size:,} B" for size in plan.SIZES)], rows)


def agreement(r):
    """Compares Meltemi's own measurement of its time with the scheduler's, in cells with hardly any polling."""
    found = [c["work_share"] / c["core_share"] for key, c in r.cells.items()
             if key.startswith("closed/") and c["ok"] and c.get("work_share", 0) > SATURATED and c.get("others_share", 1) < 0.05]
    if found:
        r.add("## Two clocks", "", f"In {len(found)} cells Meltemi's worker worked for more than {SATURATED * 100:.0f} % of the time. There its own clock shows "
              f"{min(found) * 100:.0f} to {max(found) * 100:.0f} % of the run time that the scheduler charged.", "")


def ratios(r):
    """CPU of each peer divided by Meltemi's."""
    r.add("## How many times Meltemi's CPU the others take", "",
          "The peer's CPU per call divided by Meltemi's at the same size and load, on veth and over memif. Below 1 the peer takes less.", "")
    rows = []
    for proto in plan.CODECS:
        for size in plan.SIZES:
            for load in plan.CURVES:
                name = f"{load[0]}x{load[1]}"
                for peer in (s for s in r.systems("closed", proto) if not s.startswith((*NO_PROCESS, "meltemi"))):
                    found = r.good("closed", proto, peer, size, name)
                    veth = r.good("closed", proto, own_of(peer), size, name)
                    memif = r.good("path", proto, own_of(peer).replace("meltemi", "meltemi-memif"), size, name)
                    if found and (veth or memif):
                        rows.append([TITLES[proto], f"{size:,} B", load_name(load), peer, us(found["cpu_us"]),
                                     *(f"{found['cpu_us'] / own['cpu_us']:.1f}" if own else "–" for own in (veth, memif))])
    r.table(["protocol", "size", "load", "peer", "its CPU, us", "over veth", "over memif"], rows)


def lost_cells(r):
    """(Cells in which a peer took less CPU for a call than Meltemi on veth, the worst first; number of cells compared.)"""
    lost, held = [], 0
    for key, cell in r.cells.items():
        parts = key.split("/")
        if parts[0] not in ("closed", "churn") or parts[2].startswith((*NO_PROCESS, "meltemi")) or not cell["ok"]:
            continue
        own = r.good(parts[0], parts[1], own_of(parts[2]), *parts[3:])
        if not own:
            continue
        held += 1
        if cell["cpu_us"] < own["cpu_us"]:
            lost.append((own["cpu_us"] / cell["cpu_us"], parts, cell, own))
    return sorted(lost, key=lambda entry: -entry[0]), held


def losses(r):
    lost, held = lost_cells(r)
    r.add("## Where Meltemi loses on veth", "",
          f"In {len(lost)} of {held} comparisons the peer took less CPU for a call; the worst first.", "")
    r.table(["load", "protocol", "size", "connections x in flight", "peer", "its CPU, us", "Meltemi's"],
            [[parts[0], TITLES[parts[1]], f"{int(parts[3]):,} B", parts[4].replace("x", " x "), parts[2], us(cell["cpu_us"]),
              cpu_and_rate(own).replace("<br>", ", ")] for _, parts, cell, own in lost])


def latency(r):
    r.add("## Latency at fixed loads", "",
          "Open loop, Poisson arrivals on 64 connections, from the time when a call was due: p50 / p99 / p99.9 in us, and the difference to the direct path.", "")
    rows = []
    for proto in plan.CODECS:
        for system in r.systems("fixed", proto):
            row = [TITLES[proto], system]
            for rate in plan.FIXED_RATES:
                for size in (20, 1024):
                    name = f"64x{rate}"
                    base = r.good("fixed", proto, "direct", size, name)
                    row.append(shown(r.cell("fixed", proto, system, size, name), lambda c, b=base: three(c, b)))
            rows.append(row)
    r.table(["protocol", "path", *(f"{rate:,}/s, {size:,} B" for rate in plan.FIXED_RATES for size in (20, 1024))], rows)


def three(cell, base):
    names = ("p50_us", "p99_us", "p999_us")
    own = " / ".join(us(cell[n]) for n in names)
    if not base or base is cell:
        return own
    return own + "<br>" + " / ".join(f"{cell[n] - base[n]:+,.0f}" for n in names)


def talks_rate(r):
    r.add(f"## {plan.TALKS_RATE:,} calls a second", "", "The same, 20 B; CPU in shares of one core. ✗: the rate was not reached.", "")
    names = ("p50_us", "p90_us", "p99_us", "p999_us", "p9999_us", "p99999_us")
    rows = []
    for proto in plan.CODECS:
        for system in r.systems("fixed", proto):
            cell = r.cell("fixed", proto, system, 20, f"64x{plan.TALKS_RATE}")
            if cell:
                share = f"{cell['core_share'] * 100:.0f} %" if "core_share" in cell and system != "direct" else "–"
                rows.append([TITLES[proto], system, share, *(shown(cell, lambda c, n=n: us(c[n])) for n in names)])
    r.table(["protocol", "path", "CPU", "p50, us", "p90", "p99", "p99.9", "p99.99", "p99.999"], rows)


def churn(r):
    r.add("## A connection for each call", "",
          "64 clients connect, make one call of 20 B and close. Dubbo and Thrift calls share connections to the server (Meltemi, Envoy's filters); "
          "opaque TCP and TCP proxies open one there, too.", "")
    rows = [[TITLES[proto], s, shown(r.cell("churn", proto, s, 20, 64), cpu_and_rate)] for proto in plan.CODECS for s in r.systems("churn", proto)]
    r.table(["protocol", "path", "CPU us a connection, connections/s"], rows)


def memory(r):
    r.add("## Memory of a connection", "",
          "Growth from 16 to 4,096 client connections, per connection: objects in use of Meltemi's pools, resident memory of the others. "
          "Excludes kernel memory of sockets, which Meltemi does not use.", "")
    rows = [[TITLES[proto], s, shown(r.cell("memory", proto, s, 20, "16x4096"), lambda c: f"{c['open_bytes']:,}"),
             shown(r.cell("memory", proto, s, 20, "16x4096"), lambda c: f"{c['calling_bytes']:,}")]
            for proto in plan.CODECS for s in r.systems("memory", proto)]
    r.table(["protocol", "path", "bytes, open", "bytes, a call in flight"], rows)


def soak(r):
    r.add("## Steady load", "", "16 connections, 1 KiB, at 1,000 and at 16,000 calls/s; an hour of the first is as many calls as 225 s of the second.", "")
    rows = []
    for proto in plan.CODECS:
        for system in r.systems("soak", proto):
            for rate in (1000, 16000):
                cell = r.cell("soak", proto, system, 1024, f"16x{rate}")
                rows.append([TITLES[proto], system, f"{rate:,}/s", shown(cell, lambda c: f"{c['core_share'] * 100:.1f} %"),
                             *(shown(cell, lambda c, n=n: us(c[n])) for n in ("p50_us", "p99_us", "p999_us", "max_us"))])
    r.table(["protocol", "path", "load", "CPU", "p50, us", "p99", "p99.9", "max"], rows)


def idling(r):
    r.add("## CPU at little load", "", f"Dubbo, 20 B, 16 connections; 100 % is {plan.PERCENT_OF:,} calls/s for all. Shares of one core. *meltemi* is the idle profile "
          "`adaptive`, *meltemi-poll* `poll`, which never sleeps.", "")
    rows = [[s, *(shown(r.cell("idle", "dubbo", s, 20, p), lambda c: f"{c['core_share'] * 100:.2f} %") for p in plan.PERCENTS)]
            for s in r.systems("idle", "dubbo")]
    r.table(["path", *(f"{p} %" for p in plan.PERCENTS)], rows)


def plots(r):
    stem = r.path.with_suffix("")
    lines = {"connections": [], "sizes": [], "tail": []}
    for proto in plan.CODECS:
        names = [s for s in r.systems("closed", proto) if not s.startswith(NO_PROCESS)]
        memif = r.systems("path", proto)
        lines["connections"].append((TITLES[proto], {s: points(r, "closed", proto, s, [(c, 20, f"{c}x1") for c in plan.CONNECTIONS])
                                                     for s in names if "+" not in s}))
        lines["sizes"].append((TITLES[proto], {**{s: points(r, "closed", proto, s, [(n, n, "64x1") for n in plan.SIZES]) for s in names},
                                               **{s: points(r, "path", proto, s, [(n, n, "64x1") for n in plan.SIZES]) for s in memif}}))
        lines["tail"].append((TITLES[proto], {s: tail(r, proto, s) for s in r.systems("fixed", proto)}))
    made = []
    for name, xs, x_label, y_label, title in (
            ("connections", list(plan.CONNECTIONS), "connections, 1 call in flight on each", "CPU us per call", "CPU per call of 20 B by connections"),
            ("sizes", list(plan.SIZES), "bytes each way, 64 connections x 1", "CPU us per call", "CPU per call by size"),
            ("tail", ["50", "90", "99", "99.9", "99.99"], "percentile", "latency us", f"Latency at {plan.TALKS_RATE:,} calls a second")):
        path = stem.with_name(f"{stem.name}-{name}.svg")
        if plot.chart(path, lines[name], xs, x_label, y_label):
            made += [f"![{title}]({path.name})", ""]
    if made:
        r.add("## Plots", "", *made)


def points(r, kind, proto, system, where):
    found = [(x, r.good(kind, proto, system, size, load)) for x, size, load in where]
    return [(x, c["cpu_us"]) for x, c in found if c]


def tail(r, proto, system):
    cell = r.good("fixed", proto, system, 20, f"64x{plan.TALKS_RATE}")
    names = (("50", "p50_us"), ("90", "p90_us"), ("99", "p99_us"), ("99.9", "p999_us"), ("99.99", "p9999_us"))
    return [(x, cell[name]) for x, name in names] if cell else []


SATURATED = 0.9
MARKS = "<!-- bench/peers: summary -->", "<!-- bench/peers: end of summary -->"
CASES = ((20, (64, 1), ""), (20, (16, 8), ""), (1024, (64, 1), ""), (1024, (16, 8), ""), (120000, (64, 1), ""), (120000, (64, 1), "+jumbo"))
COLUMNS = (("meltemi-memif", "Meltemi, memif"), ("meltemi", "Meltemi, veth"), ("haproxy", "HAProxy"), ("nginx", "nginx"), ("envoy", "Envoy"))


def summary(r, link):
    """The summary: a table, and the cells in which Meltemi takes more CPU."""
    about = r.data["machine"]
    rows = []
    for proto in plan.CODECS:
        for size, load, wire in CASES:
            name = f"{load[0]}x{load[1]}"
            cells = {}
            for column, _ in COLUMNS:
                system = (f"envoy-{proto}" if column == "envoy" else column) + wire
                cells[column] = r.good("path" if column == "meltemi-memif" else "closed", proto, system, size, name)
            frames = ", frames of 9,000 B" if wire else ""
            if cells["meltemi"] or cells["meltemi-memif"]:
                rows.append(f"| {TITLES[proto]}, {size:,} B, {load_name(load)}{frames} | " +
                            " | ".join(us(cells[c]["cpu_us"]) if cells[c] else "–" for c, _ in COLUMNS) + " |")
    lost, held = lost_cells(r)
    worst = "; ".join(f"{TITLES[p[1]]}{' (a connection each)' if p[0] == 'churn' else ''}, {int(p[3]):,} B, {p[4].replace('x', ' x ')}: "
                      f"{p[2]} {us(cell['cpu_us'])}, Meltemi {us(own['cpu_us'])}" for _, p, cell, own in lost[:4])
    out = [MARKS[0], f"CPU us of one call on {about['cpu']}, {about['cores']} cores, {r.data['when'][:10]} ([every table, with latency, memory, "
           f"connection rate and idling]({link}.md), [data]({link}.json)):", "",
           "| case | " + " | ".join(title for _, title in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|", *rows, "",
           "Envoy is `dubbo_proxy`, `thrift_proxy` and, for opaque TCP, `tcp_proxy`; HAProxy and nginx forward bytes unread. Over veth the kernel carries every packet "
           "for Meltemi, too; over a memif it carries none, which is what DPDK ports are for. Its column is the "
           "median of short samples in this comparison; bench/path/run.sh takes longer ones and shows the least, too.", ""]
    if lost:
        out += [f"On veth Meltemi loses {len(lost)} of {held} comparisons of CPU per call. The worst: {worst}.", ""]
    else:
        out += [f"On veth Meltemi wins all {held} comparisons of CPU per call.", ""]
    return out + at_talks_rate(r) + at_little_load(r) + failures(r) + [MARKS[1]]


def at_talks_rate(r):
    """Latency of all systems where a core is nearly busy."""
    names = ("p50_us", "p99_us", "p999_us")
    rows = []
    for proto in plan.CODECS:
        for system in (s for s in r.systems("fixed", proto) if s != "direct"):
            cell = r.cell("fixed", proto, system, 20, f"64x{plan.TALKS_RATE}")
            if cell:
                rows.append([TITLES[proto], system, f"{cell['core_share'] * 100:.0f} %", *(shown(cell, lambda c, n=n: us(c[n])) for n in names)])
    head = ["protocol", f"{plan.TALKS_RATE:,} calls/s, veth", "CPU of a core", "p50, us", "p99", "p99.9"]
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows), ""]


def at_little_load(r):
    words = []
    for system in ("meltemi", "haproxy", "envoy-dubbo"):
        cells = [r.good("idle", "dubbo", system, 20, p) for p in plan.PERCENTS]
        if all(cells):
            words.append(f"{system} {' / '.join(us(c['core_share'] * 100) for c in cells)}")
    return [f"CPU in percent of a core at {' / '.join(map(str, plan.PERCENTS))} % of {plan.PERCENT_OF:,} calls/s: {'; '.join(words)} "
            "(Meltemi spins for a while after each packet before it sleeps).", ""] if words else []


def failures(r):
    """Meltemi's cells without a result, with the reasons."""
    failed = sorted(key for key, cell in r.cells.items() if not cell["ok"] and key.split("/")[2].startswith("meltemi"))
    return ["Meltemi failed in " + ", ".join(f"`{key}`" for key in failed) + " (a call late or answered by a local reply, or the load not reached).", ""] if failed else []


def summarise(path, root):
    """Puts the summary between the marks of docs/performance.md."""
    page = root / "docs/performance.md"
    text = page.read_text()
    if MARKS[0] not in text or MARKS[1] not in text:
        raise SystemExit(f"{page} has no place for the summary: {MARKS[0]} ... {MARKS[1]}")
    before, rest = text.split(MARKS[0], 1)
    link = os.path.relpath(path.resolve().with_suffix(""), page.parent)
    page.write_text(before + "\n".join(summary(Report(path), link)) + rest.split(MARKS[1], 1)[1])
    print(f"summary in {page.relative_to(root)}; README.md quotes some of its numbers", flush=True)


def write(path):
    r = Report(path)
    about, versions = r.data["machine"], r.data["machine"]["versions"]
    r.add(INTRO.format(when=r.data["when"], json=path.name, disturbed=DISTURBED * 100, **{**about, **versions, "haproxy": versions["haproxy"].split(" - ")[0]}))
    for proto in plan.CODECS:
        if r.systems("closed", proto) or r.systems("path", proto):
            r.add(f"## {TITLES[proto]}", "", "CPU us per call, 20 B:", "")
            by_load(r, proto)
            r.add("CPU us per call by size.", "")
            for load in plan.CURVES:
                by_size(r, proto, load)
    for part in (forwarded, ratios, losses, kernels, agreement, latency, talks_rate, churn, memory, soak, idling, plots):
        part(r)
    failed = {key: cell["why"] for key, cell in r.cells.items() if not cell["ok"]}
    if failed:
        r.add("## Not used", "", *(f"- `{key}`: {why}" for key, why in sorted(failed.items())), "")
    path.with_suffix(".md").write_text("\n".join(r.out).rstrip() + "\n")
    print(f"written: {path.with_suffix('.md')}, {path.name}, plots", flush=True)
