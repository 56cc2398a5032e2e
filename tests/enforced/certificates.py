# SPDX-License-Identifier: Apache-2.0
"""Files that documents name: roots, two identities of one of them, and a revocation list."""

import base64
import re
import subprocess

IDENTITIES = {"alice": "spiffe://cluster.local/ns/shop/sa/alice", "bob": "spiffe://cluster.local/ns/shop/sa/bob"}
CONFIGURATION = "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\ndefault_md = sha256\ndefault_crl_days = 2\n"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Files:
    """
    Texts of documents contain "@files@", the directory, "@text NAME@" and "@base64 NAME@", a file's content: root.pem, other.pem,
    crl.pem, alice.pem, alice.key, bob.pem, bob.key; text.pem is no certificate.
    """

    def __init__(self, place):
        self.place = place
        for root in ("root", "other"):
            self._openssl("req", "-x509", *KEY, "-subj", f"/O={root}", "-days", "2", "-keyout", f"{root}.key", "-out", f"{root}.pem",
                          "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        for name, uri in IDENTITIES.items():
            self._leaf(name, uri)
        (place / "ca").write_text(CONFIGURATION)
        (place / "index.txt").write_text("")
        self._openssl("ca", "-gencrl", "-config", "ca", "-cert", "root.pem", "-keyfile", "root.key", "-out", "crl.pem")
        (place / "text.pem").write_text("this is a text\n")

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.place, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise SystemExit(f"openssl {words[0]}: {done.stderr}")

    def _leaf(self, name, uri):
        (self.place / f"{name}.ext").write_text(f"subjectAltName=URI:{uri}\nextendedKeyUsage=serverAuth,clientAuth\n"
                                                "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n")
        self._openssl("req", *KEY, "-subj", "/O=x", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "2", "-extfile", f"{name}.ext",
                      "-out", f"{name}.pem")

    def _replaced_text(self, text):
        text = re.sub(r"@text ([\w.]+)@", lambda found: (self.place / found.group(1)).read_text(), text.replace("@files@", str(self.place)))
        return re.sub(r"@base64 ([\w.]+)@", lambda found: base64.b64encode((self.place / found.group(1)).read_bytes()).decode(), text)

    def replaced(self, item):
        if isinstance(item, str):
            return self._replaced_text(item)
        if isinstance(item, dict):
            return {key: self.replaced(value) for key, value in item.items()}
        return [self.replaced(one) for one in item] if isinstance(item, list) else item
