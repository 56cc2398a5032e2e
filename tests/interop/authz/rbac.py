# SPDX-License-Identifier: Apache-2.0
"""
AuthorizationPolicy's rules as Envoy's RBAC, as istiod writes them for a server's sidecar (pilot/pkg/security/authz): written from Istio's
documents and from what istiod sends, and not from lib/authz.
"""

TYPE = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3."
CLUSTER_LOCAL = "cluster.local"


def exact(value):
    return {"exact": value}


def text(value, prefix=""):
    """Of Istio's three patterns; prefix: what stands in front of what is written whole, or with a star behind it."""
    if value == "*":
        return {"safe_regex": {"regex": ".+"}}
    if value.startswith("*"):
        return {"suffix": value[1:]}
    if value.endswith("*"):
        return {"prefix": prefix + value[:-1]}
    return exact(prefix + value)


def header(name, value):
    if value == "*":
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": text(value)}


def cidr(value):
    address, _, bits = value.partition("/")
    return {"address_prefix": address, "prefix_len": int(bits or (128 if ":" in address else 32))}


def authenticated(matcher):
    return {"authenticated": {"principal_name": matcher}}


def of_claims(matcher):
    """What a filter that verifies tokens would have left."""
    return {"metadata": {"filter": "envoy.filters.http.jwt_authn", "path": [{"key": "payload"}, {"key": "sub"}],
                         "value": {"string_match": matcher}}}


# ---- trust domains ----------------------------------------------------------------------------------------------------------

def _of_domain(domain, pattern):
    return pattern.startswith("*") and domain.endswith(pattern[1:])


def aliases(principals, domains):
    """Those of a trust domain of the mesh are of all of its trust domains."""
    out = []
    for principal in principals:
        parts = principal.split("/")
        if len(parts) != 5 or parts[0] == "*":
            out.append(principal)
            continue
        ours = parts[0] == CLUSTER_LOCAL or any(parts[0] == domain or _of_domain(domain, parts[0]) for domain in domains)
        if not ours:
            out.append(principal)
            continue
        out += [principal if _of_domain(domain, parts[0]) else "/".join([domain, *parts[1:]]) for domain in domains]
    return list(dict.fromkeys(out))


# ---- rules --------------------------------------------------------------------------------------------------------------------

def namespace(value):
    return authenticated({"safe_regex": {"regex": f".*/ns/{value.replace('*', '.*')}/.*"}})


def account(value):
    ns, name = value.split("/") if "/" in value else ("a", value)
    return authenticated({"safe_regex": {"regex": f"spiffe://.+/ns/{ns}/(.+/|)sa/{name}(/.+)?"}})


def trust_domain(value):
    if value == "*":
        return authenticated({"prefix": "spiffe://"})
    if "*" in value:
        return authenticated({"safe_regex": {"regex": f"spiffe://{value.replace('*', '[^/]*')}/.*"}})
    return authenticated({"prefix": f"spiffe://{value}/"})


def own(values, domains):
    """A trust domain of the mesh, written out, is each of them."""
    return list(dict.fromkeys(d for value in values for d in (domains if value in domains else [value])))


PRINCIPALS = {
    "ipBlocks": lambda v: {"direct_remote_ip": cidr(v)},
    "remoteIpBlocks": lambda v: {"remote_ip": cidr(v)},
    "principals": lambda v: authenticated(text(v, "spiffe://")),
    "namespaces": namespace,
    "serviceAccounts": account, "trustDomains": trust_domain,
    "requestPrincipals": lambda v: of_claims(text(v)),
}
PERMISSIONS = {
    "ports": lambda v: {"destination_port": int(v)},
    "methods": lambda v: {"header": header(":method", v)},
    "paths": lambda v: {"url_path": {"path": text(v)}},
}
WHEN_PRINCIPALS = {
    "source.ip": PRINCIPALS["ipBlocks"], "remote.ip": PRINCIPALS["remoteIpBlocks"], "source.principal": PRINCIPALS["principals"],
    "source.namespace": namespace, "source.trustDomain": trust_domain, "request.auth.principal": PRINCIPALS["requestPrincipals"],
    "request.auth.claims[groups]": PRINCIPALS["requestPrincipals"],
}
WHEN_PERMISSIONS = {
    "destination.ip": lambda v: {"destination_ip": cidr(v)}, "destination.port": PERMISSIONS["ports"],
    "connection.sni": lambda v: {"requested_server_name": text(v)},
}


EXPANDED = {"principals": aliases, "source.principal": aliases, "trustDomains": own, "source.trustDomain": own}


def any_of(kind, parts):
    return {f"or_{kind}": {kind == "ids" and "ids" or "rules": parts}}


def _all_of(kind, parts):
    return {f"and_{kind}": {"ids" if kind == "ids" else "rules": parts}} if parts else {"any": True}


def fields(of, known, kind, domains):
    """`of`: {field: values, notField: values} into conditions, all of which hold."""
    out = []
    for name, values in of.items():
        negative = name.startswith("not")
        key = name[3].lower() + name[4:] if negative else name
        if key in EXPANDED:
            values = EXPANDED[key](values, domains)
        part = any_of(kind, [known[key](value) for value in values])
        out.append({"not_id" if kind == "ids" else "not_rule": part} if negative else part)
    return out


def _when(condition, known, kind, domains):
    key = condition["key"]
    make = known.get(key)
    if not make and kind == "ids" and key.startswith("request.headers["):
        def make(value):
            return {"header": header(key[16:-1], value)}
    if not make:
        return []
    out = []
    for name, negative in (("values", False), ("notValues", True)):
        if values := condition.get(name):
            if key in EXPANDED:
                values = EXPANDED[key](values, domains)
            part = any_of(kind, [make(value) for value in values])
            out.append({"not_id" if kind == "ids" else "not_rule": part} if negative else part)
    return out


def rule(of, domains):
    """One of `from`, one of `to`, all of `when`."""
    ids = [part for c in of.get("when", ()) for part in _when(c, WHEN_PRINCIPALS, "ids", domains)]
    rules = [part for c in of.get("when", ()) for part in _when(c, WHEN_PERMISSIONS, "rules", domains)]
    sources = [fields(f["source"], PRINCIPALS, "ids", domains) for f in of.get("from", ())] or [[]]
    operations = [fields(t["operation"], PERMISSIONS, "rules", domains) for t in of.get("to", ())] or [[]]
    return {"principals": [_all_of("ids", ids + source) for source in sources],
            "permissions": [_all_of("rules", rules + operation) for operation in operations]}


def filters(policies, domains):
    """RBACPerRoute of the filter that denies, and of the one that allows; without a policy of its kind a filter lets everybody pass."""
    out = []
    for action in ("DENY", "ALLOW"):
        chosen = [p for p in policies if p.get("action", "ALLOW") == action]
        named = {f"p{i}-r{k}": rule(r, domains) for i, p in enumerate(chosen) for k, r in enumerate(p.get("rules", ()))}
        one = {"@type": TYPE + "RBACPerRoute"}
        if chosen:
            one["rbac"] = {"rules": {"action": action, "policies": named}}
        out.append(one)
    return out
