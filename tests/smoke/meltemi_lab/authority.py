# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, by openssl(1): authorities, and what they sign."""

import datetime
import pathlib
import subprocess

EXTENSIONS = """[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
[leaf]
basicConstraints=critical,CA:FALSE
{names}
[db]
default_ca=signer
[signer]
database={folder}/index.txt
serial={folder}/serial
new_certs_dir={folder}
default_md=sha256
policy=any
default_crl_days=2
unique_subject=no
copy_extensions=none
[any]
commonName=optional
[req]
distinguished_name=name
prompt=no
[name]
CN={subject}
"""


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], text=True, capture_output=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {words[0]}: {done.stderr.strip()}")


class Authority:
    """Authority(folder).sign("alice", "URI:spiffe://x/alice") -> (certificate, key), PEM files; revoked(certificate) -> the list of all of them."""

    def __init__(self, folder, name="root"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        (self.folder / "index.txt").touch()
        (self.folder / "serial").write_text("1000\n")
        self.roots, self.key = self.folder / "roots.pem", self.folder / "roots.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-extensions", "ca",
                "-config", self._config(name), "-keyout", self.key, "-out", self.roots)

    def _config(self, subject, names=""):
        path = self.folder / "openssl.cnf"
        path.write_text(EXTENSIONS.format(names=f"subjectAltName={names}" if names else "", folder=self.folder, subject=subject))
        return path

    def sign(self, name, names="", expired=False, early=False, hours=(-1, 24)):
        """
        A certificate of the authority with the common name and subjectAltName; expired: since an hour; early: valid in an hour; hours:
        its validity from now.
        """
        chain, key, request = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        config = self._config(name, names)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", config, "-keyout", key, "-out", request)
        now = datetime.datetime.utcnow()
        begin, end = (now + datetime.timedelta(hours=h) for h in ((-3, -1) if expired else (1, 24) if early else hours))
        openssl("ca", "-batch", "-notext", "-config", config, "-name", "signer", "-extensions", "leaf", "-cert", self.roots, "-keyfile", self.key,
                "-startdate", f"{begin:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}", "-in", request, "-out", chain)
        return chain, key

    def revoked(self, certificate=None, stale=False):
        """The list of certificates that it takes back, with this one from now on; without any, nobody is on it. stale: of yesterday."""
        config, crl = self._config("list"), self.folder / ("stale.crl" if stale else "list.crl")
        common = ("ca", "-config", config, "-name", "signer", "-cert", self.roots, "-keyfile", self.key)
        if certificate:
            openssl(*common, "-revoke", certificate)
        else:
            lines = (self.folder / "index.txt").read_text().splitlines()
            (self.folder / "index.txt").write_text("".join(f"{self._valid(line)}\n" for line in lines))
        old = ("-crl_lastupdate", "20260101000000Z", "-crl_nextupdate", "20260102000000Z") if stale else ()
        openssl(*common, "-gencrl", *old, "-out", crl)
        return crl

    @staticmethod
    def _valid(line):
        fields = line.split("\t")
        return "\t".join(["V", fields[1], "", *fields[3:]])
