#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Trouble around the control plane, and the words in which each is told: two servers that name one address, client certificates
that are changed in their files, a state directory without room, a state file that the disk spoilt. Calls go on all the time.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import adsd  # noqa: E402
import mesh  # noqa: E402
from world import HOST, PORT, VIP, bootstrap, world  # noqa: E402, I001  (makes meltemi_lab known)
from meltemi_lab import check, equal, main, within  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402

V1, V2 = "v1/s1", "v2/s2"
SECOND = "198.18.0.2:15020"
NAME = mesh.name_of(HOST, PORT)
LISTENER = f"{VIP}_{PORT}"

# What each state is called, by where an operator looks: `show` views and the log.
WORDS = {
    "two sources": {"xds": "another source has one of this name", "config": f"Listener {VIP}_{PORT}: another source has one",
                    "health": "another source has one of this name", "log": "another source has one of this name"},
    "the first is back": {"config": f"xds:mesh: left out: Listener {VIP}_{PORT}"},
    "half of a pair": {"xds": "does not belong to the certificate", "log": "does not belong to the certificate"},
    "expired": {"xds": "expired", "health": "certificate", "log": "expired"},
    "no room": {"xds": "No space left on device", "health": "No space left on device", "log": "cannot be written"},
    "spoilt in place": {"xds": "was damaged: 1 resources", "health": "was damaged", "log": "was damaged"},
    "spoilt at boot": {"xds": "it is damaged", "health": "is not used: it is damaged", "log": "it is damaged"},
}
# What is not told any more once it is over.
GONE = {"xds": ("left out", "No space left", "damaged"), "health": ("another source", "No space left", "damaged")}


def view(w, name):
    return w.daemon.process.errors() if name == "log" else json.dumps(w.daemon.show(name))


def told(w, state, seconds=15):
    """Waits until every place says it; `show errors` blames no call."""
    for where, words in WORDS[state].items():
        try:
            within(seconds, lambda: words in view(w, where), words, step=0.2)
        except Failure:
            raise Failure(f"{state}: {where} does not say {words!r}: {view(w, where)[-3000:]}") from None
    failed = [row for row in w.daemon.show("errors")["errors"] if row.get("severity") == "error"]
    equal(failed, [], f"{state}: errors that are shown")


def over(w, seconds=15):
    """Nothing of it is told any more."""
    for where, words in GONE.items():
        try:
            within(seconds, lambda: not any(word in view(w, where) for word in words), where, step=0.2)
        except Failure:
            raise Failure(f"{where} still tells of trouble: {view(w, where)[-3000:]}") from None


# ---- two sources ----

def at(w, number, host=HOST):
    """A service of that address, at that Dubbo server."""
    return mesh.service(host, VIP, PORT, "dubbo", [w.endpoint(number)])


def begin(w):
    """Two sources, the second one without a service so far; the first over mutual TLS, its certificate in files of its own."""
    own = w.lab.directory / "own"
    shutil.copytree(w.certs, own)
    w.own = own
    first = w.server(tls=True)
    second = adsd.Adsd(w.lab.directory, w.lab.namespace("control"), "second", ads=SECOND, control="127.0.0.1:18010")
    w.lab.processes.append(second.process)
    first.apply(*at(w, 1))
    daemon = w.meltemi(tls={"certs": own, "client": "client", "name": "istiod.istio-system.svc"})
    other = w.lab.directory / "second.json"
    other.write_text(json.dumps(bootstrap(target=SECOND), indent=1))
    one = f"{{xds: {{bootstrap: {w.bootstrap}, plaintext: true}}}}"
    daemon.node.write_text(daemon.node.read_text().replace(one, f"{one}, {{xds: {{name: second, bootstrap: {other}, plaintext: true}}}}"))
    daemon.start()
    w.serves([V1], seconds=20)
    return first, second


def two_sources(w, first, second):
    """Who has the address keeps it, whoever speaks last; when it leaves, the other one has it, and keeps it in turn."""
    second.apply(*at(w, 2, "other.example"))
    told(w, "two sources")
    first.apply(*at(w, 1), *mesh.service("more.example", "240.240.1.9", PORT, "dubbo", [w.endpoint(1)]))
    second.apply(*at(w, 2, "other.example"), *mesh.service("else.example", "240.240.1.8", PORT, "dubbo", [w.endpoint(2)]))
    w.serves([V2], target=f"240.240.1.8:{PORT}")
    w.serves([V1])
    first.apply(remove=[("lds", LISTENER)])
    w.serves([V2])
    over(w)
    first.apply(*at(w, 1))
    told(w, "the first is back")
    w.serves([V2])
    second.apply(remove=[("lds", LISTENER)])
    w.serves([V1])
    over(w)


# ---- certificates ----

def put(w, what, name):
    """As a file is replaced: all of it at once."""
    new = w.own / "new"
    shutil.copy(w.certs / f"{name}.{what}", new)
    os.replace(new, w.own / f"client.{what}")


def peer(server):
    return server.report()["peer"]


def rotated(w, server):
    """A new pair while the stream lives; half of a pair, and one that has expired, at a reconnect as well."""
    opened = server.report()["streams_opened"]
    put(w, "pem", "client-next")
    told(w, "half of a pair", seconds=25)
    server.drop("connections")
    within(15, lambda: server.report()["streams_opened"] > opened, "a stream by the pair that was good")
    put(w, "key", "client-next")
    within(25, lambda: peer(server) == ["spiffe://cluster.local/ns/meta/sa/next"], "the new pair is in use", step=0.2)
    put(w, "pem", "client-expired")
    put(w, "key", "client-expired")
    told(w, "expired", seconds=25)
    w.serves([V1])
    put(w, "pem", "client")
    put(w, "key", "client")
    server.apply(mesh.assignment(NAME, [w.endpoint(2)]))
    w.serves([V2], seconds=60)
    server.apply(mesh.assignment(NAME, [w.endpoint(1)]))
    w.serves([V1])


# ---- what an operator says against the mesh ----

def turned(w, server):
    """A weight that was turned counts for endpoints of the mesh, over the mesh's next words, until it is dropped."""
    def shares():
        return w.lab.dubbo_client(f"{VIP}:{PORT}", count=200, outstanding=1).result()["by_server"]

    server.apply(mesh.assignment(NAME, [w.endpoint(1), w.endpoint(2)]))
    w.serves([V1, V2])
    w.daemon.shell("tune", "weight", f"{w.lab.server(2)}:{PORT}", "9")
    within(5, lambda: 170 <= shares().get(V2, 0) <= 190, "nine of ten calls")
    server.apply(mesh.assignment(NAME, [w.endpoint(2), w.endpoint(1)]))
    within(5, lambda: 170 <= shares().get(V2, 0) <= 190, "nine of ten calls over another push")
    w.daemon.shell("tune", "drop", "all")
    within(5, lambda: 90 <= shares().get(V2, 0) <= 110, "half of the calls")
    server.apply(mesh.assignment(NAME, [w.endpoint(1)]))
    w.serves([V1])


# ---- the state directory ----

@contextlib.contextmanager
def tiny(directory):
    """A file system of 256 KiB there."""
    directory.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=False)


def no_room(w, server, state):
    """Changes come into force all the same, and are kept when there is room again."""
    filler = state / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as f:
        while f.write(bytes(4096)):
            pass
    server.apply(mesh.assignment(NAME, [w.endpoint(2)]))
    w.serves([V2])
    told(w, "no room")
    filler.unlink()
    over(w)
    w.daemon.wait_log("is written again")


def kept(state):
    return state / "xds-mesh.bin"


def spoil(state, what):
    """One byte of a body, where the file lies; the name of a resource stands before its body and in it."""
    data = bytearray(kept(state).read_bytes())
    where = data.rfind(what.encode())
    check(where > 0, f"{what} is not in the state file")
    data[where] ^= 1
    with kept(state).open("r+b") as f:
        f.write(data)


def spoilt_in_place(w, server, state):
    """What the disk lost is asked for again, stays in force meanwhile, and is kept again."""
    opened = server.report()["streams_opened"]
    spoil(state, VIP)
    server.apply(mesh.assignment(NAME, [w.endpoint(1)]))
    told(w, "spoilt in place")
    within(15, lambda: server.report()["streams_opened"] > opened, "the stream is begun again")
    over(w)
    w.serves([V1])


def spoilt_at_boot(w, server, state):
    """The whole is not taken; once the server has spoken it is replaced, and good."""
    equal(w.daemon.stop(), 0, "exit status")
    spoil(state, VIP)
    server.faults(refuse=14)
    w.daemon.start()
    told(w, "spoilt at boot")
    server.faults()
    w.serves([V1], seconds=60)
    over(w)
    server.faults(refuse=14)
    equal(w.daemon.stop(), 0, "exit status")
    w.daemon.start()
    w.serves([V1])


def body():
    with world() as w, tiny(w.lab.directory / "state") as state:
        w.peers(thrift=0)
        first, second = begin(w)
        with w.traffic(thrift=False) as reports:
            for case, args in ((two_sources, (first, second)), (rotated, (first,)), (turned, (first,)),
                               (no_room, (first, state)),
                               (spoilt_in_place, (first, state))):
                began = time.monotonic()
                case(w, *args)
                print(f"  {case.__name__}: {time.monotonic() - began:.1f} s", flush=True)
        print(f"  {reports['dubbo']['answered']} calls {reports['dubbo']['by_server']}, none failed", flush=True)
        spoilt_at_boot(w, first, state)
        equal(w.daemon.stop(), 0, "exit status")


if __name__ == "__main__":
    main(body)
