#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Captures of real calls, read by a reader of its own and by tcpdump: every packet of a connection with its bytes, the exchanges that they
carry by the names that `trace` knows, messages decoded before and behind the filters, only what an expression chooses, within bounds.
"""

import json
import subprocess
import time

from meltemi_lab import PATIENCE, Lab, becomes, check, equal, main, within
from meltemi_lab.daemon import SHELL
from meltemi_lab.documents import service
from meltemi_lab.pcapng import Capture

HOST, VIP = "org.apache.dubbo.samples.basic.api.demoservice", "240.240.1.1"
SLOW = ("slow.example", "240.240.1.2")
MAGIC = b"\xda\xbb"


def shell(daemon, *words):
    return [SHELL, "-s", daemon.directory / "admin.sock", *map(str, words)]


def begin(daemon, *words, out=subprocess.DEVNULL):
    """A capture that runs before this returns."""
    process = subprocess.Popen(shell(daemon, "capture", *words), stdout=out, stderr=subprocess.PIPE, text=out is not subprocess.PIPE)
    within(5, lambda: daemon.show("capture")["capture"] == "running" or process.poll() is not None, f"capture {words} to begin")
    return process


def end(daemon, process):
    # It may have ended by itself.
    subprocess.run(shell(daemon, "capture", "stop"), capture_output=True, timeout=20, check=False)
    told = process.communicate(timeout=20)[1]
    equal(process.returncode, 0, f"exit status of a capture: {told}")
    return told


def captured(daemon, words, call, name="got.pcapng"):
    """What a capture of `words` wrote while `call` was made."""
    path = daemon.directory / name
    path.touch(0o644)
    process = begin(daemon, path, *words)
    call()
    end(daemon, process)
    found = Capture(path.read_bytes())
    check(found.ended, "no statistics at the end")
    equal(path.stat().st_mode & 0o777, 0o600, "mode of the file")
    equal(sum(found.received.values()), len(found.packets), "packets by the statistics")
    equal(found.lost, 0, "lost")
    return found


def streams(packets):
    """Payload by (src, sport, dst, dport), put together by sequence numbers; checksums of what is received are right."""
    parts = {}
    for p in packets:
        s = p.segment()
        if s is None or s.proto != 6:
            continue
        equal(p.len, len(p.data), "a packet's length")
        check(p.direction == "tx" or s.sum_right, f"a received segment's checksum, {s.src}:{s.sport}")
        if s.payload:
            parts.setdefault((str(s.src), s.sport, str(s.dst), s.dport), {})[s.seq] = s.payload
    return {ends: b"".join(found[seq] for seq in sorted(found)) for ends, found in parts.items()}


def whole_connections(daemon, lab, calls):
    """Packets: nothing is missing of 20 calls on both sides."""
    found = captured(daemon, [], calls)
    both = streams(found.packets)
    requests = [d for (_, _, dst, port), d in both.items() if dst == VIP and port == 20880]
    forwarded = [d for (_, _, dst, _), d in both.items() if dst == lab.server(1)]
    replies = [d for (src, *_), d in both.items() if src == lab.server(1)]
    answers = [d for (src, *_), d in both.items() if src == VIP]
    for what, side in (("requests", requests), ("forwarded", forwarded), ("replies", replies), ("answers", answers)):
        check(sum(d.count(MAGIC) for d in side) >= 20, f"{what}: {[d.count(MAGIC) for d in side]}")
        check(all(d.startswith(MAGIC) for d in side), f"{what}: a stream does not begin with a message")
    times = [p.ns for p in found.packets]
    check(abs(times[-1] / 1e9 - time.time()) < 60, f"times: {times[-1]}")
    flags = [p.segment().flags for p in found.packets if p.segment() and p.segment().proto == 6]
    check(any(f & 2 for f in flags) and any(f & 1 for f in flags), "no SYN or no FIN: not from the first packet to the last")
    told = {p.facts().get("outcome") for p in found.packets if p.segment() and p.segment().proto == 6}
    check(told == {None}, f"outcomes of ordinary packets: {told}")
    named = {p.facts()["exchange"] for p in found.packets if "exchange=" in p.comment}
    check(len(named) >= 20, f"exchanges named by packets: {len(named)}")
    return found


def names_of_trace(daemon, calls):
    """What a comment calls an exchange is what the slow log and `show` can be asked for; each has a request and a reply."""
    found = captured(daemon, ["messages"], calls)
    by_exchange = {}
    for p in found.packets:
        by_exchange.setdefault(p.facts()["exchange"], []).append(p)
    of_calls = [v for v in by_exchange.values() if v[0].facts().get("method") == "sayHello"]
    equal(len(of_calls), 20, "exchanges with messages")
    for messages in of_calls:
        equal([p.comment.split()[0] for p in messages], ["request", "forwarded", "reply", "answer"], "messages of an exchange")
        facts = messages[0].facts()
        equal(facts["status"], "ok", "the status")
        check(facts["service"] and facts["route"] and facts["cluster"] and facts["endpoint"], messages[0].comment)
        for p in messages:
            s = p.segment()
            check(s.sum_right and s.payload.startswith(MAGIC), f"bytes of {p.comment}")
            equal(len(s.payload), int(p.facts()["bytes"]), "bytes of a message")
        ids = [p.segment().payload[4:12] for p in messages]
        equal((ids[0], ids[1]), (ids[3], ids[2]), "ids on each side")
    # Both sides' messages in one file, as others read them.
    lines = subprocess.run(["tcpdump", "-nn", "-v", "-r", daemon.directory / "got.pcapng"], capture_output=True, text=True, timeout=20,
                           check=True).stdout
    equal(lines.count("(correct)"), len(found.packets), "segments that tcpdump finds right")


def only_chosen(daemon, lab, calls):
    found = captured(daemon, ["dport=20880", "direction=rx"], calls)
    check(found.packets, "nothing was chosen")
    for p in found.packets:
        equal((p.direction, p.segment().dport), ("rx", 20880), "what an expression chose")
    found = captured(daemon, ["messages", "client", "method=sayHello", "status=ok", "count", "6"], calls)
    equal(len(found.packets), 6, "as many as were asked for")
    equal(found.interfaces, ["client"], "sides")
    equal(captured(daemon, ["messages", "status!=ok", "method=sayHello"], calls).packets, [], "failures of calls that succeed")
    found = captured(daemon, ["packets", f"host={lab.server(1)}", "snaplen", "60"], calls)
    check(all(len(p.data) <= 60 for p in found.packets) and any(p.len > 60 for p in found.packets), "snaplen")


def live_pipe(daemon, calls):
    """To tcpdump as it comes."""
    capture = begin(daemon, "-", "dport=20880", out=subprocess.PIPE)
    dump = subprocess.Popen(["tcpdump", "-nn", "-l", "-r", "-"], stdin=capture.stdout, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    capture.stdout.close()
    calls()
    lines = [dump.stdout.readline() for _ in range(10)]
    check(any(f"> {VIP}.20880: Flags" in line for line in lines), f"tcpdump: {lines}")
    equal(daemon.show("capture")["capture"], "running", "the capture behind a line that was read already")
    # The reader has seen enough.
    dump.terminate()
    dump.communicate(timeout=PATIENCE)
    within(10, lambda: calls() and daemon.show("capture")["capture"] == "ended", "the end without a reader")
    equal(capture.wait(timeout=PATIENCE), 0, "exit status behind a pipe that was closed")


def more_than_can_be_followed(daemon, lab):
    """What has no place is counted and told, also behind the end."""
    process = begin(daemon, daemon.directory / "many.pcapng", "messages", "client", "count", "100000")
    report = lab.dubbo_client(f"{SLOW[1]}:20880", count=600, outstanding=600).result()
    equal(report["answered"], 600, "answers")
    told = end(daemon, process)
    missed = daemon.show("capture")["missed"]
    check(0 < missed < 600 and f"{missed} exchanges not followed" in told, f"{missed} missed: {told!r}")


def ends_in_words(daemon, calls):
    """Killed readers, time, a second one, a trace beside it."""
    process = begin(daemon, daemon.directory / "killed.pcapng")
    for words, told in ((["capture", daemon.directory / "x.pcapng"], "captures packets `` already; `capture stop` ends"),
                        (["trace", "start"], "a capture of packets is running"), (["capture", "read", "999"], "no capture 999")):
        refused = subprocess.run(shell(daemon, *words), capture_output=True, text=True, timeout=20, check=False)
        check(refused.returncode == 1 and told in refused.stderr, f"{words}: {refused.stderr!r}")
    check(not (daemon.directory / "x.pcapng").exists(), "a refused capture wrote a file")
    process.terminate()
    process.communicate(timeout=PATIENCE)
    ended = daemon.show("capture")
    equal((ended["capture"], ended["ended_because"]), ("ended", "it was stopped"), "a capture that was ended by a signal")
    check(Capture((daemon.directory / "killed.pcapng").read_bytes()).ended, "its file has no end")
    process = begin(daemon, daemon.directory / "short.pcapng", "seconds", "1")
    check("its time is over" in process.communicate(timeout=PATIENCE)[1], "its time")
    process = begin(daemon, daemon.directory / "short.pcapng", "count", "5")
    calls()
    check("short.pcapng: 5 captured, 0 lost; the requested number was reached" in process.communicate(timeout=PATIENCE)[1], "its count")
    daemon.shell("trace", "start", "count", "1")
    refused = subprocess.run(shell(daemon, "capture", "-"), capture_output=True, text=True, timeout=20, check=False)
    check("a trace is running" in refused.stderr and not refused.stdout, f"beside a trace: {refused}")
    daemon.shell("trace", "stop")
    for words, told in ((["status=ok"], "capture messages status=ok"), (["messages", "len>5"], "`len`"), (["seconds", "0"], "seconds"),
                        (["snaplen", "x"], "snaplen")):
        refused = subprocess.run(shell(daemon, "capture", daemon.directory / "x.pcapng", *words), capture_output=True, text=True,
                                 timeout=20, check=False)
        check(refused.returncode == 2 and told in refused.stderr, f"capture {words}: {refused.stderr!r}")
    calls()


def long_messages(daemon, calls):
    """One that no packet holds is as long as what there is of it; another says how long it was."""
    found = captured(daemon, ["messages", "client", "method=sayHello"], lambda: (calls(3, size=100000), calls(3, size=20000)))
    requests = [p for p in found.packets if p.comment.startswith("request ")]
    equal(len(requests), 6, "long requests")
    there = []
    for p in requests:
        s, size = p.segment(), int(p.facts()["bytes"])
        there.append(len(s.payload))
        check(size > 20000 and 0 < there[-1] <= 4096, f"{there[-1]} of {size} bytes")
        equal(p.len - len(p.data), 0 if size > 65535 else size - there[-1], "bytes that are not there")
        equal((s.size + 14, s.there), (p.len, size > 65535), "the IP header's length")
    equal(max(there), 4096, "bytes of a request that were there when it was taken, at most")


def what_became_of_it(daemon, lab):
    """A packet that nobody wanted says so."""
    def nobody():
        try:
            lab.connect("client", VIP, 20881)
        except OSError:
            pass

    found = captured(daemon, ["dport=20881"], nobody)
    check(found.packets and "outcome=" in found.packets[0].comment, f"comments: {[p.comment for p in found.packets]}")


def behind_the_end(daemon, calls):
    """All that was taken before it, in the order of time over all workers, in answers of a bounded size."""
    started = json.loads(daemon.shell("--json", "capture", "start", "count", "100000"))
    calls(count=1500, connections=32)  # so that each worker has some of them
    daemon.shell("capture", "stop")
    rows, sizes, more = [], [], True
    while more:
        read = json.loads(daemon.shell("--json", "capture", "read", str(started["id"])))
        sizes.append(sum(len(row["data"]) * 3 // 4 for row in read["packets"]))
        more = read["more"]
        rows += read["packets"]
    check(len(sizes) > 1 and max(sizes) < 600_000, f"bytes of answers: {sizes}")
    equal({row["worker"] for row in rows}, {0, 1}, "workers")
    times = [row["ns"] for row in rows]
    equal(times, sorted(times), "order of time")
    equal(read["taken"], len(rows), "records taken")


def killed_under_flood(daemon, flood, calls):
    """Nobody reads: what the rings do not hold is counted, and every call is answered; then all of it ends."""
    process = begin(daemon, daemon.directory / "killed.pcapng", "count", "1000000")
    process.kill()
    process.communicate()

    def rings():
        return [p for p in daemon.show("memory")["pools"] if p["name"].startswith("capture-")]

    load = flood(count=20000, outstanding=64)
    # One connection may have brought all of it to one worker. The rings go 10 s after the last read, and the calls may take longer.
    used = within(10, lambda: (now := rings()) and any(p["in_use"] for p in now) and now, "rings in `show memory`")
    check(all(p["in_use"] <= p["size"] for p in used), f"rings in `show memory`: {used}")
    equal(sum(load.result()["by_server"].values()), 20000, "answers")
    shown = daemon.show("capture")
    check(shown["lost"] > 0, f"lost: {shown}")
    within(15, lambda: daemon.show("capture")["ended_because"] == "no client reads it", "the end of one that nobody reads")
    becomes(rings, [], "rings behind the end")
    check(daemon.show("capture")["lost"] >= shown["lost"], "what was lost is forgotten with the rings")
    calls()


def body():
    with Lab(servers=2) as lab:
        lab.dubbo_server(1, "v1").wait_line("ready")
        lab.dubbo_server(2, "slow", delay=300).wait_line("ready")
        daemon = lab.meltemi(workers=2)
        daemon.write("slow.yaml", service(*SLOW, 20880, "tcp-metaprotocol-dubbo", [(lab.server(2), 20880, {})]))
        daemon.write("service.yaml", service(HOST, VIP, 20880, "tcp-metaprotocol-dubbo", [(lab.server(1), 20880, {})]))
        daemon.start()

        def flood(count, **more):
            return lab.dubbo_client(f"{VIP}:20880", count=count, **more)

        def calls(count=20, **more):
            return flood(count, **more).result()

        whole_connections(daemon, lab, calls)
        names_of_trace(daemon, calls)
        only_chosen(daemon, lab, calls)
        long_messages(daemon, calls)
        what_became_of_it(daemon, lab)
        more_than_can_be_followed(daemon, lab)
        live_pipe(daemon, calls)
        ends_in_words(daemon, calls)
        behind_the_end(daemon, calls)
        killed_under_flood(daemon, flood, calls)


main(body)
