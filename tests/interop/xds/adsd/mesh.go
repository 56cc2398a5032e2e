// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A generated mesh: services that differ in nothing but their names and addresses.
type meshOrder struct {
	Clusters  int `json:"clusters"`
	Endpoints int `json:"endpoints"` // of each cluster
	Listeners int `json:"listeners"` // for the first so many clusters
	First     int `json:"first"`     // number of the first listener's port
	PerSecond int `json:"per_second"`
	Ms        int `json:"ms"`
	Which     int `json:"which"` // churn: only this cluster; -1: one after the other
	Serial    int `json:"serial"`
}

func meshName(i int) string {
	return fmt.Sprintf("outbound|7000||service-%05d.bench.svc.cluster.local", i)
}

func adsSource() *core.ConfigSource {
	return &core.ConfigSource{
		ResourceApiVersion:    core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
	}
}

func meshCluster(i int) types.Resource {
	return &cluster.Cluster{
		Name:                 meshName(i),
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{EdsConfig: adsSource()},
		ConnectTimeout:       durationpb.New(time.Second),
	}
}

func address(text string, port int) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: text, PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// meshEndpoints: serial moves the weight of the first one, so that each serial is another resource.
func meshEndpoints(i, n, serial int) types.Resource {
	all := make([]*endpoint.LbEndpoint, 0, n)
	for j := 0; j < n; j++ {
		k := i*n + j
		weight := uint32(1)
		if j == 0 {
			weight += uint32(serial % 100)
		}
		all = append(all, &endpoint.LbEndpoint{
			HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
				Address: address(fmt.Sprintf("198.18.%d.%d", k/250%250+1, k%250+1), 7000+k/62500),
			}},
			LoadBalancingWeight: wrapperspb.UInt32(weight),
		})
	}
	return &endpoint.ClusterLoadAssignment{
		ClusterName: meshName(i),
		Endpoints: []*endpoint.LocalityLbEndpoints{{
			Locality: &core.Locality{Region: "r1", Zone: "z1"}, LbEndpoints: all, LoadBalancingWeight: wrapperspb.UInt32(uint32(max(n, 1))),
		}},
	}
}

func meshListener(i, first int) (types.Resource, error) {
	filter, err := anypb.New(&tcp.TcpProxy{
		StatPrefix: meshName(i), ClusterSpecifier: &tcp.TcpProxy_Cluster{Cluster: meshName(i)},
	})
	if err != nil {
		return nil, err
	}
	return &listenerv3.Listener{
		Name:             fmt.Sprintf("bench-%05d", i),
		Address:          address("127.0.0.1", first+i),
		TrafficDirection: core.TrafficDirection_OUTBOUND,
		FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
			Name: "envoy.filters.network.tcp_proxy", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: filter},
		}}}},
	}, nil
}

// mesh replaces everything by a generated mesh.
func (c *control) mesh(p *plane, o *order) (any, error) {
	ch := change{clear: true, version: o.Version}
	for i := 0; i < o.Clusters; i++ {
		ch.set = append(ch.set, withTTL(meshCluster(i), 0), withTTL(meshEndpoints(i, o.Endpoints, o.Serial), 0))
	}
	for i := 0; i < o.Listeners; i++ {
		one, err := meshListener(i, o.First)
		if err != nil {
			return nil, err
		}
		ch.set = append(ch.set, withTTL(one, 0))
	}
	version, err := p.apply(ch)
	return map[string]any{"version": version, "resources": len(ch.set)}, err
}

// churn publishes changed endpoints, so many a second for so long, and says how many it managed.
func (c *control) churn(p *plane, o *order) (any, error) {
	if o.PerSecond <= 0 || o.Clusters <= 0 || o.Ms > 600_000 {
		return nil, fmt.Errorf("per_second, clusters and ms are wanted")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(o.Ms)*time.Millisecond)
	defer cancel()
	began, pushes := time.Now(), 0
	for ctx.Err() == nil {
		due := int(time.Since(began).Seconds() * float64(o.PerSecond))
		for ; pushes < due; pushes++ {
			which, serial := o.Which, pushes
			if which < 0 {
				which, serial = pushes%o.Clusters, pushes/o.Clusters
			}
			one := withTTL(meshEndpoints(which, o.Endpoints, o.Serial+serial+1), 0)
			if _, err := p.apply(change{set: []types.ResourceWithTTL{one}}); err != nil {
				return nil, err
			}
		}
		time.Sleep(time.Millisecond)
	}
	return map[string]any{"pushes": pushes, "seconds": time.Since(began).Seconds()}, nil
}
