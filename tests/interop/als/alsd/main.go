// SPDX-License-Identifier: Apache-2.0

// The Access Log Service of go-control-plane, at a port of the loopback interface.
//
//	alsd -port 9000 -records FILE
//
// Before a stream gets its status, FILE gets a line "id STREAM_ID" for each entry of the stream, and the service's own line for it, which
// begins with [LOG_NAME. SIGKILL therefore loses no entry whose stream had a status.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"sync"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/envoyproxy/go-control-plane/pkg/test/v3"
	"google.golang.org/grpc"
)

type server struct {
	mu      sync.Mutex
	records *os.File
}

// A stream that keeps the ids of its entries.
type stream struct {
	accesslog.AccessLogService_StreamAccessLogsServer
	ids []string
}

func (s *stream) Recv() (*accesslog.StreamAccessLogsMessage, error) {
	message, err := s.AccessLogService_StreamAccessLogsServer.Recv()
	for _, entry := range message.GetHttpLogs().GetLogEntry() {
		s.ids = append(s.ids, "id "+entry.GetCommonProperties().GetStreamId())
	}
	for _, entry := range message.GetTcpLogs().GetLogEntry() {
		s.ids = append(s.ids, "id "+entry.GetCommonProperties().GetStreamId())
	}
	return message, err
}

// StreamAccessLogs gives each stream a service of its own, because that knows entries only by the order of their arrival.
func (s *server) StreamAccessLogs(real accesslog.AccessLogService_StreamAccessLogsServer) error {
	service, seen := &test.AccessLogService{}, &stream{AccessLogService_StreamAccessLogsServer: real}
	err := service.StreamAccessLogs(seen)
	lines := seen.ids
	service.Dump(func(entry string) { lines = append(lines, entry) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(lines) > 0 {
		if _, failed := s.records.WriteString(strings.Join(lines, "\n") + "\n"); failed != nil {
			log.Fatal(failed)
		}
	}
	return err
}

func main() {
	port := flag.Int("port", 9000, "of 127.0.0.1")
	records := flag.String("records", "", "file for the entries")
	flag.Parse()
	file, err := os.OpenFile(*records, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer()
	accesslog.RegisterAccessLogServiceServer(s, &server{records: file})
	log.Fatal(s.Serve(listener))
}
