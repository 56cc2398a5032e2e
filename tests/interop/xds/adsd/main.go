// SPDX-License-Identifier: Apache-2.0

/*
adsd is a discovery server for tests, on go-control-plane: state of the world and delta, in plaintext or mutual TLS. A
control port says what it serves, and what it does wrong. Beside it stands a server of routes as Aeraki's: mutual TLS
always, nothing before it was quiet for a second, versions in seconds.

	adsd --ads 127.0.0.1:0 --rds 127.0.0.1:0 --control 127.0.0.1:0 --certs DIR [--tls] [--linear] [--ping-min 15s]
	adsd certs DIR
	adsd authz ADDRESS [AGE [DIR]]
	adsd read config_dump|clusters|listeners|server_info|memory|certs

It prints one line of JSON with its addresses when it is ready, and ends when its standard input does. `read` takes an
answer of Envoy's administration interface from standard input and tells which messages are in it. `authz` is an external
authorization service (authz.go), by mutual TLS with what DIR holds.
*/
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	// What a resource may carry has to be known to be read from JSON.
	_ "github.com/cncf/xds/go/udpa/type/v1"
	_ "github.com/cncf/xds/go/xds/type/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/dubbo_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/local_ratelimit/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ratelimit/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/thrift_proxy/filters/ratelimit/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/thrift_proxy/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/thrift_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

type options struct {
	ads, rds, control, certs string
	tls, linear              bool
	pingMin                  time.Duration
}

// listenOn listens on "host:port", or on the socket of "unix:PATH".
func listenOn(address string) (net.Listener, error) {
	if path, found := strings.CutPrefix(address, "unix:"); found {
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", address)
}

// serveGRPC starts a plane's server; it returns the address.
func serveGRPC(p *plane, address string, register func(*grpc.Server, server.Server), certs string, pingMin time.Duration) (string, error) {
	inner, err := listenOn(address)
	if err != nil {
		return "", err
	}
	settings := []grpc.ServerOption{grpc.ForceServerCodec(codec{}), grpc.StreamInterceptor(p.intercept), grpc.MaxConcurrentStreams(1000)}
	if pingMin > 0 {
		settings = append(settings, grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMin}))
	}
	if certs != "" {
		config, err := p.tlsOf(certs)
		if err != nil {
			return "", err
		}
		settings = append(settings, grpc.Creds(credentials.NewTLS(config)))
	}
	var callbacks server.Callbacks
	if p.lazy != nil {
		callbacks = server.CallbackFuncs{
			StreamRequestFunc: func(id int64, r *discovery.DiscoveryRequest) error {
				p.lazy.request(id, r)
				return nil
			},
			StreamClosedFunc: func(id int64, _ *core.Node) { p.lazy.closed(id) },
		}
	}
	g := grpc.NewServer(settings...)
	register(g, server.NewServer(context.Background(), p.cache(), callbacks))
	go func() { log.Fatal(g.Serve(&listener{inner, p})) }()
	return inner.Addr().String(), nil
}

func everything(g *grpc.Server, s server.Server) {
	discovery.RegisterAggregatedDiscoveryServiceServer(g, s)
	clusterservice.RegisterClusterDiscoveryServiceServer(g, s)
	endpointservice.RegisterEndpointDiscoveryServiceServer(g, s)
	listenerservice.RegisterListenerDiscoveryServiceServer(g, s)
	secretservice.RegisterSecretDiscoveryServiceServer(g, s)
	routesOnly(g, s)
}

func routesOnly(g *grpc.Server, s server.Server) {
	routeservice.RegisterRouteDiscoveryServiceServer(g, s)
}

func serve(o options) error {
	if err := registerOthers(); err != nil {
		return err
	}
	ready := map[string]any{"ready": true}
	c := &control{planes: map[string]*plane{"ads": newPlane("ads", o.linear)}}
	adsCerts := ""
	if o.tls {
		adsCerts = o.certs
	}
	at, err := serveGRPC(c.planes["ads"], o.ads, everything, adsCerts, o.pingMin)
	if err != nil {
		return err
	}
	ready["ads"] = at
	if o.rds != "" {
		c.planes["rds"] = newLazyPlane("rds", time.Second)
		if ready["rds"], err = serveGRPC(c.planes["rds"], o.rds, routesOnly, o.certs, 0); err != nil {
			return err
		}
	}
	inner, err := net.Listen("tcp", o.control)
	if err != nil {
		return err
	}
	ready["control"] = inner.Addr().String()
	line, _ := json.Marshal(ready)
	fmt.Println(string(line))
	go func() { log.Fatal(http.Serve(inner, c.handler())) }()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "certs" {
		if err := makeCertificates(os.Args[2]); err != nil {
			log.Fatal(err)
		}
		return
	}
	if len(os.Args) >= 3 && len(os.Args) <= 5 && os.Args[1] == "authz" {
		age, err := time.ParseDuration(append(os.Args, "0s")[3])
		if err == nil {
			err = serveAuthz(os.Args[2], age, os.Args[min(4, len(os.Args)):]...)
		}
		if err != nil {
			log.Fatal(err)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "read" {
		if err := registerOthers(); err != nil {
			log.Fatal(err)
		}
		if err := read(os.Args[2], os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	var o options
	flag.StringVar(&o.ads, "ads", "127.0.0.1:0", "address of the discovery server, or unix:PATH")
	flag.StringVar(&o.rds, "rds", "", "address of the server of routes")
	flag.StringVar(&o.control, "control", "127.0.0.1:0", "address of the control port")
	flag.StringVar(&o.certs, "certs", "", "directory that adsd certs has filled")
	flag.BoolVar(&o.tls, "tls", false, "mutual TLS for the discovery server, too")
	flag.BoolVar(&o.linear, "linear", false, "a change costs what it is, not what there is")
	flag.DurationVar(&o.pingMin, "ping-min", 15*time.Second, "pings that come more often end a connection (istiod: 15 s)")
	flag.Parse()
	if err := serve(o); err != nil {
		log.Fatal(err)
	}
}
