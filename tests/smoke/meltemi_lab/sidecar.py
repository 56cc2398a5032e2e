#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What a sidecar does to bytes, for labs: `server` ends the mesh's mutual TLS in front of a program, `client` begins it for one. A line of
JSON for each connection whose handshake is over (who the peer is, SNI, ALPN, version), and for each that failed.
"""

import argparse
import asyncio
import json
import socket
import ssl
import struct
import sys


def tell(**row):
    print(json.dumps(row), flush=True)


def context(a):
    server = a.side == "server"
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_REQUIRED
    c.load_verify_locations(a.roots)
    if a.cert:
        c.load_cert_chain(a.cert, a.key)
    if a.alpn:
        c.set_alpn_protocols(a.alpn.split(","))
    if a.max_version == "1.2":
        c.maximum_version = ssl.TLSVersion.TLSv1_2
    if server:
        c.sni_callback = lambda tls, name, _context: names.__setitem__(id(tls), name)
    return c


names = {}


def seen(writer):
    tls = writer.get_extra_info("ssl_object")
    if tls:
        cert = tls.getpeercert() or {}
        tell(peer=[name for _kind, name in cert.get("subjectAltName", ())], sni=names.pop(id(tls), None),
             alpn=tls.selected_alpn_protocol(), version=tls.version())


async def pass_on(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError) as error:
        tell(error=str(error))
    finally:
        writer.close()


async def serve(a):
    listen, to = (where.rsplit(":", 1) for where in (a.listen, a.to))
    tls = context(a)
    above, below = (None, tls) if a.side == "server" else (tls, None)

    async def joined(reader, writer):
        seen(writer)
        if a.ends_by_reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            out_reader, out = await asyncio.open_connection(*to, ssl=above, server_hostname=(a.sni or "") if above else None)
        except (OSError, ssl.SSLError) as error:
            tell(error=str(error))
            writer.close()
            return
        seen(out)
        await asyncio.gather(pass_on(reader, out), pass_on(out_reader, writer))

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, what: tell(error=str(what.get("exception") or what["message"])))
    server = await asyncio.start_server(joined, *listen, ssl=below)
    print("ready", flush=True)
    await server.serve_forever()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("side", choices=("server", "client"))
    for option in ("listen", "to", "cert", "key", "roots", "sni", "alpn", "max-version"):
        p.add_argument(f"--{option}")
    p.add_argument("--ends-by-reset", action="store_true", help="its end is a reset of what is connected, whatever is unread")
    try:
        asyncio.run(serve(p.parse_args()))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
