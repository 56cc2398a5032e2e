/* SPDX-License-Identifier: Apache-2.0 */
/* The table of kinds. */
#include "mt_fields.h"

#include <string.h>

static const char *const istio_versions[] = {"v1", "v1beta1", "v1alpha3", NULL};
static const char *const security_versions[] = {"v1", "v1beta1", NULL};
static const char *const alpha_versions[] = {"v1alpha1", NULL};
static const char *const node_versions[] = {"v1", NULL};
static const char *const core_versions[] = {"v1", NULL};
static const char *const gateway_versions[] = {"v1", "v1beta1", "v1alpha2", NULL};
static const char *const route_versions[] = {"v1", "v1alpha3", "v1alpha2", NULL};
static const char *const slice_versions[] = {"v1", "v1beta1", NULL};

#define GATEWAY_API  "gateway.networking.k8s.io"
#define LIST(member) offsetof(struct mt_model, member)
#define CODEC_NOTE                                                                                 \
	"A protocol as data, in a directory of the Node's `codecs`. [Codec "                       \
	"files](../protocols/codec-files.md) has its fields."

const struct mt_kind mt_kinds[] = {
	{"Node", "meltemi.io", node_versions, &mt_sec_node, sizeof(struct mt_node), .list = 0,
		.note = "The node's own settings; one document."},
	{"ServiceEntry", "networking.istio.io", istio_versions, &mt_sec_service_entry,
		sizeof(struct mt_service_entry), .list = LIST(service_entries),
		.note = "A service: names, addresses, ports and endpoints. Without "
			"`spec.addresses` "
			"those in `status.addresses` are used, which istiod assigns.",
		.status = mt_service_status},
	{"WorkloadEntry", "networking.istio.io", istio_versions, &mt_sec_workload,
		sizeof(struct mt_workload_entry), offsetof(struct mt_workload_entry, w),
		LIST(workload_entries),
		.note = "One endpoint, selected by a ServiceEntry's workloadSelector. With the "
			"annotation `proxy.istio.io/health-checks-enabled: \"true\"` it gets no "
			"new "
			"calls while its status has a condition `Healthy` that is not `True`.",
		.status = mt_workload_entry_status, .complete = mt_workload_entry_complete},
	{"DestinationRule", "networking.istio.io", istio_versions, &mt_sec_destination_rule,
		sizeof(struct mt_destination_rule), .list = LIST(destination_rules),
		.note = "Subsets of a service, and how its endpoints are called. A policy applies "
			"to the host, "
			"a subset, a port, or a port of a subset. A member of a subset's policy "
			"replaces the "
			"host's; a port of the host replaces the host's whole policy there."},
	{"VirtualService", "networking.istio.io", istio_versions, &mt_sec_virtual_service,
		sizeof(struct mt_virtual_service), .list = LIST(virtual_services),
		.note = "Routes of a service. In addition to `http` and `tcp`, a list may have the "
			"name of a protocol "
			"(`dubbo`, `thrift`, `awesomeRPC`); it is used before `http`."},
	{"Gateway", "networking.istio.io", istio_versions, &mt_sec_gateway,
		sizeof(struct mt_gateway), .list = LIST(gateways),
		.note = "Ports that the node serves on any of its addresses, for routes that name "
			"the gateway."},
	{"EnvoyFilter", "networking.istio.io", istio_versions, &mt_sec_envoy_filter,
		sizeof(struct mt_envoy_filter), .list = LIST(envoy_filters),
		.note = "Applies to services with clients in its namespace, or in the root "
			"namespace to all. "
			"Of two for one listener the root namespace's is used, then the older one. "
			"Applied are NETWORK_FILTER / REPLACE patches with a MetaProtocolProxy; "
			"others get "
			"a warning, and a patch with a restrictive or unknown filter fails closed. "
			"[Authorization](../how-to/authorization.md)",
		.restricts = mt_restricts_patch, .complete = mt_envoy_filter_complete},
	{"MetaRouter", "metaprotocol.aeraki.io", alpha_versions, &mt_sec_meta_router,
		sizeof(struct mt_meta_router), .list = LIST(meta_routers),
		.note = "Routes, mutations and limits of a MetaProtocol service, used before a "
			"VirtualService of the same host."},
	{"ApplicationProtocol", "metaprotocol.aeraki.io", alpha_versions, &mt_sec_app_protocol,
		sizeof(struct mt_app_protocol), .list = LIST(app_protocols),
		.note = "Names the codec of a protocol. Built-in protocols need none.",
		.cluster = true},
	{"Codec", "meltemi.io", node_versions, &mt_sec_codec, sizeof(struct mt_codec_document),
		.list = LIST(codecs), .note = CODEC_NOTE, .complete = mt_codec_complete,
		.cluster = true},
	{"TrafficPolicy", "meltemi.io", node_versions, &mt_sec_client_policy,
		sizeof(struct mt_client_policy), .list = LIST(client_policies),
		.note = "Limits of calls by their clients. [How "
			"to](../how-to/rate-limits.md#limit-each-client)"},
	{"Service", "", core_versions, &mt_sec_kube_service, sizeof(struct mt_kube_service),
		.list = LIST(services), .kubernetes = true,
		.note = "A service of Kubernetes with the host NAME.NAMESPACE.svc.DOMAIN. The "
			"annotation "
			"`networking.istio.io/exportTo` is used as in a ServiceEntry."},
	{"EndpointSlice", "discovery.k8s.io", slice_versions, &mt_sec_kube_slice,
		sizeof(struct mt_kube_slice), .list = LIST(slices), .kubernetes = true,
		.note = "Endpoints of the Service that its label names."},
	{"Endpoints", "", core_versions, &mt_sec_kube_endpoints, sizeof(struct mt_kube_slice),
		.list = LIST(slices), .kubernetes = true,
		.note = "Endpoints of the Service with its name, if there is no EndpointSlice."},
	{"Pod", "", core_versions, &mt_sec_kube_pod, sizeof(struct mt_kube_pod), .list = LIST(pods),
		.kubernetes = true,
		.note = "Labels and identity of its endpoint, and whether it has a proxy."},
	{"Namespace", "", core_versions, &mt_sec_kube_namespace, sizeof(struct mt_kube_namespace),
		.list = LIST(namespaces), .kubernetes = true, .cluster = true,
		.note = "Its labels are read; each Pod shows itself if it has a proxy."},
	{"ConfigMap", "", core_versions, &mt_sec_config_map, sizeof(struct mt_mesh_config),
		.list = LIST(mesh_configs), .kubernetes = true, .is_ours = mt_is_mesh_config,
		.note = "no MeshConfig: only ConfigMap `istio` with the key `mesh` is read"},
	{"Secret", "", core_versions, &mt_sec_kube_secret, sizeof(struct mt_kube_secret),
		.list = LIST(secrets), .kubernetes = true,
		.note = "Certificates and keys, for fields that name the Secret."},
	{"AuthorizationPolicy", "security.istio.io", security_versions, &mt_sec_authorization,
		sizeof(struct mt_authorization_policy), .list = LIST(authorization_policies),
		.note = "Which callers may make which calls, evaluated in front of endpoints "
			"without a proxy of "
			"their own. [Authorization](../how-to/authorization.md)",
		.restricts = mt_restricts_authorization, .complete = mt_authorization_complete,
		.bare = true},
	{"PeerAuthentication", "security.istio.io", security_versions, &mt_sec_peers,
		sizeof(struct mt_peer_authentication), .list = LIST(peer_authentications),
		.note = "Whether callers of endpoints without a proxy of their own need a "
			"certificate. On a node "
			"with neither an identity nor a port of `side: workloads`, `STRICT` fails "
			"closed.",
		.restricts = mt_restricts_peers, .bare = true},
	{"RequestAuthentication", "security.istio.io", security_versions, &mt_sec_tokens,
		sizeof(struct mt_request_authentication), .list = LIST(request_authentications),
		.note = "Issuers of tokens that calls may carry, and where. A call with an invalid "
			"token is denied; a "
			"call without a token passes.",
		.restricts = mt_restricts_tokens, .complete = mt_tokens_complete, .bare = true},
	{"DubboAuthorizationPolicy", "dubbo.aeraki.io", alpha_versions, &mt_sec_dubbo_authorization,
		sizeof(struct mt_authorization_policy), .list = LIST(authorization_policies),
		.note = "Which callers may make which Dubbo calls in its namespace, evaluated as "
			"an "
			"AuthorizationPolicy; a call must pass both. "
			"[Authorization](../how-to/authorization.md)",
		.restricts = mt_restricts_authorization, .bare = true},
	{"Gateway", GATEWAY_API, gateway_versions, &mt_sec_gwapi_gateway,
		sizeof(struct mt_gwapi_gateway), .list = LIST(gwapi_gateways), .kubernetes = true,
		.note = "Ports that the node serves, if its label "
			"`gateway.networking.k8s.io/gateway-name` is the Gateway's name."},
	{"TCPRoute", GATEWAY_API, route_versions, &mt_sec_gwapi_tcp, sizeof(struct mt_gwapi_route),
		.list = LIST(gwapi_routes), .kubernetes = true,
		.note = "Routes of connections of a Gateway's port, or of a Service's clients."},
	{"TLSRoute", GATEWAY_API, route_versions, &mt_sec_gwapi_tls, sizeof(struct mt_gwapi_route),
		.list = LIST(gwapi_routes), .kubernetes = true,
		.note = "Routes of TLS connections by the server name that clients send."},
	{"ReferenceGrant", GATEWAY_API, gateway_versions, &mt_sec_gwapi_grant,
		sizeof(struct mt_gwapi_grant), .list = LIST(gwapi_grants), .kubernetes = true,
		.note = "Permits objects of another namespace to refer to Services and Secrets of "
			"its own."},
	{"BackendTLSPolicy", GATEWAY_API, route_versions, &mt_sec_gwapi_backend_tls,
		sizeof(struct mt_gwapi_backend_tls), .list = LIST(gwapi_backend_tls),
		.kubernetes = true,
		.note = "Requires TLS to a Service's endpoints; without it they are not called."},
	{"HTTPRoute", GATEWAY_API, gateway_versions, .kubernetes = true,
		.note = "no codec reads HTTP"},
	{"GRPCRoute", GATEWAY_API, gateway_versions, .kubernetes = true,
		.note = "no codec reads gRPC"},
	{"Sidecar", "networking.istio.io", istio_versions,
		.note = "every service of the configuration is served"},
	{"WorkloadGroup", "networking.istio.io", istio_versions,
		.note = "endpoints are WorkloadEntry documents"},
	{"ProxyConfig", "networking.istio.io", istio_versions, &mt_sec_proxy_config,
		sizeof(struct mt_proxy_setting), .list = LIST(proxy_settings),
		.note = "Settings of proxies, which the Node document has here; a warning names "
			"differences."},
	{"Telemetry", "telemetry.istio.io", (const char *const[]){"v1", "v1alpha1", NULL},
		&mt_sec_telemetry, sizeof(struct mt_proxy_setting), .list = LIST(proxy_settings),
		.note = "Logs, traces and metrics of proxies. A note reports settings that "
			"require more."},
	{"WasmPlugin", "extensions.istio.io", alpha_versions,
		.note = "WebAssembly is not run: every plugin fails closed where it would run",
		.restricts = mt_restricts_always},
	{"RedisService", "redis.aeraki.io", alpha_versions,
		.note = "Redis is forwarded as opaque TCP"},
	{"RedisDestination", "redis.aeraki.io", alpha_versions,
		.note = "Redis is forwarded as opaque TCP"},
	{0},
};

const struct mt_kind *mt_kind_find(const char *group, const char *kind)
{
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (strcmp(k->kind, kind) == 0 && strcmp(k->group, group) == 0)
			return k;
	return NULL;
}

bool mt_group_is_known(const char *group, size_t len)
{
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (!k->kubernetes && strncmp(k->group, group, len) == 0 && k->group[len] == '\0')
			return true;
	return false;
}

/*
 * True if the group is missing, or differs by at most two edits. Otherwise an object of it is of a
 * kind of some other software.
 */
static bool is_mistyped(const char *group, const struct mt_kind *k)
{
	const char *end = strrchr(k->group, '.');
	size_t len = end ? (size_t)(end - k->group) + 1 : 0;

	/* metaprotocol.aeraki.net has the names of metaprotocol.aeraki.io but the last. */
	return !*group || mt_edit_distance(group, k->group, 3) <= 2 ||
	       (len && strncmp(group, k->group, len) == 0 && !strchr(group + len, '.'));
}

/* The only kind of this name; NULL: there is none, or several groups have one. */
static const struct mt_kind *only_of_name(const char *kind)
{
	const struct mt_kind *found = NULL;

	for (const struct mt_kind *k = mt_kinds; k->kind; k++) {
		if (strcmp(k->kind, kind) != 0)
			continue;
		if (found)
			return NULL;
		found = k;
	}
	return found;
}

/* True for a group of Kubernetes with kinds that are read. It has no kinds of the mesh. */
static bool is_kubernetes(const char *group)
{
	for (const struct mt_kind *k = mt_kinds; *group && k->kind; k++)
		if (k->kubernetes && strcmp(k->group, group) == 0)
			return true;
	return false;
}

/* The Node decides about all others, so none is guessed by its name or by a misspelled one. */
static const struct mt_kind *unless_node(const struct mt_kind *k)
{
	return k && (k->list || !k->spec) ? k : NULL;
}

const struct mt_kind *mt_kind_of_mistyped(const char *group, const char *kind)
{
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (strcmp(k->kind, kind) == 0 && is_mistyped(group, k))
			return k;
	return is_kubernetes(group) ? unless_node(only_of_name(kind)) : NULL;
}

const struct mt_kind *mt_kind_near(const char *group, const char *kind)
{
	struct mt_suggest near = {.word = kind};
	const struct mt_kind *found = NULL;

	for (const struct mt_kind *k = mt_kinds; k->kind; k++) {
		const char *before = near.best;

		if (*group && strcmp(k->group, group) != 0)
			continue;
		mt_suggest_offer(&near, k->kind);
		found = near.best != before ? k : found;
	}
	/* The group may be the mistake, as in a text that was copied from another kind. */
	return unless_node(found ? found : only_of_name(kind));
}
