# SPDX-License-Identifier: Apache-2.0
"""
Lets Istio's discovery server answer Aeraki, which asks it for Istio's objects as v1alpha3: it keeps them as v1 and looks
for exactly what is asked for. apigen.py DIRECTORY-OF-THE-MODULE
"""

import pathlib
import sys

FILE = "pilot/pkg/networking/apigen/apigen.go"
WAS = '\tcfg := g.store.List(rgvk, "")\n'
IS = """\
\tif rgvk.Group == "networking.istio.io" && rgvk.Version == "v1alpha3" && rgvk.Kind != "EnvoyFilter" {
\t\trgvk.Version = "v1"
\t}
"""

path = pathlib.Path(sys.argv[1]) / FILE
text = path.read_text()
if text.count(WAS) != 1:
    sys.exit(f"{FILE} is not the one that this change is for")
path.write_text(text.replace(WAS, IS + WAS))
