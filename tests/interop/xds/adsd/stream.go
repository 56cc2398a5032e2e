// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// What a plane does wrong, on purpose. Counts go down with each message that they spoilt.
type faultSettings struct {
	Hold     bool   `json:"hold"`     // answers wait
	DelayMs  int    `json:"delay_ms"` // each answer is late
	Garbage  int    `json:"garbage"`  // that many answers are no protobuf
	Truncate int    `json:"truncate"` // that many answers lack their second half
	Resend   bool   `json:"resend"`   // a NACK is answered at once with the same again
	Mute     bool   `json:"mute"`     // requests are read and lead to nothing
	Empty    bool   `json:"empty"`    // nothing is there (takes effect with the next publication)
	Refuse   int    `json:"refuse"`   // new streams end with this gRPC status
	Words    string `json:"words"`    // and these words
	wireSettings
}

type faults struct {
	faultsMu sync.Mutex
	now      faultSettings
	open     map[*stream]bool
}

func (f *faults) set(s faultSettings) {
	f.faultsMu.Lock()
	f.now = s
	f.faultsMu.Unlock()
}

func (f *faults) get() faultSettings {
	f.faultsMu.Lock()
	defer f.faultsMu.Unlock()
	return f.now
}

func (f *faults) isEmpty() bool { return f.get().Empty }

// Says whether the next answer is spoilt, and how.
func (f *faults) spoil() (garbage, truncate bool) {
	f.faultsMu.Lock()
	defer f.faultsMu.Unlock()
	switch {
	case f.now.Garbage > 0:
		f.now.Garbage--
		return true, false
	case f.now.Truncate > 0:
		f.now.Truncate--
		return false, true
	}
	return false, false
}

func (f *faults) enter(s *stream) {
	f.faultsMu.Lock()
	defer f.faultsMu.Unlock()
	if f.open == nil {
		f.open = map[*stream]bool{}
	}
	f.open[s] = true
}

func (f *faults) leave(s *stream) {
	f.faultsMu.Lock()
	defer f.faultsMu.Unlock()
	delete(f.open, s)
}

var errDropped = errors.New("dropped")

// dropStreams ends every stream with UNAVAILABLE.
func (f *faults) dropStreams() int {
	f.faultsMu.Lock()
	defer f.faultsMu.Unlock()
	for s := range f.open {
		s.cancel(errDropped)
	}
	return len(f.open)
}

// What was said with a nonce.
type answer struct {
	kind, version string
	at            time.Time
}

// stream stands between gRPC and go-control-plane: it sees every message and spoils some.
type stream struct {
	grpc.ServerStream
	p       *plane
	ctx     context.Context
	cancel  context.CancelCauseFunc
	sending sync.Mutex
	answers map[string]answer // by nonce
	last    map[string]proto.Message
}

func (s *stream) Context() context.Context { return s.ctx }

func (p *plane) intercept(srv any, inner grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if f := p.faults.get(); f.Refuse != 0 {
		p.refused()
		return status.Error(codes.Code(f.Refuse), f.Words)
	}
	ctx, cancel := context.WithCancelCause(inner.Context())
	s := &stream{ServerStream: inner, p: p, ctx: ctx, cancel: cancel, answers: map[string]answer{}, last: map[string]proto.Message{}}
	p.faults.enter(s)
	p.opened(ctx, info.FullMethod)
	defer p.closed()
	defer p.faults.leave(s)
	over := make(chan error, 1)
	go func() { over <- handler(srv, s) }()
	select {
	case err := <-over:
		return err
	case <-ctx.Done():
	}
	if context.Cause(ctx) == errDropped {
		return status.Error(codes.Unavailable, "dropped on purpose") // which ends the handler, too
	}
	return <-over
}

func (s *stream) RecvMsg(m any) error {
	for {
		if err := s.ServerStream.RecvMsg(m); err != nil {
			return err
		}
		r := requestOf(m)
		s.sending.Lock()
		said, known := s.answers[r.nonce]
		again := s.last[r.kind]
		s.sending.Unlock()
		s.p.heard(r, said, known)
		f := s.p.faults.get()
		if f.Resend && r.refusal != nil && again != nil {
			_ = s.put(again)
		}
		if !f.Mute && s.filter(m) {
			return nil
		}
	}
}

func (s *stream) SendMsg(m any) error {
	f := s.p.faults.get()
	for began := time.Now(); f.Hold || time.Since(began) < time.Duration(f.DelayMs)*time.Millisecond; f = s.p.faults.get() {
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return s.put(m.(proto.Message))
}

func (s *stream) put(m proto.Message) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	kind, version, nonce, items := "", "", "", 0
	switch r := m.(type) {
	case *discovery.DiscoveryResponse:
		kind, version, nonce, items = kindOf(r.GetTypeUrl()), r.GetVersionInfo(), r.GetNonce(), len(r.GetResources())
	case *discovery.DeltaDiscoveryResponse:
		kind, version, nonce, items = kindOf(r.GetTypeUrl()), r.GetSystemVersionInfo(), r.GetNonce(), len(r.GetResources())
	}
	s.answers[nonce] = answer{kind, version, time.Now()}
	if len(s.answers) > 10000 {
		clear(s.answers)
	}
	s.last[kind] = m
	s.p.said(kind, items)
	garbage, truncate := s.p.faults.spoil()
	if !garbage && !truncate {
		return s.ServerStream.SendMsg(m)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	if truncate {
		return s.ServerStream.SendMsg(&raw{data[:len(data)/2]})
	}
	for i := range data {
		data[i] = byte(0xff - i)
	}
	return s.ServerStream.SendMsg(&raw{data})
}

// raw is a message that is already bytes.
type raw struct{ data []byte }

// codec is protobuf's, and passes raw bytes on.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) ([]byte, error) {
	if r, ok := v.(*raw); ok {
		return r.data, nil
	}
	return proto.Marshal(v.(proto.Message))
}

func (codec) Unmarshal(data []byte, v any) error { return proto.Unmarshal(data, v.(proto.Message)) }
