/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes docs/reference/metrics.md from the tables of counters, families and remedies. A remedy of
 * several counters is written once, below the tables that refer to it.
 */
#include "mt_ctl_metrics_priv.h"

#include <string.h>

#define REMEDIES_MAX 64

/* Remedies of more than one counter, by number. */
struct shared {
	const char *text[REMEDIES_MAX];
	uint32_t n;
};

struct group {
	const char *name, *title, *about;
};

/* The groups of families, in the order of mt_family_tables. */
static const struct group family_groups[] = {
	{NULL, "Calls, as Istio's proxies count them",
		"for dashboards and autoscalers made for Istio or Aeraki"},
	{NULL, "Services, endpoints and routes", "calls, latency and failures of each"},
	{NULL, "Forwarded services", "flows, packets and refusals of each at layer 4"},
	{NULL, "Node", "connections, memory, ports, configuration, readiness, log"},
	{NULL, "Load and drops",
		"share of each limit in use, for alerts before something fails, and packets "
		"dropped by reason"},
	{NULL, "Control planes and policies",
		"streams to discovery servers, their resources, and denials by policy"},
	{NULL, "Identity and TLS", "certificates of the node, and handshakes"},
	{NULL, "Access logs", "lines written and lost"},
};

/* The groups of counters, by the names of their sets. */
static const struct group counter_groups[] = {
	{"port", "Ports", "packets and bytes at the network devices"},
	{"net", "Network", "Ethernet, ARP and neighbour discovery, IP, ICMP and UDP"},
	{"l4", "Forwarding",
		"packets and flows of services that are forwarded without layer-7 work"},
	{"tcp", "TCP", "segments and connections"},
	{"buf", "Buffers", "packet buffers"},
	{"proxy", "Proxy", "connections of clients and servers, calls, opaque TCP, mirrors"},
	{"upstream", "Upstream", "choice and ejection of endpoints"},
	{"filter", "Filters", "rate limits, faults and other filters of calls"},
	{"worker", "Workers", "loop iterations, snapshots and tasks of the workers"},
	{"tls", "TLS", "TLS connections"},
	{"tls_failed", "TLS handshakes that failed", "by reason"},
	{"jwt", "Tokens", "JSON web tokens of calls, and why they were not accepted"},
	{"jwks", "Keys of tokens", "fetches of issuers' keys"},
	{"extauthz", "External authorization", "queries to external authorization services"},
	{"dns", "DNS", "names that the node answers for, and queries to other servers"},
	{"otlp", "OpenTelemetry", "exports to a collector"},
};

/* ---- cells ----------------------------------------------------------------------------------- */

/* Escapes bars, which would end a cell of the table. */
static void cell(struct mt_text_buf *out, const char *text)
{
	for (; *text; text++)
		mt_text_add(out, *text == '|' ? "\\|" : "%c", *text);
	mt_text_add(out, " |");
}

static const char *type_of(enum mt_family_type t)
{
	return t == MT_COUNTER ? "counter" : t == MT_GAUGE ? "gauge" : "histogram";
}

static void write_anchor(struct mt_text_buf *out, const char *title)
{
	for (const char *p = title; *p; p++)
		if (*p == ' ')
			mt_text_add(out, "-");
		else if (*p != ',' && *p != '\'')
			mt_text_add(out, "%c", *p >= 'A' && *p <= 'Z' ? *p + 'a' - 'A' : *p);
}

static const struct group *group_of(const struct mt_outcome_set *set)
{
	static const struct group other = {NULL, "Other counters", "of other libraries"};

	for (size_t i = 0; i < MT_ARRAY_LEN(counter_groups); i++)
		if (strcmp(counter_groups[i].name, set->room) == 0)
			return &counter_groups[i];
	return &other;
}

/* ---- head ------------------------------------------------------------------------------------ */

static void write_group(struct mt_text_buf *out, const struct group *g, const char *names)
{
	mt_text_add(out, "| [%s](#", g->title);
	write_anchor(out, g->title);
	mt_text_add(out, ") | `%s` | %s |\n", names, g->about);
}

static void write_index(struct mt_text_buf *out)
{
	static const char *const names[] = {"istio_*", "meltemi_service_*", "meltemi_forwarding_*",
		"meltemi_*", "meltemi_*_ratio", "meltemi_xds_*", "meltemi_node_*",
		"meltemi_access_log_*"};
	char buf[64];

	mt_text_add(out, "\n## Groups\n\n| group | names | content |\n|---|---|---|\n");
	for (size_t i = 0; i < MT_ARRAY_LEN(family_groups); i++)
		write_group(out, &family_groups[i], names[i]);
	for (size_t i = 0; i < mt_n_ctl_sets; i++) {
		snprintf(buf, sizeof(buf), "meltemi_%s_*", mt_ctl_sets[i]->room);
		write_group(out, group_of(mt_ctl_sets[i]), buf);
	}
}

static void write_head(struct mt_text_buf *out)
{
	mt_text_add(out,
		"# Metrics\n\n"
		"A node exports these metrics to Prometheus at `/metrics` and `/stats/prometheus` "
		"(the same answer), and to an\nOpenTelemetry collector if `spec.otlp` names one. "
		"This page lists every metric with its meaning and, for failures, a remedy.\n"
		"`meltemid --metrics` prints it.\n\n"
		"    curl -s http://ADDRESS:PORT/metrics     # spec.admin.http of the Node has the "
		"address\n"
		"    meltemi show meaning tcp_               # the same text on a node, for "
		"counters\n"
		"    meltemi show errors                     # what failed, and the remedies\n\n"
		"[Telemetry](../how-to/telemetry.md) has the scrape configuration, rules, alerts, "
		"a dashboard and OpenTelemetry.\n\n"
		"## Names\n\n"
		"- Counter `tcp_segments_in` of the shell is metric "
		"`meltemi_tcp_segments_in_total`: "
		"the group's name, then the event. Counters start\n  at 0 with the daemon, are of "
		"the whole node and have no labels. They count events, or bytes if the name ends "
		"with `_bytes_total`.\n"
		"- The unit of other metrics is in their table. Histograms have `_bucket`, `_sum` "
		"and `_count`.\n"
		"- Severity of a failure: `refused`: a local reply, because of a limit, an "
		"overload or a policy; `dropped`: bytes or packets from\n  outside were not used; "
		"`error`: an operator should look at it.\n"
		"- A link `R1` in column \"remedy\" leads to a [remedy](#remedies) of several "
		"counters.\n");
	write_index(out);
}

/* ---- families -------------------------------------------------------------------------------- */

/* Length of the labels, up to a comma, that all families of a table begin with. */
static size_t common_labels(const struct mt_family_row *rows)
{
	size_t n = strlen(rows->labels);

	for (const struct mt_family_row *r = rows; r->name; r++) {
		const char *l = r->labels;

		while (n && (strncmp(l, rows->labels, n) != 0 || (l[n] && l[n] != ',')))
			n--;
	}
	return n;
}

static void write_families(
	struct mt_text_buf *out, const struct group *g, const struct mt_family_row *rows)
{
	size_t common = common_labels(rows);

	mt_text_add(out, "\n## %s\n\n", g->title);
	if (common)
		mt_text_add(out, "Labels of all: `%.*s`; the table has further ones.\n\n",
			(int)common, rows->labels);
	mt_text_add(out, "| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
	for (const struct mt_family_row *r = rows; r->name; r++) {
		const char *labels = r->labels + common;

		labels += strspn(labels, ", ");
		mt_text_add(out, "| `%s` | %s | %s | ", r->name, type_of(r->type), r->unit);
		cell(out, labels);
		mt_text_add(out, " ");
		cell(out, r->help);
		mt_text_add(out, "\n");
	}
}

/* ---- counters -------------------------------------------------------------------------------- */

/* How many counters have this remedy. */
static uint32_t uses(const char *text)
{
	uint32_t n = 0;

	for (size_t s = 0; s < mt_n_ctl_sets; s++)
		for (uint32_t i = 0; i < mt_ctl_sets[s]->n; i++) {
			const char *r =
				mt_remedy(mt_ctl_sets[s]->room, mt_ctl_sets[s]->rows[i].name);

			n += r && strcmp(r, text) == 0;
		}
	return n;
}

/* The remedy itself, or a link to it if several counters have it. */
static void write_remedy(struct mt_text_buf *out, struct shared *s, const char *text)
{
	uint32_t i = 0;

	if (!text || uses(text) < 2) {
		cell(out, text ? text : "");
		return;
	}
	while (i < s->n && strcmp(s->text[i], text) != 0)
		i++;
	if (i == s->n) {
		MT_ASSERT(s->n < REMEDIES_MAX);
		s->text[s->n++] = text;
	}
	mt_text_add(out, "[R%u](#r%u) |", i + 1, i + 1);
}

static void write_counter(struct mt_text_buf *out, struct shared *s,
	const struct mt_outcome_set *set, const struct mt_outcome *o, bool failure)
{
	const char *remedy = mt_remedy(set->room, o->name);

	mt_text_add(out, "| `meltemi_%s_%s_total` | ", set->room, o->name);
	if (failure)
		mt_text_add(out, "%s | ", mt_severity_str(o->severity));
	cell(out, o->words);
	if (failure) {
		mt_text_add(out, " ");
		write_remedy(out, s, remedy);
	}
	mt_text_add(out, "\n");
}

/* True if the counter is in the table of failures: it has a severity, or a remedy. */
static bool is_failure(const struct mt_outcome_set *set, const struct mt_outcome *o)
{
	return o->severity != MT_SEV_INFO || mt_remedy(set->room, o->name);
}

static void write_table(
	struct mt_text_buf *out, struct shared *s, const struct mt_outcome_set *set, bool failures)
{
	bool any = false;

	for (uint32_t i = 0; i < set->n; i++) {
		if (is_failure(set, &set->rows[i]) != failures)
			continue;
		if (!any)
			mt_text_add(out, failures ? "\n| failure | severity | meaning | remedy |\n"
						    "|---|---|---|---|\n"
						  : "\n| normal work | meaning |\n|---|---|\n");
		any = true;
		write_counter(out, s, set, &set->rows[i], failures);
	}
}

void mt_ctl_metrics_page(struct mt_text_buf *out)
{
	struct shared s = {.n = 0};

	write_head(out);
	for (uint32_t t = 0; mt_family_tables[t]; t++)
		write_families(out, &family_groups[t], mt_family_tables[t]);
	for (size_t i = 0; i < mt_n_ctl_sets; i++) {
		mt_text_add(out, "\n## %s\n", group_of(mt_ctl_sets[i])->title);
		write_table(out, &s, mt_ctl_sets[i], true);
		write_table(out, &s, mt_ctl_sets[i], false);
	}
	mt_text_add(out, "\n## Remedies\n\n| | remedy |\n|---|---|\n");
	for (uint32_t i = 0; i < s.n; i++) {
		mt_text_add(out, "| <a id=\"r%u\"></a>R%u | ", i + 1, i + 1);
		cell(out, s.text[i]);
		mt_text_add(out, "\n");
	}
}
