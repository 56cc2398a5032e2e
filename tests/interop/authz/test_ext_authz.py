#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Policies of CUSTOM: an external authorization service of go-control-plane is asked about Dubbo calls over gRPC, and the server sees none
that it did not allow. What it is told of a call, what it changes, and what becomes of calls when it denies, fails, is slow or away, by
failOpen; before policies of DENY and ALLOW; under load, and while policies change (exchange_unjudged, asked, asked_full and asked_late
are its counters, and those of extauthz: unreachable, late, refused, bad_answer).
"""

import pathlib
import socket
import threading

from ext_authz_lab import ANSWERED, AT, DENIED, HOST, PORT, SERVICE, VIP, Caller, Judge, Server, adsd, mesh, policy, wire, write
from meltemi_lab import Lab, check, equal, main, netns, within


# ---- the parts of the test ------------------------------------------------------------------------------------------------

def verdicts(daemon, caller, judge):
    write(daemon, policy())
    caller.gets(DENIED, "one that it denies")
    got = caller.gets(ANSWERED, "one that it allows", "allow", **{"x-secret": "s", "x-ext-authz-check-result": "forged", "Tenant": "a"})
    equal({k: got.get(k) for k in ("x-ext-authz-check-result", "x-secret", "Tenant")},
          {"x-ext-authz-check-result": "allowed", "x-secret": None, "Tenant": "a"}, "what the server gets")
    n = len(judge.asked())
    caller.gets(ANSWERED, "one that no rule fits", method="sayGoodbye")
    equal(len(judge.asked()), n, "questions about it")
    told = judge.asked()[-1]
    equal((told["asked"], told["method"], told["host"], told["from"], told["to"], told["port"], told["who"]),
          (f"/{wire.INTERFACE}/sayHello", "POST", HOST, "192.0.2.2", "198.51.100.11", PORT, ""), "what it is told")
    equal({k: told["headers"].get(k) for k in ("x-ext-authz", "tenant", "x-secret")},
          {"x-ext-authz": "allow", "tenant": "a", "x-secret": "s"}, "and of the metadata")
    equal(told["more"], {"protocol": "dubbo", "interface": wire.INTERFACE, "method": "sayHello"}, "and besides")
    caller.gets(DENIED, "an error of its own", "error")
    caller.gets(DENIED, "a change that hangs on what is there", "absent")
    caller.gets(DENIED, "a call that may be taken for another one", "allow", interface="org.other.Service")
    counters = daemon.counters()
    equal([n for n in ("extauthz_allowed", "extauthz_denied", "extauthz_refused", "extauthz_bad_answer", "proxy_exchange_extauthz_failed",
                       "proxy_exchange_denied", "proxy_extauthz_waited") if not counters[n]], [], "what was not counted")


def order(daemon, caller):
    rule = {"rules": [{"to": [{"operation": {"methods": ["sayHello"]}}]}]}
    write(daemon, policy(), policy("no", action="DENY", **rule))
    caller.gets(DENIED, "allowed by it, and denied by a policy", "allow")
    write(daemon, policy(), policy("others", action="ALLOW", rules=[{"from": [{"source": {"principals": ["a"]}}]}]))
    caller.gets(DENIED, "allowed by it, and by no policy of ALLOW", "allow")
    write(daemon, policy(), policy("clients", action="ALLOW", rules=[{"from": [{"source": {"ipBlocks": ["192.0.2.0/24"]}}]}]))
    caller.gets(ANSWERED, "allowed by both", "allow")
    caller.gets(DENIED, "allowed by a policy, and denied by it")
    # By what it has set, too.
    when = [{"when": [{"key": "request.headers[x-ext-authz-check-result]", "values": ["allowed"]}]}]
    write(daemon, policy(), policy("result", action="ALLOW", rules=when))
    caller.gets(ANSWERED, "by metadata that it sets", "allow")
    told = daemon.shell("explain", "protocol=dubbo", f"service={HOST}", "method=sayHello", "src=192.0.2.2")
    check("decided by the authorization service" in told and "shop/custom" in told, f"explain: {told}")


def times(daemon, caller):
    write(daemon, policy())
    caller.gets(ANSWERED, "one that takes it two seconds", "slow")
    write(daemon, policy(), timeout="0.5s")
    caller.gets(DENIED, "one that takes it longer than its provider's time-out", "slow")
    caller.gets(ANSWERED, "the next one", "allow")
    within(20, lambda: daemon.counters()["extauthz_late"] > 0, "late answers are counted")
    write(daemon, policy(), timeout="0.5s", failOpen=True)
    caller.gets(ANSWERED, "the same with failOpen", "slow")
    caller.gets(ANSWERED, "an error with failOpen", "error")
    caller.gets(DENIED, "what it denies is denied with failOpen, too")
    caller.gets(DENIED, "what cannot be told to it, too", "allow", interface="org.other.Service")
    caller.gets(DENIED, "what would make it fail, too", "allow", tenant="\N{EURO SIGN}")
    caller.gets(ANSWERED, "other languages' letters", "allow", tenant="\N{GREEK SMALL LETTER ALPHA}")


def away(daemon, caller, judge):
    write(daemon, policy())
    caller.gets(ANSWERED, "before it goes", "allow")
    judge.process.stop()
    within(10, lambda: caller.ask("allow") == DENIED, "calls are denied when it is away", step=0.1)
    caller.gets(DENIED, "a call when it is away", "allow")
    within(20, lambda: all(words in daemon.shell("doctor", fail=False) for words in ("judge", "cannot be queried", "its decision are denied")),
           "doctor names it", step=0.3)
    within(20, lambda: daemon.counters()["extauthz_unreachable"] > 0, "unreachable is counted")
    judge.start()
    within(15, lambda: caller.ask("allow") == ANSWERED, "it is asked again when it is back", step=0.2)


def ages(lab, daemon, caller, judge):
    """Its connections are asked to go again and again, as most services of gRPC do, while questions are out: nobody is denied by that."""
    write(daemon, policy())
    judge.process.stop()
    judge.start("200ms")
    within(15, lambda: caller.ask("allow") == ANSWERED, "it is asked again when it is back", step=0.2)
    got, before = [], daemon.counters()
    waits = [threading.Thread(target=lambda: got.append(caller.ask("slow"))) for _ in range(3)]
    for thread in waits:
        thread.start()
        report = lab.dubbo_client(f"{VIP}:{PORT}", connections=2, outstanding=4, count=3000, attach="x-ext-authz=allow").result()
        equal((report["answered"], report["failed"]), (3000, 0), f"while connections age: {report}")
    for thread in waits:
        thread.join(20)
    equal(got, [ANSWERED] * len(waits), "calls that it takes long to judge")
    after = daemon.counters()
    equal([n for n in ("proxy_exchange_extauthz_failed", "proxy_extauthz_full", "extauthz_unreachable", "extauthz_no_memory") if after[n] != before[n]], [], "failures")
    judge.process.stop()
    judge.start()
    within(15, lambda: caller.ask("allow") == ANSWERED, "it is asked again when it is back", step=0.2)


def h2(kind, flags, stream, payload=b""):
    """A frame of HTTP/2 (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


SETTINGS, PING, GOAWAY = h2(4, 0, 0), h2(6, 0, 0, b"12345678"), h2(7, 0, 0, bytes(8))
HEADERS = h2(1, 0, 1, b"\x88\x0f\x10\x10application/grpc")  # :status 200 and content-type; more follow
# What a service says after its SETTINGS, again and again until nobody reads it any more.
FLOODS = {
    "settings": SETTINGS, "pings": PING, "goodbyes": GOAWAY, "resets": h2(3, 0, 1, bytes(4)), "resets of streams of its own": h2(3, 0, 2, bytes(4)),
    "header blocks without end": HEADERS + h2(9, 0, 1, (b"\x00\x01a\x7f\x81\x7f" + b"b" * 256) * 60) * 4, "header blocks that are empty": HEADERS + h2(9, 0, 1) * 1000,
    "windows": h2(8, 0, 0, (2**31 - 1).to_bytes(4, "big")), "data of nobody": h2(0, 0, 1, bytes(16000)), "a message without end": h2(1, 4, 1, HEADERS[9:]) + h2(0, 0, 1, b"\0\0\0\xff\xff" + bytes(15000)),
    "frames of unknown kinds": h2(200, 0, 0, bytes(16000)), "promises": h2(5, 4, 1, b"\0\0\0\x02\x88"), "garbage": b"HTTP/1.1 200 OK\r\n\r\n" * 100,
}


def flooded(daemon, caller, judge):
    """A service that floods who asks it: no answer, bounded work, and nothing is kept of it."""
    judge.process.stop()
    address, port = AT.split(":")
    for number, (what, flood) in enumerate(FLOODS.items()):
        # Each time another provider, which has not failed yet and is connected to at once.
        write(daemon, policy(), timeout=f"{2000 + number}ms")
        said = [0]

        def serve(flood=flood, said=said):
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    sock.settimeout(5)
                    try:
                        sock.sendall(SETTINGS)
                        sock.recv(65536)
                        for _ in range(20000000 // len(flood)):
                            sock.sendall(flood)
                            said[0] += len(flood)
                    except OSError:
                        pass

        with netns.inside(daemon.namespace):
            listener = socket.create_server((address, int(port)), reuse_port=True)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        before, memory = daemon.counters(), rss(daemon)
        caller.gets(DENIED, f"a call when it sends {what}", "allow")
        caller.gets(ANSWERED, f"one that nobody is asked about, when it sends {what}", method="sayGoodbye")
        after = daemon.counters()
        check(after["proxy_exchange_extauthz_failed"] > before["proxy_exchange_extauthz_failed"], f"{what}: no answer is counted")
        check(said[0] >= len(flood), f"{what}: nobody has come")
        check(rss(daemon) - memory < 32 << 20, f"{what}: memory grew from {memory} to {rss(daemon)}")
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)
    judge.start()
    within(15, lambda: caller.ask("allow") == ANSWERED, "it is asked again when it is back", step=0.2)


def rss(daemon):
    """Bytes."""
    return int(pathlib.Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1]) * 4096


def changes(daemon, caller):
    """A call that waits for its verdict when policies go, and when others come."""
    for texts, expected in (([], ANSWERED), ([policy("no", action="DENY", rules=[{}])], DENIED)):
        write(daemon, policy())
        got = []
        waits = threading.Thread(target=lambda got=got: got.append(caller.ask("slow")))
        before = daemon.counters()["proxy_extauthz_waited"]
        waits.start()
        within(10, lambda before=before: daemon.counters()["proxy_extauthz_waited"] > before, "somebody is asked", step=0.05)
        write(daemon, *texts)
        waits.join(20)
        equal(got, [expected], f"a call that was asked about before {'other policies came' if texts else 'its policy went'}")
        caller.gets(expected, "the next one", method="sayGoodbye")


def load(lab, daemon, judge):
    write(daemon, policy())
    before, asked = daemon.counters(), len(judge.asked())
    report = lab.dubbo_client(f"{VIP}:{PORT}", connections=4, outstanding=8, count=2000, attach="x-ext-authz=allow").result()
    equal((report["answered"], report["failed"], report["crossed"], report["strays"]), (2000, 0, 0, 0), f"under load: {report}")
    after = daemon.counters()
    equal(after["extauthz_allowed"] - before["extauthz_allowed"], 2000, "questions that were answered")
    equal(len(judge.asked()) - asked, 2000, "questions that it had")


def body():
    adsd.build()
    server = Server()
    with Lab(servers=1) as lab, lab.listening("server1", PORT, server.handle):
        daemon = lab.meltemi(workers=2)
        daemon.write("services.yaml", SERVICE)
        daemon.write("mesh.yaml", mesh())
        daemon.leaves("errors", "what nobody is asked about is told as closed", "its provider cannot be queried")
        daemon.start()
        judge, caller = Judge(lab, daemon), Caller(lab, server)
        verdicts(daemon, caller, judge)
        order(daemon, caller)
        times(daemon, caller)
        away(daemon, caller, judge)
        flooded(daemon, caller, judge)
        ages(lab, daemon, caller, judge)
        changes(daemon, caller)
        load(lab, daemon, judge)
        write(daemon, policy(provider={"name": "nobody"}))
        caller.gets(DENIED, "no such provider", "allow")
        caller.gets(ANSWERED, "and what no rule fits", method="sayGoodbye")
        check("extensionProviders do not have it" in daemon.shell("show", "objects", "|", "grep", "custom"), "show objects does not say why")


main(body)
