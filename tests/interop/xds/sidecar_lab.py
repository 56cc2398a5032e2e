# SPDX-License-Identifier: Apache-2.0
"""
Sidecars as Istio has them: its own agent (pilot-agent) in a namespace of a lab gets a certificate from istiod, makes Envoy's bootstrap by
Istio's template, starts Envoy, and gives it istiod's listeners, clusters and endpoints and, by its socket, the secrets. Connections are led
there by Istio's own rules of iptables, which the agent writes, too.
"""

import json
import os
import shutil
import subprocess

import environment
import test_join
from real_istiod import AT, program
from world import CONTROL  # noqa: I001  (makes meltemi_lab known)
from meltemi_lab import Skip, netns, within
from meltemi_lab.check import Failure

ON_THE_BRIDGE = "198.51.100.3"
PROXY = "1337"  # the user and group of Istio's proxies, whose connections are not led to them
# What istiod generates without what Istio's Envoy alone has: the exchange of metadata behind `istio-peer-exchange`. Nothing else is taken away.
ISTIOD = {"PILOT_ENABLE_METADATA_EXCHANGE": "false"}
SEEN = {"cluster": "%UPSTREAM_CLUSTER_RAW%", "flags": "%RESPONSE_FLAGS%", "why": "%CONNECTION_TERMINATION_DETAILS%", "peer": "%DOWNSTREAM_PEER_URI_SAN%",
        "sni": "%REQUESTED_SERVER_NAME%", "version": "%DOWNSTREAM_TLS_VERSION%", "up": "%UPSTREAM_PEER_URI_SAN%", "bytes": "%BYTES_RECEIVED%"}
MESH = ["accessLogFile: /dev/stdout", "accessLogEncoding: JSON", f"accessLogFormat: '{json.dumps(SEEN)}'"]


def needed():
    """What the machine must have; skips."""
    if not all(shutil.which(name) for name in ("iptables", "iptables-restore")):
        raise Skip("not installed: iptables")
    return program("pilot-agent"), environment.envoy()


def reach_istiod(lab, *roles):
    """istiod is on the servers' network as well, where the sidecars are."""
    lab.attach("control", "s0", f"{ON_THE_BRIDGE}/24")
    for role in roles:
        netns.run("ip", "-n", lab.namespace(role), "route", "add", f"{CONTROL}/32", "via", ON_THE_BRIDGE)


class Sidecar:
    """
    One in a role's namespace, for the workload `name` with that address, account and labels. outbound: which destinations of connections
    from there are led to it, "*" or prefixes; inbound: which ports' connections to there, "*" or numbers.
    """

    def __init__(self, lab, role, issuer, namespace, account, address, labels=None, outbound="", inbound="*"):
        self.lab, self.role, self.namespace, self.account = lab, role, namespace, account
        self.agent, self.envoy = needed()
        self.home = lab.directory / f"sidecar-{role}"
        for folder in ("var/run/secrets/tokens", "var/run/secrets/istio", "etc/istio/proxy"):
            (self.home / folder).mkdir(parents=True)
        (self.home / "var/run/secrets/tokens/istio-token").write_text(issuer.token(namespace=namespace, account=account))
        shutil.copyfile(lab.directory / "root.pem", self.home / "var/run/secrets/istio/root-cert.pem")
        config = {"discoveryAddress": AT, "binaryPath": str(self.envoy), "configPath": "./etc/istio/proxy", "concurrency": 1,
                  "proxyBootstrapTemplatePath": str(self.agent.parent / "bootstrap-of-pilot-agent.json"), "statusPort": 15020,
                  "drainDuration": "2s"}
        env = {"POD_NAME": f"{account}-1", "POD_NAMESPACE": namespace, "INSTANCE_IP": address, "SERVICE_ACCOUNT": account, "HOME": str(self.home),
               "TRUST_DOMAIN": "cluster.local", "ISTIOD_SAN": test_join.HOST, "PROXY_CONFIG": json.dumps(config), "ISTIO_META_CLUSTER_ID": "Kubernetes",
               "ISTIO_META_INTERCEPTION_MODE": "REDIRECT", "ISTIO_METAJSON_LABELS": json.dumps(labels or {}), "PATH": os.environ["PATH"]}
        self._lead(outbound, inbound)
        self.process = lab.run(role, f"sidecar-{role}", ["setpriv", f"--regid={PROXY}", "--clear-groups", "env", "-C", self.home, self.agent, "proxy",
                                                         "sidecar", "--proxyLogLevel", "warning"], env=env)

    def _lead(self, outbound, inbound):
        """Istio's rules."""
        netns.run("ip", "netns", "exec", self.lab.namespace(self.role), str(self.agent), "istio-iptables", "-p", "15001", "-z", "15006", "-u", PROXY,
                  "-g", PROXY, "-m", "REDIRECT", "-i", outbound, "-b", inbound, "-d", "15090,15021,15020")

    def admin(self, path):
        """Envoy's own administration, as text."""
        done = subprocess.run(["ip", "netns", "exec", self.lab.namespace(self.role), "curl", "-sS", f"http://127.0.0.1:15000{path}"], text=True,
                              capture_output=True, timeout=20, check=False)
        return done.stdout

    def ready(self):
        if not self.process.running():
            raise Failure(f"the agent of {self.role} ended: {self.process.tail()}")
        return self.admin("/ready").startswith("LIVE")

    def wait(self, seconds=40):
        within(seconds, self.ready, f"the sidecar of {self.role}", step=0.2)
        return self

    def config(self):
        """What Envoy runs, as JSON."""
        return json.loads(self.admin("/config_dump?include_eds"))

    def rows(self):
        """What it told of connections that have ended."""
        return [json.loads(line) for line in self.process.output().splitlines() if line.startswith("{")]
