# SPDX-License-Identifier: Apache-2.0
"""The generated code, and the transports and protocols by name."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "build/interop/thrift/gen-py"))

from thrift.protocol import TBinaryProtocol, TCompactProtocol, THeaderProtocol  # noqa: E402
from thrift.transport import THeaderTransport, TTransport  # noqa: E402

TRANSPORTS = ("framed", "unframed", "header")
# binary-old: without the version word. Only a client can use it: the Python 3 server looks the method up by bytes.
PROTOCOLS = ("binary", "binary-old", "compact")


def transport_factory(name):
    return {"framed": TTransport.TFramedTransportFactory, "unframed": TTransport.TBufferedTransportFactory,
            "header": TTransport.TTransportFactoryBase}[name]()


def protocol_factory(transport, name):
    if transport == "header":
        inner = THeaderTransport.THeaderSubprotocolID.COMPACT if name == "compact" \
            else THeaderTransport.THeaderSubprotocolID.BINARY
        return THeaderProtocol.THeaderProtocolFactory([THeaderTransport.THeaderClientType.HEADERS,
                                                       THeaderTransport.THeaderClientType.FRAMED_BINARY,
                                                       THeaderTransport.THeaderClientType.FRAMED_COMPACT], inner)
    if name == "compact":
        return TCompactProtocol.TCompactProtocolFactory()
    strict = name == "binary"
    return TBinaryProtocol.TBinaryProtocolFactory(strictRead=False, strictWrite=strict)
