// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
)

// What the types are called by the control port, and their URLs.
var kinds = map[string]string{
	"cds":  resource.ClusterType,
	"eds":  resource.EndpointType,
	"lds":  resource.ListenerType,
	"rds":  resource.RouteType,
	"ecds": resource.ExtensionConfigType,
	"sds":  resource.SecretType,
	"nds":  nameTable,
}

func kindOf(url string) string {
	for kind, known := range kinds {
		if known == url {
			return kind
		}
	}
	return url
}

// What versions begin with: none means the same to another process, and none is one that a test chooses.
var born = fmt.Sprintf("%d/", time.Now().UnixMilli())

type resources map[string]map[string]types.ResourceWithTTL // by type URL and name

// A change to what a plane serves.
type change struct {
	set     []types.ResourceWithTTL
	remove  []reference
	clear   bool   // everything else goes
	version string // "": the next one
}

type reference struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// plane is one discovery server: its resources, its faults, what it saw.
type plane struct {
	name string
	wire
	faults
	report

	mu        sync.Mutex
	resources resources
	serial    uint64
	linear    map[string]*cache.LinearCache // nil: snapshots
	snapshot  cache.SnapshotCache
	names     *cache.LinearCache
	lazy      *lazy // nil: every node has what there is at once
}

// Every node is served the same.
type anyNode struct{}

func (anyNode) ID(*core.Node) string { return "mesh" }

func newPlane(name string, linear bool) *plane {
	p := &plane{name: name, resources: resources{}, names: cache.NewLinearCache(nameTable, cache.WithVersionPrefix(born))}
	p.report.init()
	for _, url := range kinds {
		p.resources[url] = map[string]types.ResourceWithTTL{}
	}
	if linear {
		p.linear = map[string]*cache.LinearCache{}
		for _, url := range kinds {
			p.linear[url] = cache.NewLinearCache(url, cache.WithVersionPrefix(born))
		}
		p.linear[nameTable] = p.names
	} else {
		// Not in the strict mode for ADS, in which a client that asks for some of the endpoints gets none.
		p.snapshot = cache.NewSnapshotCache(false, anyNode{}, nil)
	}
	return p
}

func (p *plane) cache() cache.Cache {
	if p.linear == nil {
		classify := func(url string) string { return map[bool]string{true: tableName}[url == nameTable] }
		return &cache.MuxCache{
			Classify:      func(r *cache.Request) string { return classify(r.GetTypeUrl()) },
			ClassifyDelta: func(r *cache.DeltaRequest) string { return classify(r.GetTypeUrl()) },
			Caches:        map[string]cache.Cache{"": p.snapshot, tableName: p.names},
		}
	}
	mux := &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return r.GetTypeUrl() },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return r.GetTypeUrl() },
		Caches:        map[string]cache.Cache{},
	}
	for url, one := range p.linear {
		mux.Caches[url] = one
	}
	return mux
}

// apply changes what is served; it returns the version.
func (p *plane) apply(c change) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := map[string]map[string]bool{}
	note := func(url, name string) {
		if changed[url] == nil {
			changed[url] = map[string]bool{}
		}
		changed[url][name] = true
	}
	if c.clear {
		for url, known := range p.resources {
			for name := range known {
				note(url, name)
			}
			p.resources[url] = map[string]types.ResourceWithTTL{}
		}
	}
	for _, one := range c.remove {
		url, ok := kinds[one.Type]
		if !ok {
			return "", fmt.Errorf("no type %q", one.Type)
		}
		delete(p.resources[url], one.Name)
		note(url, one.Name)
	}
	for _, one := range c.set {
		url := "type.googleapis.com/" + string(proto.MessageName(one.Resource))
		name := nameOf(one.Resource)
		if p.resources[url] == nil || name == "" {
			return "", fmt.Errorf("%s %q: no resource of a discovery service", url, name)
		}
		p.resources[url][name] = one
		note(url, name)
	}
	return p.publish(c.version, changed)
}

func (p *plane) publish(version string, changed map[string]map[string]bool) (string, error) {
	p.serial++
	if version == "" {
		version = born + strconv.FormatUint(p.serial, 10)
	}
	if p.linear != nil {
		return p.publishLinear(changed)
	}
	if err := p.publishNames(changed); err != nil {
		return "", err
	}
	if p.lazy != nil {
		p.lazy.rebuild()
		return "when it is quiet", nil
	}
	return version, p.publishSnapshot("mesh", version)
}

func (p *plane) publishSnapshot(node, version string) error {
	lists := map[resource.Type][]types.ResourceWithTTL{}
	for url, known := range p.resources {
		if url == nameTable {
			continue
		}
		for _, one := range known {
			lists[url] = append(lists[url], one)
		}
	}
	if p.isEmpty() {
		clear(lists)
	}
	snapshot, err := cache.NewSnapshotWithTTLs(version, lists)
	if err != nil {
		return err
	}
	// Also for types of which there is nothing: that is an answer, too.
	for _, url := range kinds {
		if url == nameTable {
			continue
		}
		snapshot.Resources[cache.GetResponseType(url)].Version = version
	}
	return p.snapshot.SetSnapshot(context.Background(), node, snapshot)
}

func (p *plane) publishLinear(changed map[string]map[string]bool) (string, error) {
	for url, names := range changed {
		set, gone := map[string]types.Resource{}, []string(nil)
		for name := range names {
			if one, ok := p.resources[url][name]; ok {
				set[name] = one.Resource
			} else {
				gone = append(gone, name)
			}
		}
		if err := p.linear[url].UpdateResources(set, gone); err != nil {
			return "", err
		}
	}
	return born + strconv.FormatUint(p.serial, 10), nil
}

// lazy is how Aeraki's server serves: nobody has a snapshot until things have been quiet for a while after the node's
// first request, its version is the time in seconds, and the end of the stream takes it away.
type lazy struct {
	p     *plane
	quiet time.Duration
	timer *time.Timer
	nodes map[string]int64 // by stream
	mu    sync.Mutex
}

type ownNode struct{}

func (ownNode) ID(n *core.Node) string { return n.GetId() }

func newLazyPlane(name string, quiet time.Duration) *plane {
	p := newPlane(name, false)
	p.snapshot = cache.NewSnapshotCache(false, ownNode{}, nil)
	p.lazy = &lazy{p: p, quiet: quiet, nodes: map[string]int64{}}
	p.lazy.timer = time.AfterFunc(time.Hour, p.lazy.serve)
	p.lazy.timer.Stop()
	return p
}

func (l *lazy) rebuild() { l.timer.Reset(l.quiet) }

func (l *lazy) serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	for node := range l.nodes {
		if err := l.p.publishSnapshot(node, strconv.FormatInt(time.Now().Unix(), 10)); err != nil {
			l.p.say("%v", err)
		}
	}
}

func (l *lazy) request(stream int64, r *discovery.DiscoveryRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := r.GetNode().GetId()
	if _, known := l.nodes[id]; id != "" && !known {
		l.nodes[id] = stream
		l.rebuild()
	}
}

func (l *lazy) closed(stream int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, of := range l.nodes {
		if of == stream {
			delete(l.nodes, id)
			l.p.snapshot.ClearSnapshot(id)
		}
	}
}
