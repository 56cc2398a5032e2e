// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"strings"
	"sync/atomic"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// Clusters that are asked for by name and do not exist: the protocol wants a server to say so at once (removed_resources),
// go-control-plane waits until they do. So it is said here, with a nonce that go-control-plane does not hear of.

const absentNonce = "absent-"

var absentSerial atomic.Uint64

func (p *plane) has(url, name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.resources[url][name]
	return ok
}

// isAnswered says whether a request was nothing but the ACK of such an answer, and takes its nonce out otherwise.
func isAnswered(r *discovery.DeltaDiscoveryRequest) bool {
	if !strings.HasPrefix(r.GetResponseNonce(), absentNonce) {
		return false
	}
	r.ResponseNonce = ""
	return len(r.GetResourceNamesSubscribe())+len(r.GetResourceNamesUnsubscribe()) == 0
}

// tellAbsent answers for the clusters of a request that do not exist.
func (s *stream) tellAbsent(r *discovery.DeltaDiscoveryRequest) {
	var gone []string
	for _, name := range r.GetResourceNamesSubscribe() {
		if kindOf(r.GetTypeUrl()) == "cds" && name != "*" && !s.p.has(r.GetTypeUrl(), name) {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 {
		return
	}
	out := &discovery.DeltaDiscoveryResponse{
		TypeUrl: r.GetTypeUrl(), RemovedResources: gone, Nonce: absentNonce + strconv.FormatUint(absentSerial.Add(1), 10),
	}
	go func() { _ = s.SendMsg(out) }()
}

// filter is between what a client asks and go-control-plane; false: there is nothing left to ask.
func (s *stream) filter(m any) bool {
	r, ok := m.(*discovery.DeltaDiscoveryRequest)
	if !ok {
		return true
	}
	if isAnswered(r) {
		return false
	}
	s.tellAbsent(r)
	return true
}
