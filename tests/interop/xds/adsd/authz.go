// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authz "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// judge answers as the call's metadata say: x-ext-authz is "allow", "error", "slow", "absent"; anything else is denied.
// Each question is a line of its output.
type judge struct{}

func (judge) Check(_ context.Context, r *authz.CheckRequest) (*authz.CheckResponse, error) {
	a := r.GetAttributes()
	h := a.GetRequest().GetHttp()
	line, err := json.Marshal(map[string]any{
		"asked": h.GetPath(), "method": h.GetMethod(), "headers": h.GetHeaders(), "host": h.GetHost(),
		"from": a.GetSource().GetAddress().GetSocketAddress().GetAddress(), "who": a.GetSource().GetPrincipal(),
		"to":     a.GetDestination().GetAddress().GetSocketAddress().GetAddress(),
		"port":   a.GetDestination().GetAddress().GetSocketAddress().GetPortValue(),
		"more":   a.GetContextExtensions(),
		"server": a.GetTlsSession().GetSni(),
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

// serveAuthz is an external authorization service at the address.
func serveAuthz(address string) error {
	listener, err := listenOn(address)
	if err != nil {
		return err
	}
	g := grpc.NewServer()
	authz.RegisterAuthorizationServer(g, judge{})
	fmt.Printf("{\"ready\": true, \"authz\": %q}\n", listener.Addr().String())
	go func() { log.Fatal(g.Serve(listener)) }()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
