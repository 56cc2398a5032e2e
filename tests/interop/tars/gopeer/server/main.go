// SPDX-License-Identifier: Apache-2.0

// A server of TarsGo with one servant, Shop.StockServer.StockObj.
//
//	server -host 198.51.100.11 -port 9300 -id s1
//
// Each call of a function but "quiet" is printed as {"executed": its text}.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/TarsCloud/TarsGo/tars"
	"github.com/TarsCloud/TarsGo/tars/protocol/res/requestf"
	"github.com/TarsCloud/TarsGo/tars/util/current"
	"github.com/TarsCloud/TarsGo/tars/util/tools"
)

const object = "Shop.StockServer.StockObj"

const config = `<tars>
  <application>
    <server>
      app=Shop
      server=StockServer
      logLevel=ERROR
      localip=%[1]s
      basepath=%[3]s
      datapath=%[3]s
      gracedowntimeout=3000
      <%[4]sAdapter>
        endpoint=tcp -h %[1]s -p %[2]d -t 60000
        servant=%[4]s
        protocol=tars
        threads=4
      </%[4]sAdapter>
    </server>
  </application>
</tars>
`

type stock struct {
	id    string
	print sync.Mutex
}

func (s *stock) say(key string, value any) {
	s.print.Lock()
	defer s.print.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{key: value})
}

// What a call is answered with. Texts begin with a number where the function wants one.
func (s *stock) call(ctx context.Context, function, text string) (string, error) {
	first, rest, _ := strings.Cut(text, " ")
	number, _ := strconv.Atoi(first)
	if function != "quiet" {
		s.say("executed", text)
	}
	switch function {
	case "count", "note", "quiet":
		return s.id + " " + text, nil
	case "wait": // milliseconds
		time.Sleep(time.Duration(number) * time.Millisecond)
		return s.id + " " + text, nil
	case "user": // as the server reads the context
		all, _ := current.GetRequestContext(ctx)
		return s.id + " " + all["user"], nil
	case "fail":
		return "", tars.Errorf(int32(number), "%s", rest)
	case "throw":
		return "", fmt.Errorf("%s", text)
	default:
		return "", tars.Errorf(-3, "no function %s", function)
	}
}

// Dispatch is what tars2go would generate; arguments and results are one text, without JCE.
func (s *stock) Dispatch(ctx context.Context, _ any, req *requestf.RequestPacket, rsp *requestf.ResponsePacket, _ bool) error {
	text, err := s.call(ctx, req.SFuncName, string(tools.Int8ToByte(req.SBuffer)))
	rsp.SBuffer = tools.ByteToInt8([]byte(text))
	return err
}

func (s *stock) announce(address string) {
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			s.say("ready", s.id)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func main() {
	host := flag.String("host", "", "address")
	port := flag.Int("port", 9300, "port")
	id := flag.String("id", "", "name in answers")
	flag.Parse()
	folder, err := os.MkdirTemp("", "tars")
	if err == nil {
		tars.ServerConfigPath = filepath.Join(folder, "config")
		err = os.WriteFile(tars.ServerConfigPath, []byte(fmt.Sprintf(config, *host, *port, folder, object)), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := &stock{id: *id}
	tars.GetServerConfig()
	os.RemoveAll(folder)
	tars.AddServantWithContext(s, s, object)
	go s.announce(net.JoinHostPort(*host, strconv.Itoa(*port)))
	tars.Run()
}
