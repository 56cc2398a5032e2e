// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/protobuf/proto"
)

// Istio's table of names. Snapshots know nothing of it, and it has no name of its own.
const (
	nameTable = "type.googleapis.com/istio.networking.nds.v1.NameTable"
	tableName = "names"
)

func nameOf(one types.Resource) string {
	if string(proto.MessageName(one)) == "istio.networking.nds.v1.NameTable" {
		return tableName
	}
	return cache.GetResourceName(one)
}

// publishNames serves the table as it is now. A change of everything else is none of it.
func (p *plane) publishNames(changed map[string]map[string]bool) error {
	if !changed[nameTable][tableName] {
		return nil
	}
	delete(changed, nameTable)
	if one, ok := p.resources[nameTable][tableName]; ok {
		return p.names.UpdateResource(tableName, one.Resource)
	}
	return p.names.DeleteResource(tableName)
}
