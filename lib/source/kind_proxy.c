/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telemetry and ProxyConfig: settings of the proxies that they select, of which this node may be
 * one. Warns about settings that the node does not follow, but not about those that request
 * nothing, such as a disabled log.
 */
#include "mt_fields.h"
#include "mt_istio_metrics.h"

#include <string.h>
#include <strings.h>

static const struct mt_field selector_fields[] = {
	{"matchLabels", MT_F_LABELS, AT(struct mt_selector, labels), .length = MT_LABEL_TEXT,
		.help = "labels that must all be among the Node's metadata.labels"},
};

static const struct mt_section selector_section = {"selector", sizeof(struct mt_selector),
	MT_ARRAY_LEN(selector_fields), .fields = selector_fields};

static const struct mt_field target_fields[] = {
	{"group", MT_F_SKIP, .quiet = true, .help = "the kind is enough"},
	{"kind", MT_F_TEXT, AT(struct mt_policy_target, kind), .required = true,
		.help = "`Gateway` of Gateway API; no other proxies are here"},
	{"name", MT_F_TEXT, AT(struct mt_policy_target, name), .required = true,
		.help = "its name in the object's namespace"},
	{"namespace", MT_F_SKIP, .help = "the object's namespace is used"},
};

static const struct mt_section target_section = {"target", sizeof(struct mt_policy_target),
	MT_ARRAY_LEN(target_fields), .fields = target_fields};

static bool is_true(const struct mt_ynode *n, const char *key)
{
	const struct mt_ynode *word = mt_yaml_get(n, key);

	return word && word->type == MT_Y_SCALAR && strcmp(word->text, "true") == 0;
}

static void read_sampling(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)mt_read_decimal(c, n, 0, 100, &((struct mt_telemetry_trace *)obj)->sampling);
}

static void read_tags(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	mt_read_custom_tags(c, n, &((struct mt_telemetry_trace *)obj)->tags);
}

/* Without `true` the last setting requests nothing. */
static void check_tracing(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_telemetry_trace *t = obj;

	if (t->n_providers > 1)
		mt_f_note(c, t->providers[1].origin.line, NULL,
			"accepted, not enforced: spans are sent to the first provider only");
	if (is_true(n, "useRequestIdForTraceSampling"))
		mt_f_note(c, n->line, NULL,
			"accepted, not enforced: a request id does not decide about traces "
			"(useRequestIdForTraceSampling)");
}

/* Accepts the provider Prometheus without a note, because Meltemi always has its metrics. */
static void check_metrics(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_telemetry_metrics *s = obj;

	for (uint32_t i = 0; i < s->n_providers; i++)
		if (s->providers[i].name.s &&
			strcasecmp(s->providers[i].name.s, MT_ISTIO_PROVIDER) != 0)
			mt_f_note(c, s->providers[i].origin.line, NULL,
				"accepted, not enforced: metrics are scraped, or sent to the "
				"collector that the Node names");
}

static const struct mt_field log_provider_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_telemetry_provider, name), .required = true,
		.help = "of the MeshConfig's `extensionProviders` of access logs, or `envoy`; "
			"without "
			"regard to case"},
};

static const struct mt_section log_provider_section = {"provider",
	sizeof(struct mt_telemetry_provider), MT_ARRAY_LEN(log_provider_fields),
	.fields = log_provider_fields};

/* Sections of an object, and providers of a section; a node has as many outputs. */
#define MOST_LOGS 16
/* Overrides of a section: two for each of Istio's metrics, and more. */
#define MOST_OVERRIDES 64

static const char *const modes[] = {"CLIENT_AND_SERVER", "CLIENT", "SERVER", NULL};

static const struct mt_field log_match_fields[] = {
	{"mode", MT_F_WORD, AT(struct mt_telemetry_match, mode), .words = modes,
		.help = "all calls here are of clients, so a section with `SERVER` has no effect; "
			"default: CLIENT_AND_SERVER"},
};

static const struct mt_section log_match_section = {"match", sizeof(struct mt_telemetry_match),
	MT_ARRAY_LEN(log_match_fields), .fields = log_match_fields};

static const struct mt_field log_filter_fields[] = {
	{"expression", MT_F_TEXT, AT(struct mt_telemetry_filter, expression),
		.help = "in CEL: only calls for which it is true leave a line "
			"([filters](../how-to/access-logs.md#filters))"},
};

static const struct mt_section log_filter_section = {"filter", sizeof(struct mt_telemetry_filter),
	MT_ARRAY_LEN(log_filter_fields), .fields = log_filter_fields};

static const struct mt_field log_fields[] = {
	{"match", MT_F_OBJECT, AT(struct mt_telemetry_log, match), .sub = &log_match_section,
		.help = "calls that the section is about"},
	{"providers", MT_F_LIST, AT_LIST(struct mt_telemetry_log, providers),
		.sub = &log_provider_section, .max = MOST_LOGS,
		.help = "logs that the section is about; default: those of the section before, "
			"then the MeshConfig's"},
	{"disabled", MT_F_BOOL, AT(struct mt_telemetry_log, disabled),
		.help = "true: calls leave no line in these logs"},
	{"filter", MT_F_OBJECT, AT(struct mt_telemetry_log, filter), .sub = &log_filter_section,
		.help = "calls that leave a line"},
};

static const struct mt_field trace_provider_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_telemetry_provider, name), .required = true,
		.help = "of the MeshConfig's `extensionProviders` with `opentelemetry`; without "
			"regard to case"},
};

static const struct mt_section trace_provider_section = {"provider",
	sizeof(struct mt_telemetry_provider), MT_ARRAY_LEN(trace_provider_fields),
	.fields = trace_provider_fields};

static const struct mt_field trace_match_fields[] = {
	{"mode", MT_F_WORD, AT(struct mt_telemetry_match, mode), .words = modes,
		.help = "all calls here are of clients, so a section with `SERVER` has no effect; "
			"default: CLIENT_AND_SERVER"},
};

static const struct mt_section trace_match_section = {"match", sizeof(struct mt_telemetry_match),
	MT_ARRAY_LEN(trace_match_fields), .fields = trace_match_fields};

static const struct mt_field tracing_fields[] = {
	{"match", MT_F_OBJECT, AT(struct mt_telemetry_trace, match), .sub = &trace_match_section,
		.help = "calls that the section is about"},
	{"providers", MT_F_LIST, AT_LIST(struct mt_telemetry_trace, providers),
		.sub = &trace_provider_section, .max = MOST_LOGS,
		.help = "where spans are sent: the first; default: that of the section before, "
			"then "
			"the MeshConfig's"},
	{"randomSamplingPercentage", MT_F_CUSTOM, .custom = read_sampling,
		.help = "of calls without a context that get a trace, in steps of 0.01; default: "
			"1"},
	{"disableSpanReporting", MT_F_BOOL, AT(struct mt_telemetry_trace, no_spans),
		.help = "true: no spans are sent, but calls get contexts"},
	{"disableContextPropagation", MT_F_BOOL, AT(struct mt_telemetry_trace, no_context),
		.help = "true: servers get the client's context, and none of Meltemi's"},
	{"customTags", MT_F_CUSTOM, .custom = read_tags, .sub = &mt_sec_custom_tag,
		.help = "tags of spans by name, at most 32; they replace all of the objects before "
			"and of the MeshConfig"},
	{"enableIstioTags", MT_F_BOOL, AT(struct mt_telemetry_trace, istio_tags),
		.help = "false: spans have no tags of Istio; default: true"},
	{"useRequestIdForTraceSampling", MT_F_SKIP, .quiet = true,
		.help = "a request id does not decide about traces; `true` gets a note"},
};

/* As enum mt_istio_metric + 1; those of gRPC have no series here. */
static const char *const metrics[] = {"ALL_METRICS", "REQUEST_COUNT", "REQUEST_DURATION",
	"REQUEST_SIZE", "RESPONSE_SIZE", "TCP_RECEIVED_BYTES", "TCP_SENT_BYTES",
	"TCP_OPENED_CONNECTIONS", "TCP_CLOSED_CONNECTIONS", "GRPC_REQUEST_MESSAGES",
	"GRPC_RESPONSE_MESSAGES", NULL};

static const struct mt_field metric_match_fields[] = {
	{"metric", MT_F_WORD, AT(struct mt_telemetry_metric_match, metric), .words = metrics,
		.help = "one of Istio's metrics; default: ALL_METRICS"},
	{"customMetric", MT_F_TEXT, AT(struct mt_telemetry_metric_match, custom),
		.status = MT_S_LATER, .instead = "Meltemi has Istio's standard metrics only",
		.help = "another metric"},
	{"mode", MT_F_WORD, AT(struct mt_telemetry_metric_match, mode), .words = modes,
		.help = "`CLIENT`: series with `reporter=\"source\"`, `SERVER`: with "
			"`destination`; default: CLIENT_AND_SERVER"},
};

static const struct mt_section metric_match_section = {"match",
	sizeof(struct mt_telemetry_metric_match), MT_ARRAY_LEN(metric_match_fields),
	.fields = metric_match_fields};

static const struct mt_field override_fields[] = {
	{"match", MT_F_OBJECT, AT(struct mt_telemetry_override, match),
		.sub = &metric_match_section, .help = "metrics that the override is about"},
	{"disabled", MT_F_BOOL, AT(struct mt_telemetry_override, disabled),
		.help = "true: services have no series of these metrics; false: they have them "
			"again"},
	{"tagOverrides", MT_F_CUSTOM, .custom = mt_read_tag_overrides, .sub = &mt_sec_tag_override,
		.help = "[changes of labels](telemetry.md#change-labels) of these metrics by name, "
			"at most 32"},
};

static const struct mt_section override_section = {"override", sizeof(struct mt_telemetry_override),
	MT_ARRAY_LEN(override_fields), .fields = override_fields};

static const struct mt_field metric_provider_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_telemetry_provider, name), .required = true,
		.help = "`prometheus`, which is always on; others get a note"},
};

static const struct mt_section metric_provider_section = {"provider",
	sizeof(struct mt_telemetry_provider), MT_ARRAY_LEN(metric_provider_fields),
	.fields = metric_provider_fields};

static const struct mt_field metrics_fields[] = {
	{"providers", MT_F_LIST, AT_LIST(struct mt_telemetry_metrics, providers),
		.sub = &metric_provider_section, .max = MOST_LOGS,
		.help = "the section is about metrics if it names `prometheus`; default: the "
			"providers of the section before, then `prometheus`"},
	{"overrides", MT_F_LIST, AT_LIST(struct mt_telemetry_metrics, overrides),
		.sub = &override_section, .max = MOST_OVERRIDES,
		.help = "metrics that are turned off or on again"},
	{"reportingInterval", MT_F_LATER, .help = "metrics are current at each scrape"},
};

static const struct mt_section log_section = {"accessLogging", sizeof(struct mt_telemetry_log),
	MT_ARRAY_LEN(log_fields), .fields = log_fields};
static const struct mt_section tracing_section = {"tracing", sizeof(struct mt_telemetry_trace),
	MT_ARRAY_LEN(tracing_fields), .fields = tracing_fields, .after = check_tracing};
static const struct mt_section metrics_section = {"metrics", sizeof(struct mt_telemetry_metrics),
	MT_ARRAY_LEN(metrics_fields), .fields = metrics_fields, .after = check_metrics};

#define SELECTOR                                                                                   \
	{                                                                                          \
		"selector", MT_F_POINTER, AT(struct mt_proxy_setting, selector),                   \
			.sub = &selector_section,                                                  \
			.help = "proxies that the settings apply to; none: all of the namespace, " \
				"or of the mesh"                                                   \
	}

static const struct mt_field telemetry_fields[] = {
	SELECTOR,
	{"targetRef", MT_F_POINTER, AT(struct mt_proxy_setting, target), .sub = &target_section,
		.help = "the older form of `targetRefs`"},
	{"targetRefs", MT_F_LIST, AT_LIST(struct mt_proxy_setting, targets), .sub = &target_section,
		.help = "Gateways that the settings apply to"},
	{"accessLogging", MT_F_LIST, AT_LIST(struct mt_proxy_setting, logs), .sub = &log_section,
		.max = MOST_LOGS,
		.help = "[access logs](../how-to/access-logs.md#telemetry): which of the "
			"MeshConfig's get lines"},
	{"tracing", MT_F_LIST, AT_LIST(struct mt_proxy_setting, traces), .sub = &tracing_section,
		.max = MOST_LOGS, .help = "[traces](../how-to/traces.md): which calls have spans"},
	{"metrics", MT_F_LIST, AT_LIST(struct mt_proxy_setting, metrics), .sub = &metrics_section,
		.max = MOST_LOGS,
		.help = "[Istio's metrics](telemetry.md#istios-metrics): which of them services "
			"have"},
};

const struct mt_section mt_sec_telemetry = {"Telemetry", sizeof(struct mt_proxy_setting),
	MT_ARRAY_LEN(telemetry_fields), .fields = telemetry_fields};

static const struct mt_field config_fields[] = {
	SELECTOR,
	{"concurrency", MT_F_LATER, .help = "the Node sets the number of threads"},
	{"environmentVariables", MT_F_LATER, .help = "Meltemi reads no variables of proxies"},
	{"image", MT_F_SKIP, .help = "for containers that Istio starts"},
};

const struct mt_section mt_sec_proxy_config = {"ProxyConfig", sizeof(struct mt_proxy_setting),
	MT_ARRAY_LEN(config_fields), .fields = config_fields};
