// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"trpc.group/trpc-go/trpc-go/client"
	"trpc.group/trpc-go/trpc-go/codec"
	"trpc.group/trpc-go/trpc-go/errs"
	"trpc.group/trpc-go/trpc-go/pool/multiplexed"
	"trpc.group/trpc-go/trpc-go/stream"
)

// order is a line of standard input: calls of one kind, on the connection that all calls to their target share.
type order struct {
	Target  string            `json:"target"`
	Func    string            `json:"func"`
	Caller  string            `json:"caller"`
	Callee  string            `json:"callee"`
	Text    string            `json:"text"`
	Meta    map[string]string `json:"meta"`
	Count   int               `json:"count"`
	AtOnce  int               `json:"at_once"`
	Millis  int               `json:"millis"`
	Oneway  bool              `json:"oneway"`
	Stream  bool              `json:"stream"`
	Timeout time.Duration     `json:"-"`
}

// report is what came of an order. Crossed: answers to another call.
type report struct {
	Passed  bool                `json:"passed"`
	From    map[string]int      `json:"from"`
	Errors  map[string]int      `json:"errors"`
	Crossed int                 `json:"crossed"`
	Meta    []map[string]string `json:"meta"`
	lock    sync.Mutex
}

var (
	pool  = multiplexed.New(multiplexed.WithConnectNumber(1))
	kinds = map[int]string{errs.ErrorTypeBusiness: "business", errs.ErrorTypeFramework: "own", errs.ErrorTypeCalleeFramework: "callee"}
)

func (o *order) options() []client.Option {
	all := []client.Option{client.WithTarget("ip://" + o.Target), client.WithNetwork("tcp"), client.WithProtocol("trpc"), client.WithTimeout(o.Timeout),
		client.WithMultiplexedPool(pool), client.WithMultiplexed(true), client.WithServiceName(o.Callee), client.WithCallerServiceName(o.Caller)}
	for key, value := range o.Meta {
		all = append(all, client.WithMetaData(key, []byte(value)))
	}
	if o.Oneway {
		all = append(all, client.WithSendOnly())
	}
	return all
}

func (o *order) call(text string) (*answered, error) {
	ctx, msg := codec.WithCloneMessage(context.Background())
	defer codec.PutBackMessage(msg)
	msg.WithClientRPCName(o.Func)
	msg.WithCalleeServiceName(o.Callee)
	msg.WithSerializationType(codec.SerializationTypeNoop)
	body, got := &codec.Body{}, &answered{}
	err := client.DefaultClient.Invoke(ctx, &codec.Body{Data: []byte(text)}, body, o.options()...)
	if err != nil || o.Oneway {
		return nil, err
	}
	return got, json.Unmarshal(body.Data, got)
}

func (o *order) open() error {
	ctx, cancel := context.WithTimeout(context.Background(), o.Timeout)
	defer cancel()
	desc := &client.ClientStreamDesc{StreamName: "Chat", ClientStreams: true, ServerStreams: true}
	ctx, msg := codec.WithCloneMessage(ctx)
	msg.WithCalleeServiceName(o.Callee)
	msg.WithSerializationType(codec.SerializationTypeNoop)
	_, err := stream.DefaultStreamClient.NewStream(ctx, desc, o.Func, client.WithTarget("ip://"+o.Target), client.WithNetwork("tcp"),
		client.WithProtocol("trpc"), client.WithServiceName(o.Callee), client.WithCallerServiceName(o.Caller))
	return err
}

func (r *report) add(text string, got *answered, err error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	var e *errs.Error
	switch {
	case errors.As(err, &e):
		r.Errors[fmt.Sprintf("%s %d: %s", kinds[e.Type], e.Code, e.Msg)]++
	case err != nil:
		r.Errors[err.Error()]++
	case got == nil:
		r.From["-"]++
	default:
		r.From[got.From]++
		if got.Text != text {
			r.Crossed++
		}
		if len(r.Meta) < 100 {
			r.Meta = append(r.Meta, got.Meta)
		}
	}
}

func (o *order) run() *report {
	out := &report{Passed: true, From: map[string]int{}, Errors: map[string]int{}, Meta: []map[string]string{}}
	turns := make(chan string, o.Count)
	for n := 0; n < o.Count; n++ {
		text := o.Text
		if text == "" {
			text = fmt.Sprintf("call %d of %d", n, os.Getpid())
		}
		turns <- text
	}
	close(turns)
	var all sync.WaitGroup
	for n := 0; n < o.AtOnce; n++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for text := range turns {
				if o.Stream {
					out.add(text, nil, o.open())
					continue
				}
				got, err := o.call(text)
				out.add(text, got, err)
			}
		}()
	}
	all.Wait()
	return out
}

func calls() error {
	say(map[string]bool{"ready": true})
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		o := order{Func: "/" + greeter + "/Hello", Caller: "trpc.app.cli.Caller", Callee: greeter, Count: 1, AtOnce: 1, Millis: 10000}
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		o.Timeout = time.Duration(o.Millis) * time.Millisecond
		say(o.run())
	}
	return nil
}
