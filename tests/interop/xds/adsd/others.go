// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"embed"
	"io/fs"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The messages of Aeraki's MetaProtocol proxy are in no Go module, and Istio's are in one of 2,000: they are compiled at
// start, and from then on protojson knows them as it knows Envoy's own, also within an Any.
//
//go:embed aeraki/*.proto istio/*.proto
var otherFiles embed.FS

func knownFile(path string) (protocompile.SearchResult, error) {
	if text, err := fs.ReadFile(otherFiles, path); err == nil {
		return protocompile.SearchResult{Source: bytes.NewReader(text)}, nil
	}
	found, err := protoregistry.GlobalFiles.FindFileByPath(path)
	return protocompile.SearchResult{Desc: found}, err
}

// registerOthers makes the messages known to the process.
func registerOthers() error {
	names, err := fs.Glob(otherFiles, "*/*.proto")
	if err != nil {
		return err
	}
	compiler := protocompile.Compiler{Resolver: protocompile.ResolverFunc(knownFile)}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := registerMessages(file.Messages()); err != nil {
			return err
		}
	}
	return nil
}

func registerMessages(messages protoreflect.MessageDescriptors) error {
	for i := 0; i < messages.Len(); i++ {
		if err := protoregistry.GlobalTypes.RegisterMessage(dynamicpb.NewMessageType(messages.Get(i))); err != nil {
			return err
		}
		if err := registerMessages(messages.Get(i).Messages()); err != nil {
			return err
		}
	}
	return nil
}
