// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	trpc "trpc.group/trpc-go/trpc-go"
	"trpc.group/trpc-go/trpc-go/codec"
	"trpc.group/trpc-go/trpc-go/errs"
	"trpc.group/trpc-go/trpc-go/server"
)

const (
	greeter  = "trpc.test.helloworld.Greeter"
	business = 10001
	hang     = 8 * time.Second
)

// answered is what a server sends back: the text of the call, who answers, and the metadata that it has read.
type answered struct {
	Text string            `json:"text"`
	From string            `json:"from"`
	Meta map[string]string `json:"meta"`
}

type greeterServer struct {
	name, id string
	lock     sync.Mutex
	notes    []string
}

func say(v any) {
	line, _ := json.Marshal(v)
	fmt.Println(string(line))
}

// obey prints the text of a call, FAULT.SERVERS.NUMBER, and does what it specifies.
func (s *greeterServer) obey(text string) error {
	words := strings.Split(text, ".")
	if len(words) < 3 {
		return nil
	}
	s.lock.Lock()
	say(map[string]string{"executed": text})
	s.lock.Unlock()
	if !strings.Contains(words[1], s.id) {
		return nil
	}
	switch words[0] {
	case "hang":
		time.Sleep(hang)
	case "slow":
		time.Sleep(50 * time.Millisecond)
	case "error":
		return errs.New(business, "as asked")
	case "busy":
		return errs.NewFrameError(errs.RetServerOverload, "as asked")
	}
	return nil
}

func (s *greeterServer) hello(ctx context.Context, text string) (string, error) {
	meta := map[string]string{}
	for key, value := range trpc.Message(ctx).ServerMetaData() {
		meta[key] = string(value)
	}
	out, _ := json.Marshal(answered{text, s.name, meta})
	return string(out), s.obey(text)
}

func (s *greeterServer) note(_ context.Context, text string) (string, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.notes = append(s.notes, text)
	return "", nil
}

func (s *greeterServer) count(_ context.Context, text string) (string, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	out, _ := json.Marshal(answered{text, fmt.Sprint(len(s.notes)), nil})
	return string(out), nil
}

func method(name string, run func(context.Context, string) (string, error)) server.Method {
	handle := func(ctx context.Context, body interface{}) (interface{}, error) {
		text, err := run(ctx, string(body.(*codec.Body).Data))
		if err != nil {
			return nil, err
		}
		return &codec.Body{Data: []byte(text)}, nil
	}
	return server.Method{Name: name, Func: func(_ interface{}, ctx context.Context, f server.FilterFunc) (interface{}, error) {
		body := &codec.Body{}
		filters, err := f(body)
		if err != nil {
			return nil, err
		}
		return filters.Filter(ctx, body, handle)
	}}
}

// serve never returns. What clients call "/test/Other" is the same as Hello, under a name of another service.
func serve(port int, tag, id string) error {
	s := &greeterServer{name: tag + "/" + id, id: id}
	listener, err := net.Listen("tcp", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		return err
	}
	service := server.New(server.WithServiceName(greeter), server.WithNetwork("tcp"), server.WithProtocol("trpc"), server.WithListener(listener),
		server.WithAddress(listener.Addr().String()), server.WithTimeout(20*time.Second))
	err = service.Register(&server.ServiceDesc{ServiceName: greeter, HandlerType: (*interface{})(nil), Methods: []server.Method{
		method("/"+greeter+"/Hello", s.hello), method("/"+greeter+"/Note", s.note), method("/"+greeter+"/Count", s.count),
		method("/test/Other", s.hello), method("alias", s.hello)}}, s)
	if err != nil {
		return err
	}
	say(map[string]bool{"ready": true})
	return service.Serve()
}
