# SPDX-License-Identifier: Apache-2.0
"""Envoy's configuration as Istio writes it for a sidecar: clusters with mutual TLS, the chains of a PERMISSIVE port."""

TYPE = "type.googleapis.com/envoy.extensions."
TLS = TYPE + "transport_sockets.tls.v3."
ISTIO_CIPHERS = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256",
                 "ECDHE-RSA-AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-GCM-SHA256"]
SEEN = {"peer": "%DOWNSTREAM_PEER_URI_SAN%", "sni": "%REQUESTED_SERVER_NAME%", "version": "%DOWNSTREAM_TLS_VERSION%", "up": "%UPSTREAM_PEER_URI_SAN%"}
VERSIONS = {"0304": "TLSv1_3", "0303": "TLSv1_2"}


def address(where):
    """A port of this host, or "HOST:PORT"."""
    host, port = where.rsplit(":", 1) if isinstance(where, str) else ("127.0.0.1", where)
    return {"socket_address": {"address": host, "port_value": int(port)}}


def common(identity, peer, alpn, **parameters):
    """The common context, as istiod says it: who we are, whom we trust, and who the other one must be."""
    return {"alpn_protocols": alpn, "tls_params": parameters,
            "tls_certificates": [{"certificate_chain": {"filename": str(identity / "cert-chain.pem")},
                                  "private_key": {"filename": str(identity / "key.pem")}}],
            "validation_context": {"trusted_ca": {"filename": str(identity / "root-cert.pem")},
                                   "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": peer}]}}


def socket_of(kind, context, **more):
    return {"name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": TLS + kind, "common_tls_context": context, **more}}


def cluster(name, where, transport=None):
    out = {"name": name, "type": "STATIC", "connect_timeout": "5s",
           "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(where)}}]}]}}
    return {**out, "transport_socket": transport} if transport else out


def chain(to, **more):
    log = {"@type": TYPE + "access_loggers.stream.v3.StdoutAccessLog", "log_format": {"json_format": SEEN}}
    proxy = {"@type": TYPE + "filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": to, "cluster": to,
             "access_log": [{"name": "envoy.access_loggers.stdout", "typed_config": log}]}
    return {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}], **more}


def permissive(where, identity, to="echo", strict=False, **parameters):
    """TLS with Istio's protocols, or plain text; strict: never that."""
    tls = common(identity, {"prefix": "spiffe://cluster.local/"}, ["istio-peer-exchange", "h2", "http/1.1"],
                 tls_minimum_protocol_version="TLSv1_2", tls_maximum_protocol_version=parameters.get("newest", "TLSv1_3"), cipher_suites=ISTIO_CIPHERS)
    match = {"transport_protocol": "tls", "application_protocols": ["istio", "istio-peer-exchange", "istio-http/1.0",
                                                                    "istio-http/1.1", "istio-h2"]}
    inspector = {"@type": TYPE + "filters.listener.tls_inspector.v3.TlsInspector"}
    secure = chain(to, filter_chain_match=match, transport_socket=socket_of("DownstreamTlsContext", tls, require_client_certificate=True))
    plain = chain(to, filter_chain_match={"transport_protocol": "raw_buffer"})
    return {"name": "permissive", "address": address(where),
            "listener_filters": [{"name": "envoy.filters.listener.tls_inspector", "typed_config": inspector}],
            "filter_chains": [secure] if strict else [secure, plain]}
