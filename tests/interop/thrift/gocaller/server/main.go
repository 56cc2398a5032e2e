// SPDX-License-Identifier: Apache-2.0

// A server of Apache's Thrift library for Go: framed, binary protocol. Its words are those of server.py:
//
//	goserver -port 9090 -tag v1 -id s1 -faults 0
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/thrift/lib/go/thrift"

	"meltemi.io/tests/gocaller/gen/hello"
)

const hang = 8 * time.Second

type handler struct {
	id, named string
	faults    bool
	lock      sync.Mutex
	taken     atomic.Int32
}

// obey prints the name of a call, FAULT.SERVERS.NUMBER, and does what it specifies.
func (h *handler) obey(name string) error {
	if !h.faults {
		return nil
	}
	h.lock.Lock()
	fmt.Printf("{\"executed\": %q}\n", name)
	h.lock.Unlock()
	words := strings.Split(name, ".")
	if len(words) < 3 || !strings.Contains(words[1], h.id) {
		return nil
	}
	switch words[0] {
	case "hang", "reset":
		time.Sleep(hang)
	case "error":
		return errors.New("as asked")
	}
	return nil
}

func (h *handler) SayHello(_ context.Context, name string) (string, error) {
	return "hello " + name + " from " + h.named, h.obey(name)
}

func (h *handler) SayGoodbye(_ context.Context, name string) (string, error) {
	return "goodbye " + name + " from " + h.named, h.obey(name)
}

func (h *handler) Echo(_ context.Context, text string) (string, error) {
	return text, nil
}

func (h *handler) Older(_ context.Context, person *hello.Person) (*hello.Person, error) {
	person.Age++
	return person, nil
}

func (h *handler) Fail(_ context.Context, reason string) (string, error) {
	return "", &hello.Refused{Reason: reason}
}

func (h *handler) Note(context.Context, string) error {
	h.taken.Add(1)
	return nil
}

func (h *handler) Notes(context.Context) (int32, error) {
	return h.taken.Load(), nil
}

func (h *handler) Slow(_ context.Context, millis int32) (string, error) {
	time.Sleep(time.Duration(millis) * time.Millisecond)
	return fmt.Sprintf("slow %d from %s", millis, h.named), nil
}

func serve(port int, h *handler) error {
	socket, err := thrift.NewTServerSocket(fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		return err
	}
	if err := socket.Listen(); err != nil {
		return err
	}
	fmt.Println("{\"ready\": true}")
	conf := &thrift.TConfiguration{}
	return thrift.NewTSimpleServer4(hello.NewHelloProcessor(h), socket,
		thrift.NewTFramedTransportFactoryConf(thrift.NewTTransportFactory(), conf),
		thrift.NewTBinaryProtocolFactoryConf(conf)).Serve()
}

func main() {
	port := flag.Int("port", 9090, "")
	tag := flag.String("tag", "v1", "")
	id := flag.String("id", "s1", "")
	faults := flag.Int("faults", 0, "1: calls of sayHello and sayGoodbye specify how they fail, and are printed")
	flag.Parse()
	if err := serve(*port, &handler{id: *id, named: *tag + "/" + *id, faults: *faults != 0}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
