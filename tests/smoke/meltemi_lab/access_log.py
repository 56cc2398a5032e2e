# SPDX-License-Identifier: Apache-2.0
"""Access logs of a lab: a directory that the Node permits, the MeshConfig that names a file, and calls that leave lines."""

from .check import equal
from .paths import TESTS

MESH = """apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    accessLogFile: {path}
"""


def with_logs(lab):
    """A daemon that has not started, and the directory that its Node permits."""
    daemon = lab.meltemi(TESTS / "documents/talks", workers=2)
    logs = lab.directory / "logs"
    logs.mkdir()
    daemon.node.write_text(daemon.node.read_text() + f"  accessLog: {{directories: [{logs}]}}\n")
    return daemon, logs


def logs_to(daemon, path):
    daemon.write("mesh.yaml", MESH.format(path=path))
    daemon.shell("reload")


def calls(lab, count):
    report = lab.dubbo_client("240.240.0.10:20880", connections=1, outstanding=16, count=count).result()
    equal((report["answered"], report["failed"]), (count, 0), "answered and failed")
