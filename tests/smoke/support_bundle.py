#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`meltemi support`: what is in the archive, and that no secret is: those planted in documents, in metadata of calls and in files beside
them occur in no byte of it."""

import json
import os
import re
import subprocess
import tarfile

from meltemi_lab import TESTS, Lab, check, equal, main
from meltemi_lab.daemon import SHELL

HOST = "org.apache.dubbo.samples.basic.api.demoservice"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEplanted0key0bytes\n-----END PRIVATE KEY-----\n"
# Each of them stands somewhere where it could get out.
SECRETS = ("hunter2", "tok-9f31c7", "planted-in-comment", "basicpw41", "MIIEplanted", "quoted-5566", "live-token-88", "live-cookie-91",
           "acme-gold-7", "eyJhbGciOiJub25l", "beside-12")
DOCUMENT = f"""\
# password: planted-in-comment
apiVersion: metaprotocol.aeraki.io/v1alpha1
kind: MetaRouter
metadata:
  name: secrets
  annotations:
    source: https://deploy:basicpw41@git.example/mesh.git
    jwt: eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl
    key: |
      {KEY.replace(chr(10), chr(10) + '      ')}
spec:
  hosts: [{HOST}]
  routes:
  - name: by-secret
    match: {{attributes: {{authorization: {{exact: "Bearer tok-9f31c7"}}, password: {{exact: hunter2}}}}}}
    route: [{{destination: {{host: {HOST}, subset: v1}}}}]
    requestMutation: [{{key: x-tenant, value: acme-gold-7}}, {{key: password, value: hunter2}}, {{key: tier, value: gold}}]
  - name: rest
    route: [{{destination: {{host: {HOST}, subset: v2}}}}]
"""
BAD = """\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: bad}
spec: {hosts: [other.example], http: [{timeout: "password=quoted-5566"}]}
"""


def support(daemon, archive, *more):
    argv = ["ip", "netns", "exec", daemon.namespace, SHELL, "-s", daemon.directory / "admin.sock", "support", "-o", archive, *more]
    return subprocess.run(argv, text=True, capture_output=True, timeout=60, check=False, cwd=daemon.directory)


def unpack(archive):
    """Every file of the archive: its bytes by its name."""
    with tarfile.open(archive, "r:gz") as tar:
        members = tar.getmembers()
        for member in members:
            check(member.isfile() and member.name.startswith("meltemi-support/") and ".." not in member.name, f"{member.name} in the archive")
        return {member.name.removeprefix("meltemi-support/"): tar.extractfile(member).read() for member in members}


def nothing_of(words, files, what):
    for name, data in files.items():
        for word in words:
            check(word.lower().encode() not in (data + name.encode()).lower(), f"{what}: {word} is in {name}")


def whole(daemon):
    archive = daemon.directory / "whole.tar.gz"
    done = support(daemon, archive)
    equal(done.returncode, 0, f"exit status ({done.stderr})")
    check("read MANIFEST" in done.stdout, done.stdout)
    equal(os.stat(archive).st_mode & 0o777, 0o600, "mode of the archive")
    files = unpack(archive)
    nothing_of(SECRETS, files, "secrets")
    shows = {row["command"] for row in json.loads(daemon.shell("--json", "help"))["commands"] if row["command"].startswith("show ")}
    for command in shows:
        check(f"show/{command[5:].replace(' ', '-')}.json" in files, f"{command} is not in it")
    for name, data in files.items():
        if name.endswith(".json"):
            json.loads(data)
    equal(json.loads(files["show/version.json"])["node"], daemon.lab.id, "the node, as it is called")
    check(b"meltemi_uptime_seconds" in files["metrics.txt"], "no metrics")
    check({"check", "state", "words"} <= set(json.loads(files["doctor.json"])["findings"][0]), "no findings of doctor")
    manifest = files["MANIFEST"].decode()
    for name in files:
        check(name == "MANIFEST" or re.search(rf"^{re.escape(name)} +\d+ bytes", manifest, re.M), f"{name} is not in the manifest")
    masked = int(re.search(r"masked values: (\d+)", manifest)[1])
    check(masked >= 8, f"{masked} values masked")
    document = next(json.loads(data) for name, data in files.items() if name.endswith("secrets.yaml.json"))[0]
    equal(document["spec"]["routes"][0]["requestMutation"], [{"key": key, "value": "<redacted>"} for key in ("x-tenant", "password", "tier")], "mutations")
    equal(document["metadata"]["annotations"]["source"], "https://<redacted>@git.example/mesh.git", "a URL")
    check(any(name.startswith("documents/") and name.endswith("bad.yaml.json") for name in files), "the document that was refused is not in it")


def without_daemon(daemon):
    archive = daemon.directory / "alone.tar.gz"
    daemon.write("prose.yaml", "a: b: c\n")
    daemon.write("long.yaml", "")
    os.truncate(daemon.services / "long.yaml", 17 << 20)
    done = support(daemon, archive, "--node", daemon.node)
    equal(done.returncode, 0, "exit status without a daemon")
    check("no daemon answers" in done.stderr, done.stderr)
    files = unpack(archive)
    nothing_of(SECRETS, files, "secrets")
    check("doctor.json" in files and any(name.endswith("secrets.yaml.json") for name in files), f"only {sorted(files)}")
    for name in (b"prose", b"long"):
        check(re.search(rb"left out: .*" + name + rb"\.yaml", files["MANIFEST"]), f"{name} is not named as left out: {files['MANIFEST']}")
    check(b"did not answer" in files["MANIFEST"], "the manifest does not say that no daemon answered")
    equal(support(daemon, "/nonexistent/x.tar.gz").returncode, 1, "exit status where nothing can be written")
    equal(support(daemon, archive, "--nonsense").returncode, 2, "exit status of bad usage")


def body():
    with Lab(servers=2) as lab:
        for number in (1, 2):
            lab.dubbo_server(number, f"v{number}").wait_line("ready")
        daemon = lab.meltemi(TESTS / "documents/talks", workers=1)
        daemon.leaves("errors", "it is given a bad document", "module=config")
        daemon.services.joinpath("dubbo-traffic-splitting.yaml").unlink()
        daemon.write("secrets.yaml", DOCUMENT)
        daemon.services.joinpath("tls.key").write_text(KEY + "beside-12")
        daemon.services.joinpath("token").write_text("beside-12")
        daemon.start()
        daemon.write("bad.yaml", BAD)
        daemon.shell("reload", fail=False)
        lab.dubbo_client("240.240.0.10:20880", count=50, attach="token=live-token-88").result()
        lab.dubbo_client("240.240.0.10:20880", count=50, attach="cookie=live-cookie-91").result()
        equal(lab.dubbo_client("240.240.0.10:20880", count=5, attach="password=hunter2").result()["answered"], 5, "calls answered")
        whole(daemon)
        daemon.stop()
        without_daemon(daemon)


main(body)
