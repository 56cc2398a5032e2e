// SPDX-License-Identifier: Apache-2.0

// A client of TarsGo, with one connection for each object and address. Orders are lines of JSON, and so are its answers:
//
//	{"object": "Shop.StockServer.StockObj", "address": "240.240.9.1:9300", "function": "count", "texts": ["a", "b"]}
//	{"answers": ["s1 a", "-3 no function count"]}
//
// An error is its code and text. "oneway": the answers are empty. "context": keys of the call. "at_once": calls that are
// outstanding together. "timeout": in ms.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/TarsCloud/TarsGo/tars"
	"github.com/TarsCloud/TarsGo/tars/protocol/res/basef"
	"github.com/TarsCloud/TarsGo/tars/protocol/res/requestf"
	"github.com/TarsCloud/TarsGo/tars/util/tools"
)

type order struct {
	Object   string            `json:"object"`
	Address  string            `json:"address"`
	Function string            `json:"function"`
	Texts    []string          `json:"texts"`
	Context  map[string]string `json:"context"`
	Oneway   bool              `json:"oneway"`
	AtOnce   int               `json:"at_once"`
	Timeout  int               `json:"timeout"`
}

type client struct {
	comm    *tars.Communicator
	proxies map[string]*tars.ServantProxy
}

func (c *client) proxy(o *order) *tars.ServantProxy {
	host, port, _ := net.SplitHostPort(o.Address)
	name := fmt.Sprintf("%s@tcp -h %s -p %s -t 60000", o.Object, host, port)
	if c.proxies[name] == nil {
		c.proxies[name] = tars.NewServantProxy(c.comm, name)
	}
	return c.proxies[name]
}

func one(proxy *tars.ServantProxy, o *order, text string) string {
	kind := byte(basef.TARSNORMAL)
	if o.Oneway {
		kind = byte(basef.TARSONEWAY)
	}
	var reply requestf.ResponsePacket
	err := proxy.TarsInvoke(context.Background(), kind, o.Function, []byte(text), nil, o.Context, &reply)
	if err != nil {
		return fmt.Sprintf("%d %s", tars.GetErrorCode(err), err)
	}
	return string(tools.Int8ToByte(reply.SBuffer))
}

func (c *client) run(o *order) []string {
	proxy := c.proxy(o)
	proxy.TarsSetTimeout(max(o.Timeout, 1))
	answers := make([]string, len(o.Texts))
	turn := make(chan bool, max(o.AtOnce, 1))
	var all sync.WaitGroup
	for i, text := range o.Texts {
		turn <- true
		all.Go(func() {
			answers[i] = one(proxy, o, text)
			<-turn
		})
	}
	all.Wait()
	return answers
}

func main() {
	c := &client{tars.NewCommunicator(), map[string]*tars.ServantProxy{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		o := order{Object: "Shop.StockServer.StockObj", AtOnce: 1, Timeout: 10000}
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"answers": c.run(&o)})
	}
}
