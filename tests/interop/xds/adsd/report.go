// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

const keptTexts = 20

// A request of either protocol.
type request struct {
	kind, nonce, version string
	delta                bool
	names, added, gone   []string
	node                 *core.Node
	refusal              *rpc.Status
}

func requestOf(m any) request {
	switch r := m.(type) {
	case *discovery.DiscoveryRequest:
		return request{kind: kindOf(r.GetTypeUrl()), nonce: r.GetResponseNonce(), version: r.GetVersionInfo(), names: r.GetResourceNames(),
			node: r.GetNode(), refusal: r.GetErrorDetail()}
	case *discovery.DeltaDiscoveryRequest:
		return request{kind: kindOf(r.GetTypeUrl()), nonce: r.GetResponseNonce(), delta: true, added: r.GetResourceNamesSubscribe(),
			gone: r.GetResourceNamesUnsubscribe(), node: r.GetNode(), refusal: r.GetErrorDetail()}
	}
	return request{}
}

type typeReport struct {
	Requests  int      `json:"requests"`
	Responses int      `json:"responses"`
	Resources int      `json:"resources"` // in all responses
	Acks      int      `json:"acks"`
	Nacks     int      `json:"nacks"`
	Acked     string   `json:"acked"`  // the version of the last ACK
	AckMs     float64  `json:"ack_ms"` // how long after the response it came
	Texts     []string `json:"texts"`  // of the last refusals
	Names     []string `json:"names"`  // what is asked for; none: everything
	names     map[string]bool
}

// report is what a plane saw, for the tests.
type report struct {
	reportMu sync.Mutex
	Streams  int                    `json:"streams"`
	Opened   int                    `json:"streams_opened"`
	Refused  int                    `json:"streams_refused"`
	Open     int                    `json:"connections"`
	Accepted int                    `json:"connections_accepted"`
	Delta    bool                   `json:"delta"`
	Method   string                 `json:"method"` // of the last stream
	Node     string                 `json:"node"`
	Cluster  string                 `json:"cluster"`
	Metadata []string               `json:"metadata"` // its keys
	Peer     []string               `json:"peer"`     // the last client's names
	Types    map[string]*typeReport `json:"types"`
	Received int                    `json:"received_last_minute"`
	Sent     int                    `json:"sent_last_minute"`
	in, out  minute
}

// minute counts events of the last sixty seconds.
type minute struct {
	counts [60]int
	second int64
}

func (m *minute) turn() {
	now := time.Now().Unix()
	for ; m.second < now; m.second++ {
		if m.second < now-60 {
			m.second = now - 60
		}
		m.counts[(m.second+1)%60] = 0
	}
}

func (m *minute) add() {
	m.turn()
	m.counts[m.second%60]++
}

func (m *minute) sum() int {
	m.turn()
	total := 0
	for _, n := range m.counts {
		total += n
	}
	return total
}

func (r *report) init() {
	r.Types = map[string]*typeReport{}
	for kind := range kinds {
		r.Types[kind] = &typeReport{names: map[string]bool{}, Texts: []string{}, Names: []string{}}
	}
}

func (r *report) of(kind string) *typeReport {
	if r.Types[kind] == nil {
		r.Types[kind] = &typeReport{names: map[string]bool{}, Texts: []string{}}
	}
	return r.Types[kind]
}

func (r *report) opened(ctx context.Context, method string) {
	r.reportMu.Lock()
	defer r.reportMu.Unlock()
	r.Streams++
	r.Opened++
	r.Method = method
	for _, t := range r.Types {
		clear(t.names)
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return
	}
	if tls, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(tls.State.PeerCertificates) > 0 {
		leaf := tls.State.PeerCertificates[0]
		r.Peer = slices.Clone(leaf.DNSNames)
		for _, uri := range leaf.URIs {
			r.Peer = append(r.Peer, uri.String())
		}
	}
}

func (r *report) closed() {
	r.reportMu.Lock()
	r.Streams--
	r.reportMu.Unlock()
}

func (r *report) refused() {
	r.reportMu.Lock()
	r.Refused++
	r.reportMu.Unlock()
}

func (r *report) connected(n int) {
	r.reportMu.Lock()
	r.Open += n
	r.Accepted += max(n, 0)
	r.reportMu.Unlock()
}

// heard notes a request; said is what its nonce belongs to.
func (r *report) heard(q request, said answer, known bool) {
	r.reportMu.Lock()
	defer r.reportMu.Unlock()
	r.in.add()
	r.Delta = q.delta
	if q.node != nil {
		r.Node, r.Cluster = q.node.GetId(), q.node.GetCluster()
		r.Metadata = slices.Sorted(maps.Keys(q.node.GetMetadata().GetFields()))
	}
	t := r.of(q.kind)
	t.Requests++
	if !q.delta {
		clear(t.names)
	}
	for _, name := range append(q.names, q.added...) {
		t.names[name] = true
	}
	for _, name := range q.gone {
		delete(t.names, name)
	}
	switch {
	case q.refusal != nil:
		t.Nacks++
		t.Texts = append(t.Texts, q.refusal.GetMessage())
		t.Texts = t.Texts[max(0, len(t.Texts)-keptTexts):]
	case q.nonce != "" && known:
		t.Acks++
		t.Acked = said.version
		t.AckMs = float64(time.Since(said.at).Microseconds()) / 1000
	}
}

func (r *report) said(kind string, items int) {
	r.reportMu.Lock()
	defer r.reportMu.Unlock()
	r.out.add()
	t := r.of(kind)
	t.Responses++
	t.Resources += items
}

// see calls f with the report as it is now.
func (r *report) see(f func(*report)) {
	r.reportMu.Lock()
	defer r.reportMu.Unlock()
	r.Received, r.Sent = r.in.sum(), r.out.sum()
	for _, t := range r.Types {
		t.Names = slices.AppendSeq([]string{}, maps.Keys(t.names)) // never null
		slices.Sort(t.Names)
	}
	f(r)
}

func (p *plane) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s: %s\n", time.Now().Format("15:04:05.000"), p.name, fmt.Sprintf(format, args...))
}
