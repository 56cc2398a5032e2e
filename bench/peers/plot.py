# SPDX-License-Identifier: Apache-2.0
"""Line charts as SVG: panels next to each other, logarithmic axes, one legend. Needs no library."""

import html
import math

COLOURS = {"direct": "#7f7f7f", "kernel-nat": "#4d4d4d", "meltemi-l4": "#08519c", "meltemi": "#1f77b4", "meltemi-memif": "#0b3d91", "meltemi-mux": "#17becf", "meltemi-poll": "#6baed6", "meltemi-xdp": "#6a51a3",
           "haproxy": "#2ca02c", "haproxy-splice": "#98df8a", "nginx": "#bcbd22", "envoy-tcp": "#ff7f0e", "envoy-thrift": "#d62728",
           "envoy-dubbo": "#d62728"}
PANEL, HEIGHT, LEFT, BOTTOM, TOP, GAP = 320, 260, 62, 44, 30, 78


def colour(name):
    return COLOURS.get(name.split("+")[0], "#9467bd")


def dashes(name):
    """The style of a line depends on the links."""
    for wire, pattern in (("+offload", "5 3"), ("+jumbo", "2 2")):
        if name.endswith(wire):
            return f' stroke-dasharray="{pattern}"'
    return ""


def text(x, y, words, anchor="middle", size=11, extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {extra}>{html.escape(str(words))}</text>'


def short(value):
    """Label of a tick: 120000 gives 120k, 0.5 gives 0.5."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


class Axis:
    """Converts values to pixels: logarithmic, or by position if `names` are given."""

    def __init__(self, values, low, high, names=None):
        self.low, self.high, self.names = low, high, names
        if names:
            self.first, self.last = 0, max(len(names) - 1, 1)
            self.ticks = list(enumerate(names))
            return
        self.first = math.floor(math.log10(min(values)) + 1e-9)
        self.last = max(math.ceil(math.log10(max(values)) - 1e-9), self.first + 1)
        self.ticks = [(e, short(10.0 ** e)) for e in range(self.first, self.last + 1)]

    def at(self, value):
        position = self.names.index(value) if self.names else math.log10(value)
        return self.pixel(position)

    def pixel(self, position):
        return self.low + (self.high - self.low) * (position - self.first) / (self.last - self.first)


def panel(left, title, lines, names, x_label, y_label):
    """lines: {system: [(x, y)]}; names: the x positions, in order."""
    values = [y for points in lines.values() for _, y in points if y > 0]
    if not values:
        return []
    x = Axis(None, left + 12, left + PANEL - 12, names)
    y = Axis(values, TOP + HEIGHT, TOP)
    out = [text(left + PANEL / 2, TOP - 12, title, size=13), text(left + PANEL / 2, TOP + HEIGHT + 34, x_label),
           f'<rect x="{left}" y="{TOP}" width="{PANEL}" height="{HEIGHT}" fill="none" stroke="#888"/>']
    for position, label in x.ticks:
        out.append(text(x.pixel(position), TOP + HEIGHT + 16, label, size=10))
    for position, label in y.ticks:
        at = y.pixel(position)
        out.append(f'<line x1="{left}" x2="{left + PANEL}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
        out.append(text(left - 6, at + 4, label, "end", 10))
    middle = TOP + HEIGHT / 2
    out.append(text(left - 44, middle, y_label, extra=f'transform="rotate(-90 {left - 44} {middle})"'))
    for system, points in lines.items():
        dash = dashes(system)
        places = [(x.at(a), y.at(b)) for a, b in points if b > 0]
        out.append(f'<polyline fill="none" stroke="{colour(system)}" stroke-width="2"{dash} points="' +
                   " ".join(f"{a:.1f},{b:.1f}" for a, b in places) + '"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.6" fill="{colour(system)}"/>' for a, b in places]
    return out


def chart(path, panels, names, x_label, y_label):
    """Writes the chart of panels: [(title, lines)]. Without data it writes nothing and returns False."""
    panels = [(title, {s: p for s, p in lines.items() if p}) for title, lines in panels]
    panels = [(title, lines) for title, lines in panels if lines]
    if not panels:
        return False
    systems = list(dict.fromkeys(s for _, lines in panels for s in lines))
    width = len(panels) * (PANEL + GAP) + 20
    rows = math.ceil(len(systems) / max(width // 160, 1))
    height = TOP + HEIGHT + BOTTOM + 18 * rows + 14
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for number, (title, lines) in enumerate(panels):
        out += panel(LEFT + number * (PANEL + GAP), title, lines, names, x_label, y_label if number == 0 else "")
    across = max(width // 160, 1)
    for number, system in enumerate(systems):
        x, y = 20 + 160 * (number % across), TOP + HEIGHT + BOTTOM + 14 + 18 * (number // across)
        out.append(f'<line x1="{x}" x2="{x + 22}" y1="{y - 4}" y2="{y - 4}" stroke="{colour(system)}" stroke-width="3"'
                   f"{dashes(system)}/>")
        out.append(text(x + 28, y, system, "start"))
    path.write_text("\n".join([*out, "</svg>"]) + "\n")
    return True
