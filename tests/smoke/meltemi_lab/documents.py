# SPDX-License-Identifier: Apache-2.0
"""Documents of the ecosystem's kinds, for tests that need many small ones. Text, as an operator would write it."""


def service(host, vip, port, protocol, endpoints, name=None):
    """
    A ServiceEntry. protocol: the port's name, "tcp-metaprotocol-dubbo" or "tcp"; endpoints: (address, port, labels).
    """
    listing = "".join(
        f"  - address: {address}\n    ports: {{main: {target}}}\n    labels: {{{', '.join(f'{k}: {v}' for k, v in labels.items())}}}\n"
        for address, target, labels in endpoints)
    return f"""\
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata:
  name: {name or host.replace('.', '-')}
spec:
  hosts: [{host}]
  addresses: [{vip}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {{number: {port}, name: {protocol}, protocol: TCP}}
  endpoints:
{listing.replace('main:', protocol + ':')}"""


def subsets(host, names, balancer=None):
    """A DestinationRule with one subset per version label; balancer: lines under loadBalancer."""
    rule = f"  trafficPolicy:\n    loadBalancer:\n      {balancer}\n" if balancer else ""
    listing = "".join(f"  - name: {name}\n    labels: {{version: {name}}}\n" for name in names)
    return f"""\
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: {host.replace('.', '-')}
spec:
  host: {host}
{rule}{'  subsets:' if listing else ''}
{listing}"""


def weights(host, shares, name="weights"):
    """A VirtualService that splits a host's calls: {subset: weight}."""
    listing = "".join(f"    - destination:\n        host: {host}\n        subset: {subset}\n      weight: {weight}\n"
                      for subset, weight in shares.items())
    return f"""\
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: {name}
spec:
  hosts:
  - {host}
  http:
  - name: split
    route:
{listing}"""
