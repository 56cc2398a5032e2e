// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"

	admin "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
)

// What an answer of Envoy's administration interface is, by the word behind `adsd read`.
var answers = map[string]func() proto.Message{
	"config_dump": func() proto.Message { return &admin.ConfigDump{} },
	"clusters":    func() proto.Message { return &admin.Clusters{} },
	"listeners":   func() proto.Message { return &admin.Listeners{} },
	"server_info": func() proto.Message { return &admin.ServerInfo{} },
	"memory":      func() proto.Message { return &admin.Memory{} },
	"certs":       func() proto.Message { return &admin.Certificates{} },
}

// read reads an answer as strictly as protobuf's JSON allows: a field that the message does not have is an error, in what
// an Any carries as well. It prints what it found: messages by their names, each as often as it is there.
func read(kind string, in io.Reader, out io.Writer) error {
	fresh, known := answers[kind]
	if !known {
		return fmt.Errorf("adsd read: %q is none of the answers", kind)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	message := fresh()
	if err := (protojson.UnmarshalOptions{}).Unmarshal(text, message); err != nil {
		return err
	}
	found := map[string][]string{}
	if err := collect(message.ProtoReflect(), found); err != nil {
		return err
	}
	for _, names := range found {
		sort.Strings(names)
	}
	return json.NewEncoder(out).Encode(found)
}

// titleOf is what tells a message from others of its kind; "" when it has nothing of that sort.
func titleOf(m protoreflect.Message) string {
	for _, field := range []protoreflect.Name{"name", "cluster_name"} {
		if f := m.Descriptor().Fields().ByName(field); f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() {
			return m.Get(f).String()
		}
	}
	return ""
}

func collect(m protoreflect.Message, found map[string][]string) error {
	if inner, isAny := m.Interface().(*anypb.Any); isAny {
		message, err := inner.UnmarshalNew()
		if err != nil {
			return err
		}
		return collect(message.ProtoReflect(), found)
	}
	kind := string(m.Descriptor().FullName())
	found[kind] = append(found[kind], titleOf(m))
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = collect(v.List().Get(i).Message(), found)
			}
		default:
			err = collect(v.Message(), found)
		}
		return err == nil
	})
	return err
}
