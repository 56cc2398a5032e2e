# SPDX-License-Identifier: Apache-2.0
"""
Lets Istio's discovery server run where there is no Kubernetes: without a cluster, namespaces are an empty collection
instead of a nil pointer. nokube.py DIRECTORY-OF-THE-MODULE
"""

import pathlib
import sys

FILE = "pilot/pkg/serviceregistry/serviceentry/controller.go"
WAS = "\t\ts.inputs.Namespaces = multiclusterController.ConfigCluster().Namespaces()\n"
IS = """\
\t\tif multiclusterController == nil {
\t\t\ts.inputs.Namespaces = krt.NewStaticCollection[*corev1.Namespace](nil, nil, s.opts.WithName("inputs/Namespaces")...)
\t\t} else {
\t\t\ts.inputs.Namespaces = multiclusterController.ConfigCluster().Namespaces()
\t\t}
"""

path = pathlib.Path(sys.argv[1]) / FILE
text = path.read_text()
if text.count(WAS) != 1:
    sys.exit(f"{FILE} is not the one that this change is for")
path.write_text(text.replace(WAS, IS).replace("import (\n", 'import (\n\tcorev1 "k8s.io/api/core/v1"\n', 1))
