// SPDX-License-Identifier: Apache-2.0

// A client of Apache's Thrift library for Go, which sends one-way methods as type CALL.
//
//	gocaller -target HOST:PORT -notes 20 -calls 5 -timeout 10s
//
// On one connection: so many one-way calls, then ordinary ones. Prints one JSON line: answered, wrong, failed.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/apache/thrift/lib/go/thrift"

	"meltemi.io/tests/gocaller/gen/hello"
)

type report struct {
	Answered int      `json:"answered"`
	Wrong    []string `json:"wrong"`
	Failed   []string `json:"failed"`
}

func open(target string, timeout time.Duration) (*hello.HelloClient, error) {
	conf := &thrift.TConfiguration{ConnectTimeout: timeout, SocketTimeout: timeout}
	transport := thrift.NewTFramedTransportConf(thrift.NewTSocketConf(target, conf), conf)
	if err := transport.Open(); err != nil {
		return nil, err
	}
	protocol := thrift.NewTBinaryProtocolFactoryConf(conf)
	return hello.NewHelloClientFactory(transport, protocol), nil
}

func work(client *hello.HelloClient, notes, calls int) report {
	out := report{Wrong: []string{}, Failed: []string{}}
	for n := 0; n < notes; n++ {
		if err := client.Note(context.Background(), fmt.Sprintf("note %d", n)); err != nil {
			out.Failed = append(out.Failed, err.Error())
			return out
		}
	}
	for n := 0; n < calls; n++ {
		name := fmt.Sprintf("go-%d", n)
		text, err := client.SayHello(context.Background(), name)
		switch {
		case err != nil:
			out.Failed = append(out.Failed, err.Error())
			return out
		case !strings.HasPrefix(text, "hello "+name+" from "):
			out.Wrong = append(out.Wrong, text)
		default:
			out.Answered++
		}
	}
	return out
}

func main() {
	target := flag.String("target", "", "host and port")
	notes := flag.Int("notes", 20, "one-way calls")
	calls := flag.Int("calls", 5, "ordinary ones behind them")
	timeout := flag.Duration("timeout", 10*time.Second, "for each answer")
	flag.Parse()
	client, err := open(*target, *timeout)
	out := report{Wrong: []string{}, Failed: []string{}}
	if err != nil {
		out.Failed = append(out.Failed, err.Error())
	} else {
		out = work(client, *notes, *calls)
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
}
