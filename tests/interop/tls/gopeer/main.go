// SPDX-License-Identifier: Apache-2.0

// One end of TLS connections by Go's crypto/tls: a server that sends back what it is sent, or a client that makes several
// connections one after the other, keeps sessions, and wants its lines back.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
)

func config(dir string, version uint, suite uint, shows bool) *tls.Config {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert-chain.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		log.Fatal(err)
	}
	roots, err := os.ReadFile(filepath.Join(dir, "root-cert.pem"))
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	c := &tls.Config{RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, ServerName: "bob.example",
		MinVersion: uint16(version), MaxVersion: uint16(version), NextProtos: []string{"h2", "istio"},
		ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	if shows {
		c.Certificates = []tls.Certificate{pair}
	}
	if suite != 0 {
		c.CipherSuites = []uint16{uint16(suite)}
	}
	return c
}

func serve(port int, c *tls.Config) {
	l, err := tls.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port), c)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready", l.Addr().(interface{ String() string }).String())
	for {
		conn, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			_, err := io.Copy(conn, conn)
			fmt.Println("ended", err)
			conn.Close()
		}()
	}
}

func call(port int, c *tls.Config, lines, length int) error {
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), c)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i := 0; i < lines; i++ {
		line := append(bytes.Repeat([]byte{byte('a' + i%26)}, length), '\n')
		if _, err := conn.Write(line); err != nil {
			return err
		}
		back, err := in.ReadBytes('\n')
		if err != nil {
			return err
		}
		if !bytes.Equal(line, back) {
			return fmt.Errorf("line %d is another one", i)
		}
	}
	return nil
}

func main() {
	dir := flag.String("dir", ".", "identity")
	port := flag.Int("port", 0, "port")
	server := flag.Bool("server", false, "serves")
	version := flag.Uint("version", tls.VersionTLS13, "0x0303 or 0x0304")
	suite := flag.Uint("suite", 0, "of TLS 1.2")
	silent := flag.Bool("no-certificate", false, "shows none")
	connections := flag.Int("connections", 1, "of a client")
	lines := flag.Int("lines", 1, "of a connection")
	length := flag.Int("length", 100, "of a line")
	flag.Parse()
	c := config(*dir, *version, *suite, !*silent)
	if *server {
		serve(*port, c)
	}
	for i := 0; i < *connections; i++ {
		if err := call(*port, c, *lines, *length); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	fmt.Println("good")
}
