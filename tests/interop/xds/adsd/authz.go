// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authz "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	grpcstatus "google.golang.org/grpc/status"
)

// judge answers as the call's metadata say: x-ext-authz is "allow", "error", "slow", "absent"; anything else is denied.
// Each question is a line of its output, with who has shown a certificate, and for what name.
type judge struct{}

// asker is the principal of who asks, and the name that he asked for; without TLS there is none.
func asker(c context.Context) (string, string) {
	p, ok := peer.FromContext(c)
	if !ok {
		return "", ""
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 || len(info.State.PeerCertificates[0].URIs) == 0 {
		return "", info.State.ServerName
	}
	return info.State.PeerCertificates[0].URIs[0].String(), info.State.ServerName
}

func (judge) Check(c context.Context, r *authz.CheckRequest) (*authz.CheckResponse, error) {
	a := r.GetAttributes()
	h := a.GetRequest().GetHttp()
	by, name := asker(c)
	line, err := json.Marshal(map[string]any{
		"asked": h.GetPath(), "method": h.GetMethod(), "headers": h.GetHeaders(), "host": h.GetHost(),
		"from": a.GetSource().GetAddress().GetSocketAddress().GetAddress(), "who": a.GetSource().GetPrincipal(),
		"to":     a.GetDestination().GetAddress().GetSocketAddress().GetAddress(),
		"port":   a.GetDestination().GetAddress().GetSocketAddress().GetPortValue(),
		"more":   a.GetContextExtensions(),
		"server": a.GetTlsSession().GetSni(),
		"by":     by, "sni": name,
	})
	if err != nil {
		return nil, err
	}
	fmt.Println(string(line))
	switch h.GetHeaders()["x-ext-authz"] {
	case "allow":
		return allowed(core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD), nil
	case "absent":
		return allowed(core.HeaderValueOption_ADD_IF_ABSENT), nil
	case "slow":
		time.Sleep(2 * time.Second)
		return allowed(core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD), nil
	case "error":
		return nil, grpcstatus.Error(codes.Internal, "as it was asked to")
	}
	return &authz.CheckResponse{Status: &status.Status{Code: int32(codes.PermissionDenied)},
		HttpResponse: &authz.CheckResponse_DeniedResponse{DeniedResponse: &authz.DeniedHttpResponse{Body: "no"}}}, nil
}

func allowed(how core.HeaderValueOption_HeaderAppendAction) *authz.CheckResponse {
	set := &core.HeaderValueOption{AppendAction: how,
		Header: &core.HeaderValue{Key: "x-ext-authz-check-result", Value: "allowed"}}
	return &authz.CheckResponse{Status: &status.Status{}, HttpResponse: &authz.CheckResponse_OkResponse{
		OkResponse: &authz.OkHttpResponse{Headers: []*core.HeaderValueOption{set}, HeadersToRemove: []string{"x-secret"}}}}
}

// mutual asks for a certificate; the directory holds what Istio's agents write.
func mutual(directory string) (grpc.ServerOption, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(directory, "cert-chain.pem"), filepath.Join(directory, "key.pem"))
	if err != nil {
		return nil, err
	}
	roots, err := os.ReadFile(filepath.Join(directory, "root-cert.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	return grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs: pool, Certificates: []tls.Certificate{pair}})), nil
}

// serveAuthz is an external authorization service at the address, by mutual TLS if a directory is named. Its connections are asked to go
// (GOAWAY) at that age; 0: never.
func serveAuthz(address string, age time.Duration, directory ...string) error {
	listener, err := listenOn(address)
	if err != nil {
		return err
	}
	options := []grpc.ServerOption{grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: age})}
	for _, d := range directory {
		o, err := mutual(d)
		if err != nil {
			return err
		}
		options = append(options, o)
	}
	g := grpc.NewServer(options...)
	authz.RegisterAuthorizationServer(g, judge{})
	fmt.Printf("{\"ready\": true, \"authz\": %q}\n", listener.Addr().String())
	go func() { log.Fatal(g.Serve(listener)) }()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
