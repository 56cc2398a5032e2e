// SPDX-License-Identifier: Apache-2.0
// Kubernetes' API server, built by itself for tests: nothing else of a cluster runs beside it.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
