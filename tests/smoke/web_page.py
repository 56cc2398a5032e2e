#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The built-in page in a real browser: it shows what flows, says in words and in red what fails, asks nobody but the daemon,
and says so when the daemon is gone. And over HTTP: who may ask for it, by which names."""

import http.client
import json
import socket
import threading

from meltemi_lab import PATIENCE, TESTS, Lab, check, equal, main, netns, within
from meltemi_lab.browser import Browser, colours
from meltemi_lab.documents import service
from meltemi_lab.dubbo import request

HOME = "http://127.0.0.1:15000/"
DUBBO = "tcp-metaprotocol-dubbo"
DEAD = "198.51.100.12:20899"
HUNG, HUNG_PORT = "198.51.100.12:20898", 20898
HUNG_SERVICE = ("hung.example", "240.240.3.2", 20880)
OPAQUE, OPAQUE_SERVER, OPAQUE_PORT = ("redis.example", "240.240.3.3", 6379), "198.51.100.11:6390", 6390
FORWARDED = ("games.example", "240.240.3.4")
BAD_LIGHT, BAD_DARK = (0xC4, 0x2B, 0x2B), (0xFF, 0x7B, 0x76)
MANY = 1000


def get(daemon, path, host="127.0.0.1:15000", **headers):
    with netns.inside(daemon.namespace):
        sock = socket.create_connection(("127.0.0.1", 15000), timeout=PATIENCE)
    connection = http.client.HTTPConnection("127.0.0.1")
    connection.sock = sock
    try:
        connection.request("GET", path, headers={"Host": host, **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def who_may_ask(daemon):
    for host in ("127.0.0.1:15000", "localhost", "LOCALHOST:15000", "[::1]:15000", "192.0.2.9", "meltemi.ops.example:80"):
        equal(get(daemon, "/ui/", host)[0], 200, f"status for {host}")
    for host in ("attacker.example", "attacker.example:15000", "127.0.0.1.attacker.example", "localhost.attacker.example", "", "[", "x" * 4000):
        for path in ("/", "/ui/", "/ui/data/now"):
            equal(get(daemon, path, host)[0], 421, f"status of {path} for {host[:40]!r}")
    for host, status in (("localhost", 200), ("meltemi.ops.example", 200), ("any.example", 403)):
        equal(get(daemon, "/metrics", host)[0], status, f"status of /metrics for {host}")
    status, headers, _ = get(daemon, "/")
    equal((status, headers["Location"]), (302, "/ui/"), "where / leads")
    status, headers, body = get(daemon, "/ui/style.css")
    check("default-src 'self'" in headers["Content-Security-Policy"], "no content security policy")
    equal(headers["X-Content-Type-Options"], "nosniff", "X-Content-Type-Options")
    equal([name for name in headers if name.lower().startswith("access-control")], [], "headers that let other origins in")
    equal(get(daemon, "/ui/style.css", **{"If-None-Match": headers["ETag"]})[0::2], (304, b""), "answer to who has it already")
    for path in ("/ui/../metrics", "/ui/data/", "/ui/data/show", "/ui/data/now/", "/ui/embed.py"):
        equal(get(daemon, path)[0], 404, f"status of {path}")
    equal(get(daemon, "/ui/data/now?find=" + "x" * 400)[0], 400, "status of too long a name")
    check(len(body) > 1000, "the style is empty")


def what_flows(browser, daemon):
    browser.window(1440, 1100)
    browser.open(HOME)
    names = sorted(row["service"] for row in daemon.show("topology")["services"])
    browser.until("all services on the map", f"document.querySelectorAll('.node').length > {len(names)}")
    said = browser.texts(".map title")
    for name in names:
        check(any(title.startswith(f"{name} at ") for title in said), f"{name} is not on the map: {said}")
    for title in (f"{FORWARDED[0]} at {FORWARDED[1]}:4000/udp", f"198.51.100.11:4000 of udp|4000||{FORWARDED[0]}"):
        check(any(one.startswith(title) for one in said), f"{title} is not on the map: {said}")
    browser.until("a rate above 100", "Number(document.getElementById('requests').textContent) > 100")
    browser.until("latency", "/ms|µs/.test(document.getElementById('p99').textContent)")
    browser.until("a worker's load", "/\\d %/.test(document.getElementById('workers').textContent)")
    browser.until("a line of the last minute", "document.querySelector('#requests-line .line').getAttribute('d').length > 40")


def opaque_traffic(browser, daemon):
    """A service of opaque TCP has bits per second and connections instead of calls, everywhere on the page."""
    name, at = OPAQUE[0], f"{OPAQUE[1]}:{OPAQUE[2]}"
    title = "([...document.querySelectorAll('.node:not(.quiet) title')].map(t => t.textContent).find(t => t.startsWith('{}')) ?? '')"
    browser.until("bits of the service", f"/: [0-9.]+ [kM]bit\\/s$/.test({title.format(f'{name} at ')})")
    browser.until("its server's connection", f"/: 1 connection$/.test({title.format(OPAQUE_SERVER)})")
    browser.until("bits in the sum", "/opaque TCP [0-9.]+ [kM]bit/.test(document.getElementById('requests-note').textContent)")
    # Both have had one "request": a connection, and a call that hangs.
    order = [row["service"] for row in daemon.show("topology")["services"]]
    check(order.index(name) < order.index(HUNG_SERVICE[0]), f"services by traffic: {order}")
    browser.run(f"location.hash = 'table=&service={name}&at={at}'")
    browser.until("bits in its details", "/Traffic *[0-9.]+ [kM]bit\\/s/.test(document.getElementById('detail-body').textContent)")
    equal(browser.run("/Calls|Under way|p99/.test(document.getElementById('detail-body').textContent)"), False, "words about calls in its details")
    row = browser.until("its row of the table", f"[...document.querySelectorAll('#table tr')].find(r => r.textContent.startsWith('{name}'))?.innerText")
    check("bit/s" in row and "1 connection" in row and "0/s" not in row, f"row of the table: {row}")
    browser.run("location.hash = ''")


def headlines(browser):
    """A finding of a counter tells in words what happened; the counter's name is a detail below them."""
    found = browser.until("a finding of a counter", """(all => all.length && all)([...document.querySelectorAll('.findings li')]
        .filter(li => li.querySelector('.counter')).map(li => [li.children[1].textContent, li.querySelector('.counter').textContent]))""")
    check(any(name == "counter proxy_up_connect_failed" for _, name in found), f"no finding of the dead server's counter: {found}")
    for words, name in found:
        check(words[0].isupper() and " in the last " in words and name.split()[1] not in words, f"headline of {name}: {words}")


def what_fails(browser):
    """The endpoint that nobody listens on: words, and the colour that nothing else has."""
    browser.until("the dead endpoint in words", f"[...document.querySelectorAll('.node.bad title')].some(t => t.textContent.startsWith('{DEAD}')"
                  " && /ejected/.test(t.textContent))")
    browser.until("a finding about it", f"document.getElementById('findings').textContent.includes('{DEAD}')")
    for scheme, bad in (("light", BAD_LIGHT), ("dark", BAD_DARK)):
        browser.window(1440, 1100, scheme)
        picture = browser.picture("#map svg")
        seen = colours(picture)
        check(len(picture) > 10000 and len(seen) > 30, f"{scheme}: {len(picture)} bytes, {len(seen)} colours")
        check(seen.get(bad, 0) > 300, f"{scheme}: {seen.get(bad, 0)} pixels of the colour of errors")
        well = browser.picture("#t-requests")
        check(not colours(well).get(bad), f"{scheme}: the colour of errors where nothing is wrong")


def what_hangs(browser):
    """An endpoint that has taken a call and sends nothing: red as well, with its flow."""
    browser.until("the silent endpoint in words", f"[...document.querySelectorAll('.node.bad title')].some(t => t.textContent.startsWith('{HUNG}')"
                  " && /silent for/.test(t.textContent))", seconds=30)
    browser.until("the silent opaque server", f"[...document.querySelectorAll('.node.bad title')].some(t => t.textContent.startsWith('{OPAQUE_SERVER}')"
                  " && /silent for .* 1 connection/.test(t.textContent))", seconds=30)
    browser.until("its flow in red", "document.querySelectorAll('.edge.bad').length > 1")
    browser.until("a finding about it", f"document.getElementById('findings').textContent.includes('1 call waits at {HUNG}')")


def look_closer(browser, daemon):
    """A click on a service: its routes, servers, slow calls and the ejected ones; by the table's link and the address, too."""
    browser.window(1440, 1100)
    at = browser.run("(e => { e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })"
                     "([...document.querySelectorAll('.node.leads')].find(g => g.textContent.startsWith('half.example at')))")
    browser.click(*at)
    browser.until("what is closer", "!document.getElementById('detail').hidden && document.getElementById('detail-title').textContent === 'half.example at 240.240.3.1:20880'")
    parts = "Object.fromEntries([...document.querySelectorAll('#detail .part')].map(p => [p.querySelector('h3').textContent, p.textContent]))"
    browser.until("its servers", f"({parts})['Servers']?.includes('{DEAD}')")
    browser.until("ejected servers", f"(t => t.includes('{DEAD}') && t.includes('connection refused'))(({parts})['Ejected servers'])")
    browser.until("calls by a route", "[...document.querySelectorAll('#detail .part:nth-of-type(1) td.number')].some(td => Number(td.textContent) > 5)", seconds=30)
    equal(browser.run("document.activeElement.id"), "detail-title", "what a reader is told")
    told = json.loads(within(5, lambda: get(daemon, "/ui/data/service?name=half.example&at=240.240.3.1:20880")[2], "an answer", step=0.15))
    equal({row["service"] for row in told["slow"] + told["routes"] + told["services"]}, {"half.example"}, "whose rows they are")
    for width in (320, 768):
        browser.window(width, 900)
        browser.pump(0.2)
        over = browser.run("document.documentElement.scrollWidth - innerWidth")
        check(over <= 0, f"at {width} pixels what is closer is {over} too wide")
    browser.run("location.hash = 'service=org.apache.dubbo.samples.basic.api.demoservice&at=240.240.0.10:20880'")
    browser.until("slow calls of the busiest", f"/sayHello.*ok.*(ms|µs)/.test(({parts})['Slowest calls of the last two minutes'])")
    browser.run("document.getElementById('detail-close').click()")
    browser.until("it is closed", "document.getElementById('detail').hidden && !location.hash.includes('service')")
    browser.run("document.getElementById('as-table').click()")
    browser.until("a link in the table", "[...document.querySelectorAll('#table a')].some(a => a.textContent === 'half.example')")
    browser.run("[...document.querySelectorAll('#table a')].find(a => a.textContent === 'half.example').click()")
    browser.until("it is open again", "!document.getElementById('detail').hidden && !document.getElementById('table').hidden")
    browser.run("location.hash = 'service=' + encodeURIComponent('<img src=x onerror=alert(1)>') + '&at=x'")
    browser.until("words about what is not there", "document.getElementById('detail-body').textContent === 'This service does not exist now.'")
    equal(browser.run("document.querySelectorAll('#detail img').length"), 0, "elements made of a name")
    browser.run("location.hash = ''")
    browser.until("the map", "document.getElementById('detail').hidden && !document.getElementById('map').hidden")


def on_small_screens(browser):
    for width in (320, 390, 768):
        browser.window(width, 900)
        browser.until("a map", "document.querySelectorAll('.node').length > 3")
        over = browser.run("document.documentElement.scrollWidth - innerWidth")
        check(over <= 0, f"at {width} pixels the page is {over} too wide")
    browser.run("document.getElementById('as-table').click()")
    browser.until("the table", f"document.querySelector('#table table')?.textContent.includes('{DEAD}')")
    for width in (320, 390, 768, 1100):
        browser.window(width, 900)
        browser.pump(0.2)
        over = browser.run("(e => e.scrollWidth - e.clientWidth)(document.getElementById('table'))")
        check(over <= 0, f"at {width} pixels the table is {over} too wide")
    browser.run("document.getElementById('as-map').click()")
    browser.window(1280, 900, prefers_reduced_motion="reduce")
    browser.until("nothing that moves", "document.getAnimations().length === 0")


def of_many(browser, daemon):
    """A thousand services: some tens are drawn, and the page says so and finds the others."""
    daemon.write("many.yaml", "---\n".join(
        service(f"s{n:04}.many.example", f"240.240.{10 + n // 250}.{1 + n % 250}", 20880, DUBBO, [("198.51.100.11", 20880, {})]) for n in range(MANY)))
    daemon.shell("reload")
    browser.until("it says what is cut", f"/^30 of 1,00[0-9]/.test(document.getElementById('cut').textContent)")
    places = [int(text.rsplit(".", 1)[1].split(":")[0]) for text in browser.texts(".map .node title") if text.startswith("240.240.10.")]
    check(len(places) > 5 and places == sorted(places), f"addresses from top to bottom: {places}")
    size = len(get(daemon, "/ui/data/now")[2])
    check(size < 150000, f"one answer is {size} bytes")
    equal(browser.run("document.querySelectorAll('.map .node[transform]').length < 200"), True, "a bounded number of nodes")
    browser.run("(f => { f.value = 's0777'; f.dispatchEvent(new Event('input')); })(document.getElementById('find'))")
    browser.until("the one that is looked for", "[...document.querySelectorAll('.map title')].some(t => t.textContent.startsWith('s0777.many.example'))"
                  " && document.querySelectorAll('.map title').length < 8")


def gone(browser, daemon):
    browser.requests.clear()
    equal(browser.complaints, [], "complaints of the browser")
    daemon.process.kill().popen.wait(60)
    browser.until("the banner", "!document.getElementById('gone').hidden && /does not answer/.test(document.getElementById('gone').textContent)")
    equal(browser.run("document.body.classList.contains('stale')"), True, "what is old looks old")


def takes(sock):
    """A server that reads and answers nothing, not even heartbeats."""
    while sock.recv(65536):
        pass


class Echo:
    """A server of opaque TCP that answers, until it hangs."""
    hangs = False

    def __call__(self, sock):
        while data := sock.recv(65536):
            if not self.hangs:
                sock.sendall(data)


def talks(sock):
    """A client of opaque TCP on one connection, until the server hangs."""
    pause = threading.Event()
    try:
        while not pause.wait(0.05):
            sock.sendall(bytes(5000))
            sock.recv(65536)
    except OSError:
        pass


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks", workers=2)
        daemon.write("half.yaml", service("half.example", "240.240.3.1", 20880, DUBBO, [("198.51.100.11", 20880, {}), ("198.51.100.12", 20899, {})]))
        daemon.write("hung.yaml", service(*HUNG_SERVICE, DUBBO, [("198.51.100.12", HUNG_PORT, {})]))
        daemon.write("opaque.yaml", service(*OPAQUE, "tcp", [("198.51.100.11", OPAQUE_PORT, {})]))
        daemon.write("forwarded.yaml", service(*FORWARDED, 4000, "udp-games", [("198.51.100.11", 4000, {})]).replace("protocol: TCP", "protocol: UDP").replace(
            "spec:", "  annotations: {meltemi.io/forwarding: nat}\nspec:"))
        daemon.node.write_text(daemon.node.read_text().replace("http: 127.0.0.1:15000", "http: 127.0.0.1:15000, httpNames: [meltemi.ops.example]"))
        daemon.start()
        who_may_ask(daemon)
        lab.dubbo_client("240.240.0.10:20880", count=10**9, rate=300, outstanding=8, connections=2)
        lab.dubbo_client("240.240.3.1:20880", count=10**9, rate=40, outstanding=8, connections=2)
        browser = Browser(lab, "mesh")
        echo = Echo()
        with lab.listening("server2", HUNG_PORT, takes), lab.listening("server1", OPAQUE_PORT, echo):
            lab.connect("client", *HUNG_SERVICE[1:]).sendall(request(1, "sayHello", ["a"], interface=HUNG_SERVICE[0]))
            threading.Thread(target=talks, args=(lab.connect("client", *OPAQUE[1:]),), daemon=True).start()
            what_flows(browser, daemon)
            opaque_traffic(browser, daemon)
            echo.hangs = True
            what_fails(browser)
            headlines(browser)
            what_hangs(browser)
        look_closer(browser, daemon)
        on_small_screens(browser)
        of_many(browser, daemon)
        # While the browser asks for something else, ours may come too soon after it: then there is no content.
        data = json.loads(within(5, lambda: get(daemon, "/ui/data/now?find=half")[2], "an answer", step=0.15))
        equal([row["service"] for row in data["topology"]["services"]], ["half.example"], "services by a part of the name")
        equal(sorted({url[:len(HOME)] for url in browser.requests}), [HOME], "whom the page asked")
        gone(browser, daemon)


main(body)
