# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium in a namespace of the lab, driven by the DevTools protocol over a pair of pipes."""

import base64
import json
import os
import select
import shutil
import struct
import time
import zlib

from .check import PATIENCE, Failure, Skip
from .process import Process

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync",
         "--password-store=basic", "--mute-audio", "--hide-scrollbars", "--force-color-profile=srgb")


def image(png):
    """(width, height, rows of RGB or RGBA bytes, bytes a pixel) of a PNG that is not interlaced."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    if depth != 8 or kind not in (2, 6):
        raise Failure(f"a PNG of depth {depth}, kind {kind}")
    at, packed = 8, b""
    while at < len(png):
        size, name = struct.unpack(">I4s", png[at:at + 8])
        packed += png[at + 8:at + 8 + size] if name == b"IDAT" else b""
        at += size + 12
    step, raw = (3 if kind == 2 else 4), zlib.decompress(packed)
    rows, above = [], bytearray(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        above = _unfilter(raw[start], bytearray(raw[start + 1:start + 1 + width * step]), above, step)
        rows.append(above)
    return width, height, rows, step


def _paeth(a, b, c):
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def _unfilter(kind, row, above, step):
    for i in range(len(row) if kind else 0):
        left = row[i - step] if i >= step else 0
        corner = above[i - step] if i >= step else 0
        row[i] = (row[i] + (left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner))[kind - 1]) & 255
    return row


def colours(png):
    """How many pixels have each colour."""
    _, _, rows, step = image(png)
    counts = {}
    for row in rows:
        for i in range(0, len(row), step):
            colour = tuple(row[i:i + 3])
            counts[colour] = counts.get(colour, 0) + 1
    return counts


class Browser:
    """One page. What it asked for is in .requests, what it complained about in .complaints."""

    def __init__(self, lab, role):
        program = shutil.which("chromium")
        if not program:
            raise Skip("chromium is not installed")
        self.requests, self.complaints, self.number, self.answers, self.rest = [], [], 0, {}, b""
        theirs_in, self.out = os.pipe()
        self.inp, theirs_out = os.pipe()
        # The browser reads descriptor 3 and writes 4; `sh` puts them there.
        argv = ["sh", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "chromium", program, *FLAGS,
                f"--user-data-dir={lab.directory}/chromium", "about:blank"]
        for fd in (theirs_in, theirs_out):
            os.set_inheritable(fd, True)
        self.process = Process(lab.directory, "chromium", argv, lab.namespace(role),
                               env={**os.environ, "HOME": str(lab.directory)}, pass_fds=(theirs_in, theirs_out))
        lab.processes.append(self.process)
        os.close(theirs_in)
        os.close(theirs_out)
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def _take(self, message):
        method, params = message.get("method"), message.get("params", {})
        if "id" in message:
            self.answers[message["id"]] = message
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def pump(self, seconds):
        """Takes what the browser says, for that long or until it says something."""
        if not select.select([self.inp], [], [], seconds)[0]:
            return
        got = os.read(self.inp, 1 << 20)
        if not got:
            raise Failure(f"the browser ended: {self.process.tail()}")
        *whole, self.rest = (self.rest + got).split(b"\0")
        for message in whole:
            self._take(json.loads(message))

    def call(self, method, seconds=30, **params):
        self.number += 1
        number, message = self.number, {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + seconds
        while number not in self.answers:
            if time.monotonic() > end:
                raise Failure(f"the browser did not answer {method} within {seconds} s")
            self.pump(0.5)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise Failure(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression on the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise Failure(f"{script}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def click(self, x, y):
        """A pointer that is pressed and let go there."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def texts(self, selector):
        return self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.textContent)")

    def until(self, what, script, seconds=PATIENCE):
        """Waits until the expression is true; its value."""
        end = time.monotonic() + seconds
        while True:
            value = self.run(script)
            if value:
                return value
            if time.monotonic() > end:
                raise Failure(f"not within {seconds} s: {what}; the page says: {self.run('document.body.innerText')[:1500]}")
            self.pump(0.2)

    def window(self, width, height, scheme="light", **features):
        """features: others of CSS media queries, with underscores."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        wanted = {"prefers-color-scheme": scheme, **{name.replace("_", "-"): value for name, value in features.items()}}
        self.call("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in wanted.items()])

    def picture(self, selector=None):
        """A PNG of the window, or of one element wherever it is on the page."""
        more = {}
        if selector:
            box = self.run(f"(({{x, y, width, height}}) => ({{x: x + scrollX, y: y + scrollY, width, height, scale: 1}}))"
                           f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
            more = {"clip": box, "captureBeyondViewport": True}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", **more)["data"])
