// SPDX-License-Identifier: Apache-2.0

// A client and a server of tRPC's library for Go.
//
//	trpcpeer -port 8000 -tag v1 -id s1    a server
//	trpcpeer                              a client: orders are lines of JSON on standard input, each answered by a line
package main

import (
	"flag"
	"fmt"
	"os"

	"trpc.group/trpc-go/trpc-go/log"
)

func main() {
	port := flag.Int("port", 0, "of a server")
	tag := flag.String("tag", "v1", "")
	id := flag.String("id", "s1", "")
	flag.Parse()
	log.SetLevel("0", log.LevelError)
	err := calls
	if *port != 0 {
		err = func() error { return serve(*port, *tag, *id) }
	}
	if failed := err(); failed != nil {
		fmt.Fprintln(os.Stderr, failed)
		os.Exit(1)
	}
}
