#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Retries by policy with servers of Apache's Thrift libraries for C++, Python and Go, which reply with undeclared exceptions, hang, have
their connections reset while they execute a call, are stopped, are killed, refuse connections, and close them on accept. Executions are
counted at the servers: at most as many as the policy allows, more than one only if it names the reason, and calls that were not read are
never lost.
"""

import concurrent.futures
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "thrift")]

from retry_lab import BOTH, NONE, OK, POLICIES, Scene, name_of, rule, virtual_service  # noqa: E402, I001
from meltemi_lab import Lab, Skip, equal, main, within  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402
from meltemi_lab.documents import service, subsets  # noqa: E402
from meltemi_lab.paths import INTEROP, PYTHON  # noqa: E402

VIP = "240.240.8.1"
BUILT = INTEROP / "thrift"
FULL, MOST = "C++, full", 2
KINDS = {"C++": [BUILT / "server"], "Python": [PYTHON, HERE.parent / "thrift/server.py"], "Go": [BUILT / "goserver"],
         FULL: [BUILT / "server"]}
OPTIONS = {(FULL, 1): ["--kind", "nonblocking", "--most", MOST]}  # of a server
BY_NAME = {policy.name: policy for policy in POLICIES}
PATIENT = "simple: ROUND_ROBIN\n    outlierDetection: {consecutive5xxErrors: 1000}"


def build():
    for language in ("cpp", "go"):
        done = subprocess.run([HERE.parent / "thrift/build.sh", language], text=True, capture_output=True, timeout=350, check=False)
        if done.returncode:
            raise Skip(f"no Thrift peers: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def port_of(kind, policy):
    return 10000 + 100 * list(KINDS).index(kind) + list(BY_NAME).index(policy)


class Clients:
    """Apache's client, with a connection for each policy."""

    def __init__(self, lab, kind):
        self.lab, self.kind, self.open = lab, kind, {}

    def ask(self, policy, name, method="sayHello"):
        from hello import Hello
        from thrift.protocol import TBinaryProtocol
        from thrift.Thrift import TApplicationException
        from thrift.transport import TSocket, TTransport

        client = self.open.pop(policy, None)
        if not client:
            sock = TSocket.TSocket()
            sock.setHandle(self.lab.connect("client", VIP, port_of(self.kind, policy), timeout=90))
            client = Hello.Client(TBinaryProtocol.TBinaryProtocol(TTransport.TFramedTransport(sock)))
        try:
            text = getattr(client, method)(name)
        except TApplicationException as error:  # the connection goes on
            self.open[policy] = client
            return f"exception {error.type}"
        except TTransport.TTransportException as error:
            return f"transport {error.type}"
        self.open[policy] = client
        return OK if name in text.split(" ") else text


def unknown_method(scene, clients):
    """A call that was read is repeated on a connection without ids only if replies of its method are known."""
    policy = BY_NAME["reset"]

    def asks(name_of_policy, name):
        return clients.ask(name_of_policy, name, "sayGoodbye")

    scene.settle(policy)
    usual, scene.ask = scene.ask, asks
    name = name_of("reset", BOTH)
    answer = scene.call(policy, name)
    scene.expect(answer != OK and sum(scene.executed(name)) == 1, policy, name, f"a new method: {answer}, executions {scene.executed(name)}")
    scene.settle(policy)
    scene.judged(policy, name_of("reset", BOTH))
    scene.ask = usual


def closed_on_accept(lab, kind, servers, port):
    """
    s1 has all connections that it takes, and closes new ones as it accepts them. A call that it may have read ends with an error unless
    the policy names lost connections; all others are answered by s2. s1 executes none.
    """
    scene = Scene(lab, kind, servers, port, Clients(lab, kind).ask)
    crowd = [lab.connect("client", lab.server(1), port) for _ in range(MOST + 1)]
    equal(crowd[-1].recv(1), b"", "the connection that is one too many")
    for policy in POLICIES:
        known(scene, policy)
        before, errors = opened(lab, policy, port), 0
        for _ in range(12):
            name = name_of("good", NONE)
            answer, counts = scene.ask(policy.name, name), scene.executed(name)
            errors += answer != OK
            scene.expect(counts == [0, int(answer == OK)], policy, name, f"closed: answer {answer}, executions {counts}")
        tried = opened(lab, policy, port) - before
        scene.expect(errors == 0 or "reset" not in policy.covers, policy, "closed", f"{errors} errors")
        scene.expect(tried > 0, policy, "closed", "the first server was not tried")
        print(f"{kind}, {policy.name}: {tried} connections closed on accept, {errors} errors", flush=True)
    scene.ends()
    return scene.wrong


def known(scene, policy):
    """Calls until the second server has answered, so that the method is known to answer (a connection without ids needs that for retries)."""
    within(30, lambda: scene.ask(policy.name, name_of("good", NONE)) == OK, f"{scene.kind}, {policy.name}: the second server answers", step=0)


def opened(lab, policy, port):
    """Connections to s1 so far, for the calls of this policy."""
    return next(row["connections_opened"] for row in lab.daemon.show("endpoints")["endpoints"]
                if row["endpoint"] == f"{lab.server(1)}:{port}" and f"|{policy.name}" in row["cluster"])


def run(lab, kind, servers, port):
    if kind == FULL:
        return closed_on_accept(lab, kind, servers, port)
    clients = Clients(lab, kind)
    scene = Scene(lab, kind, servers, port, clients.ask)
    unknown_method(scene, clients)
    for policy in POLICIES:
        scene.faults(policy, ("error", "reset", "hang"))
    scene.stops(BY_NAME["try"])
    scene.dies(BY_NAME["default"], BY_NAME["reset"])
    scene.ends()
    scene.report()
    return scene.wrong


def body():
    build()
    import common  # noqa: F401  (makes the generated code known)

    with Lab(servers=2) as lab, concurrent.futures.ThreadPoolExecutor(len(KINDS)) as pool:
        daemon, started = lab.meltemi(), {}
        for number, (kind, program) in enumerate(KINDS.items()):
            port = 9100 + number
            started[kind] = [lab.run(f"server{n}", f"{program[-1].name}-{number}-{n}",
                                     [*program, *OPTIONS.get((kind, n), ()), "--port", port, "--tag", "v1", "--id", f"s{n}", "--faults", 1])
                             for n in (1, 2)], port
            for policy in POLICIES:
                host = f"{policy.name}{number}.test"
                daemon.write(f"{host}.yaml", service(host, VIP, port_of(kind, policy.name), "tcp-metaprotocol-thrift",
                                                     [(lab.server(n), port, {}) for n in (1, 2)]))
                daemon.write(f"{host}-rule.yaml", virtual_service(host, rule(host, policy.retries)))
                if kind == FULL:  # it is not ejected
                    daemon.write(f"{host}-balancer.yaml", subsets(host, (), PATIENT))
        for servers, _ in started.values():
            for server in servers:
                server.wait_line('"ready"', 30)
        daemon.start()
        runs = [pool.submit(run, lab, kind, servers, port) for kind, (servers, port) in started.items()]
        wrong = [text for one in runs for text in one.result()]
        counters = daemon.counters()
        print(f"{counters['proxy_retry_by_policy']} attempts by policy, {counters.get('proxy_exchange_transparent_retry', 0)} without one",
              flush=True)
    if wrong:
        raise Failure(f"{len(wrong)} calls:\n  " + "\n  ".join(wrong))


main(body)
