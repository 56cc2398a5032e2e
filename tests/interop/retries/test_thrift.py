#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Retries by policy with servers of Apache's Thrift libraries for C++, Python and Go, which reply with undeclared exceptions, hang, have
their connections reset while they execute a call, are stopped, are killed, and refuse connections. Executions are counted at the
servers: at most as many as the policy allows, more than one only if it names the reason, and calls that were not read are never lost.
"""

import concurrent.futures
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "thrift")]

from retry_lab import BOTH, OK, POLICIES, Scene, name_of, rule, virtual_service  # noqa: E402, I001
from meltemi_lab import Lab, Skip, main  # noqa: E402
from meltemi_lab.check import Failure  # noqa: E402
from meltemi_lab.documents import service  # noqa: E402
from meltemi_lab.paths import INTEROP, PYTHON  # noqa: E402

VIP = "240.240.8.1"
BUILT = INTEROP / "thrift"
KINDS = {"C++": [BUILT / "server"], "Python": [PYTHON, HERE.parent / "thrift/server.py"], "Go": [BUILT / "goserver"]}
BY_NAME = {policy.name: policy for policy in POLICIES}


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


def run(lab, kind, servers, port):
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
                                     [*program, "--port", port, "--tag", "v1", "--id", f"s{n}", "--faults", 1]) for n in (1, 2)], port
            for policy in POLICIES:
                host = f"{policy.name}{number}.test"
                daemon.write(f"{host}.yaml", service(host, VIP, port_of(kind, policy.name), "tcp-metaprotocol-thrift",
                                                     [(lab.server(n), port, {}) for n in (1, 2)]))
                daemon.write(f"{host}-rule.yaml", virtual_service(host, rule(host, policy.retries)))
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
