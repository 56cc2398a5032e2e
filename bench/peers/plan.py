# SPDX-License-Identifier: Apache-2.0
"""The list of cells. A cell's key, such as closed/dubbo/meltemi/20/64x1, is its name in the results."""

import dataclasses

CONNECTIONS = (1, 16, 64, 256, 4096)
OUTSTANDING = (1, 8)
SIZES = (20, 200, 1024, 10240, 120000)
CURVES = ((64, 1), (16, 8))       # loads with which every size is measured
TALKS_RATE = 59122                # calls/s, as reported for another proxy in talks about meshes
FIXED_RATES = (2000, 10000)
PERCENT_OF = 40000                # calls/s that count as 100 % load in the measurement of idle CPU
PERCENTS = (0, 1, 10, 50)
CODECS = ("dubbo", "thrift", "tcp")
FORWARDERS = ("kernel-nat", "meltemi-l4")  # they do not terminate connections
LARGE = 10240                     # from this size on proxies get large buffers, and longer frames are also measured


@dataclasses.dataclass(frozen=True)
class Cell:
    kind: str
    proto: str
    system: str
    size: int
    load: tuple = ()
    seconds: float = 2.0

    @property
    def key(self):
        return "/".join([self.kind, self.proto, self.system, str(self.size), "x".join(str(n) for n in self.load)]).rstrip("/")


def _closed(system, proto, seconds):
    if system.wire == "frames":
        for connections in CONNECTIONS:
            for outstanding in OUTSTANDING:
                yield Cell("closed", proto, system.name, 20, (connections, outstanding), seconds)
    for size in SIZES[1:] if system.wire == "frames" else SIZES:
        for load in CURVES if system.wire == "frames" else CURVES[:1]:
            yield Cell("closed", proto, system.name, size, load, seconds)


def of_system(system, options):
    """All cells of one system, including those measured before."""
    seconds = options.seconds
    for proto in system.protocols:
        if proto not in options.protocols:
            continue
        if system.base == "meltemi-poll" or (system.base == "haproxy" and proto == "dubbo"):
            yield from _idle(system, proto, seconds)
            continue
        if system.base in FORWARDERS:
            yield from _closed(system, proto, seconds)
            continue
        only_large = system.base == "haproxy-splice" or system.wire == "jumbo"
        yield from (c for c in _closed(system, proto, seconds) if not only_large or c.size >= LARGE)
        if only_large or system.wire != "frames" or system.base == "meltemi-xdp":
            continue
        for rate in FIXED_RATES:
            for size in (20, 1024):
                yield Cell("fixed", proto, system.name, size, (64, rate), max(seconds, 3))
        yield Cell("fixed", proto, system.name, 20, (64, TALKS_RATE), 5 * seconds)
        yield Cell("churn", proto, system.name, 20, (64,), seconds)
        if proto == "dubbo" or system.base == "haproxy":
            for rate in (1000, 16000):
                yield Cell("soak", proto, system.name, 1024, (16, rate), options.soak)
        if system.base != "direct":
            yield Cell("memory", proto, system.name, 20, (16, 4096), seconds)
        if proto == "dubbo" and system.base != "direct":
            yield from _idle(system, proto, seconds)


def _idle(system, proto, seconds):
    for percent in PERCENTS:
        yield Cell("idle", proto, system.name, 20, (percent,), seconds)


def paths(options):
    for codec in CODECS:
        if codec not in options.protocols:
            continue
        for size in SIZES:
            for load in CURVES:
                yield Cell("path", codec, "meltemi-memif", size, load)
            if size >= LARGE:
                yield Cell("path", codec, "meltemi-memif+jumbo", size, CURVES[0])


def whole(systems, options):
    for system in systems:
        yield from of_system(system, options)
    if not options.systems or {"meltemi", "meltemi-memif"} & set(options.systems):
        yield from paths(options)


QUICK = {"closed": [(20, (64, 1)), (20, (16, 8)), (120000, (64, 1))], "fixed": [(20, (64, 2000))], "churn": [(20, (64,))],
         "memory": [(20, (16, 4096))], "idle": [(20, (0,)), (20, (10,))], "path": [(20, (64, 1)), (1024, (64, 1))]}


def quick(cells):
    """The cells of --quick: systems on links with 1,500-byte frames only."""
    return [c for c in cells if (c.size, c.load) in QUICK.get(c.kind, ()) and "+" not in c.system]


def smoke(systems, options):
    """The cells of --smoke: two short ones of each system, with Dubbo, which all systems forward."""
    for system in systems:
        for size, load in ((20, (4, 1)), (1024, (4, 4))):
            if system.wire == "frames" and "dubbo" in system.protocols:
                yield Cell("closed", "dubbo", system.name, size, load, options.seconds)
