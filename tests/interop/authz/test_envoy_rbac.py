#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
AuthorizationPolicies and requests by chance: Envoy's RBAC filters, configured as istiod does (rbac.py), and lib/authz let in the same
requests.

What is left out, as it is meant otherwise here (docs/how-to/authorization.md): metadata without a value or with several, ports of a
service that are not its servers', fields that no protocol of ours has (`hosts`), paths without their first slash; and `*` in namespaces
where Istio's expression takes an account for a namespace ("*a" fits every "/ns/x/sa/").

MELTEMI_LONG: ten times as many.
"""

import os

import rbac
from rbac_lab import DOMAINS, OURS, by_chance, compared, free_port
from meltemi_lab import Skip, main  # noqa: I001  (rbac_lab makes it known)

SETS, CALLS = (8000 if os.environ.get("MELTEMI_LONG") else 600), 10


def body():
    if not OURS.exists():
        raise Skip(f"{OURS} is not built")
    ports = [free_port(), free_port()]
    sets, calls = by_chance(SETS, CALLS, ports)
    compared(sets, calls, ports, [rbac.filters(policies, DOMAINS) for policies in sets])


main(body)
