// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// What a control request may ask for; which of it counts is the path's affair.
type order struct {
	Plane      string            `json:"plane"`
	Set        []json.RawMessage `json:"set"` // resources in protobuf's JSON, with "@type"
	TTLMs      int               `json:"ttl_ms"`
	Remove     []reference       `json:"remove"`
	Clear      bool              `json:"clear"`
	Version    string            `json:"version"`
	Unreadable []string          `json:"unreadable"` // clusters of these names whose bytes cannot be read
	Huge       int               `json:"huge"`       // a cluster "huge.example" of so many bytes
	How        string            `json:"how"`
	Faults     faultSettings     `json:"faults"`
	meshOrder
}

type control struct {
	planes map[string]*plane
}

func (c *control) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apply", c.do(c.apply))
	mux.HandleFunc("POST /faults", c.do(c.faults))
	mux.HandleFunc("POST /drop", c.do(c.drop))
	mux.HandleFunc("POST /mesh", c.do(c.mesh))
	mux.HandleFunc("POST /churn", c.do(c.churn))
	mux.HandleFunc("GET /report", c.report)
	return mux
}

type action func(*plane, *order) (any, error)

func (c *control) do(f action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if o.Plane == "" {
			o.Plane = "ads"
		}
		p := c.planes[o.Plane]
		if p == nil {
			http.Error(w, fmt.Sprintf("no plane %q", o.Plane), http.StatusBadRequest)
			return
		}
		result, err := f(p, &o)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answerJSON(w, result)
	}
}

func answerJSON(w http.ResponseWriter, result any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(result)
}

// resourceOf reads a resource as protobuf's JSON has it.
func resourceOf(text []byte) (types.Resource, error) {
	var box anypb.Any
	if err := protojson.Unmarshal(text, &box); err != nil {
		return nil, err
	}
	return box.UnmarshalNew()
}

// unreadable is a cluster that carries half a field.
func unreadable(name string) types.Resource {
	c := &cluster.Cluster{Name: name}
	c.ProtoReflect().SetUnknown([]byte{0x1a, 0x7f, 0x01})
	return c
}

// huge is a sound cluster with a lot of metadata.
func huge(bytes int) types.Resource {
	c := meshCluster(0).(*cluster.Cluster)
	c.Name = "huge.example"
	text := structpb.NewStringValue(strings.Repeat("x", bytes))
	c.Metadata = &core.Metadata{FilterMetadata: map[string]*structpb.Struct{"x": {Fields: map[string]*structpb.Value{"text": text}}}}
	return c
}

func (c *control) apply(p *plane, o *order) (any, error) {
	ch := change{remove: o.Remove, clear: o.Clear, version: o.Version}
	for _, text := range o.Set {
		one, err := resourceOf(text)
		if err != nil {
			return nil, err
		}
		ch.set = append(ch.set, withTTL(one, o.TTLMs))
	}
	for _, name := range o.Unreadable {
		ch.set = append(ch.set, withTTL(unreadable(name), 0))
	}
	if o.Huge > 0 {
		ch.set = append(ch.set, withTTL(huge(o.Huge), 0))
	}
	version, err := p.apply(ch)
	return map[string]string{"version": version}, err
}

func withTTL(one types.Resource, ms int) types.ResourceWithTTL {
	out := types.ResourceWithTTL{Resource: one}
	if ms > 0 {
		ttl := time.Duration(ms) * time.Millisecond
		out.TTL = &ttl
	}
	return out
}

func (c *control) faults(p *plane, o *order) (any, error) {
	p.faults.set(o.Faults)
	return o.Faults, nil
}

func (c *control) drop(p *plane, o *order) (any, error) {
	switch o.How {
	case "streams":
		return p.dropStreams(), nil
	case "connections":
		return p.dropConnections(), nil
	}
	return nil, fmt.Errorf("how: streams or connections, not %q", o.How)
}

func (c *control) report(w http.ResponseWriter, _ *http.Request) {
	out := map[string]json.RawMessage{}
	for name, p := range c.planes {
		p.see(func(r *report) { out[name], _ = json.Marshal(r) })
	}
	answerJSON(w, out)
}
