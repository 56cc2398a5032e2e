# SPDX-License-Identifier: Apache-2.0
"""A real istiod, built from its module (istiod/build.sh), without Kubernetes: its documents, and the process in a lab's control namespace."""

import pathlib
import subprocess
import time

from world import CONTROL  # noqa: I001  (makes meltemi_lab known)
from meltemi_lab import Skip, within
from meltemi_lab.check import Failure

HERE = pathlib.Path(__file__).resolve().parent
AT = f"{CONTROL}:15012"
MESH = """\
rootNamespace: istio-system
trustDomain: cluster.local
configSources:
- address: fs://{config}
defaultConfig:
  discoveryAddress: {istiod}
"""
WORKLOAD = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: demo-v{number}, namespace: meta}}
spec: {{address: {address}, labels: {{app: demo, version: v{number}, security.istio.io/tlsMode: disabled}}, serviceAccount: demo}}
"""


def program(name="pilot-discovery"):
    """One of Istio's own."""
    done = subprocess.run([HERE / "istiod" / "build.sh", name], text=True, capture_output=True, timeout=1100, check=False)
    if done.returncode:
        raise Skip(f"no {name}: {(done.stderr.strip().splitlines() or ['build.sh failed'])[-1]}")
    return max((pathlib.Path.home() / ".cache/meltemi/istiod").glob(f"{name}-v*"))


class Istiod:
    """
    authority: a directory as ROOT_CA_DIR wants it; server: NAME of NAME.pem and NAME.key that it shows, roots: a file; mesh: more lines of
    MeshConfig.
    """

    def __init__(self, lab, authority, server, roots, mesh=()):
        self.lab, self.program, self.authority, self.server, self.roots = lab, program(), authority, server, roots
        self.mesh = "".join(f"{line}\n" for line in mesh)
        self.config = lab.directory / "istio"
        self.config.mkdir()
        self.process = None

    def write(self, name, text):
        scratch = self.config.parent / f".{name}"
        scratch.write_text(text)
        scratch.rename(self.config / name)

    def workload(self, number, at=None):
        """A workload "demo" of version vN at that server of the lab."""
        self.write(f"workload{number}.yaml", WORKLOAD.format(number=number, address=self.lab.server(at or number)))

    def start(self, **more):
        directory = self.lab.directory
        (directory / "mesh.yaml").write_text(MESH.format(config=self.config, istiod=AT) + self.mesh)
        env = {"POD_NAME": "istiod-lab", "POD_NAMESPACE": "istio-system", "REVISION": "default", "PILOT_CERT_PROVIDER": "istiod",
               "ENABLE_CA_SERVER": "true", "ROOT_CA_DIR": str(self.authority), "HOME": str(directory),
               "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **more}
        argv = [self.program, "discovery", "--registries=", "--meshConfig", directory / "mesh.yaml", "--networksConfig",
                directory / "none", "--httpAddr", "127.0.0.1:18080", "--httpsAddr", "", "--grpcAddr", "127.0.0.1:15010",
                "--secureGRPCAddr", AT, "--monitoringAddr", "127.0.0.1:15014", "--tlsCertFile", f"{self.server}.pem",
                "--tlsKeyFile", f"{self.server}.key", "--caCertFile", self.roots]
        self.process = self.lab.run("control", f"istiod-{time.monotonic_ns()}", argv, env=env)
        within(30, self._listens, "istiod listens", step=0.1)

    def _listens(self):
        if not self.process.running():
            raise Failure(f"istiod ended: {self.process.tail()}")
        try:
            self.lab.connect("control", CONTROL, 15012).close()
            return True
        except OSError:
            return False
