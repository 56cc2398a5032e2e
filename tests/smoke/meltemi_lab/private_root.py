# SPDX-License-Identifier: Apache-2.0
"""A copy of the file system for tests that install and change files in /etc, /usr and /var, and a configuration there with a private key."""

import os
import pathlib
import shutil
import subprocess
import sys

from .check import Skip
from .paths import ROOT

# The overlay is in memory and in a mount namespace of its own, and ends with the test. /run is empty, as after a boot.
BOOT = """\
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount --bind /proc proc; mount --bind /sys sys; mount --rbind /dev dev; mount -t tmpfs none run
mkdir -p "./$1"; mount --bind "$1" "./$1"
shift
exec chroot . "$@"
"""


def enter():
    """Runs this test from its start again, on the copy."""
    if "MELTEMI_PRIVATE_ROOT" in os.environ:
        return
    os.environ["MELTEMI_PRIVATE_ROOT"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "sh", "-euc", BOOT, "sh", str(ROOT), sys.executable, os.path.abspath(sys.argv[0])])


ETC = pathlib.Path("/etc/meltemi")
KEY, CERTIFICATE = ETC / "tls/key.pem", ETC / "tls/cert.pem"
NODE = """\
apiVersion: meltemi.io/v1
kind: Node
metadata: {name: n}
spec:
  workers: 1
  ports: [{name: p0, device: net_null0}]
  sources: [{directory: /etc/meltemi/services}]
  tlsFiles: [{directory: /etc/meltemi/tls}]
"""
GATEWAY = f"""\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  servers:
  - port: {{number: 20443, name: tcp, protocol: TLS}}
    hosts: [a.example]
    tls: {{mode: SIMPLE, serverCertificate: {CERTIFICATE}, privateKey: {KEY}}}
"""


def configure():
    """Writes a Node document and a Gateway with a key, which only root can read."""
    if not shutil.which("openssl"):
        raise Skip("openssl is missing (apt-get install openssl)")
    for directory in ("services", "tls"):
        (ETC / directory).mkdir(parents=True)
    (ETC / "node.yaml").write_text(NODE)
    (ETC / "services/gateway.yaml").write_text(GATEWAY)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=a.example", "-days", "2",
                    "-keyout", KEY, "-out", CERTIFICATE], check=True, capture_output=True)
    KEY.chmod(0o600)
    CERTIFICATE.chmod(0o644)


def give_key(to="meltemi"):
    """Gives the key to the daemon's user, as its error demands."""
    shutil.chown(KEY, to)
    KEY.chmod(0o400)
