/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler as a list of steps, and what its steps share. */
#include "mt_audit.h"
#include "mt_conf_credentials_priv.h"
#include "mt_conf_forward_priv.h"
#include "mt_conf_holders_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_telemetry_priv.h"
#include "mt_conf_unmatched_priv.h"
#include "mt_meant.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

uint64_t mt_conf_memory = 2ull << 30;

/* What is wrong is told of one object, and costs no other; a discovery service's is left out by its own name. */
static void report(struct mt_build *b, enum mt_diag_severity severity, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *remedy, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (severity == MT_DIAG_ERROR && !b->mesh && meta && meta->serial &&
		mt_idmap_put(&b->wrong, meta->serial, (void *)meta))
		b->tmp.failed = true;
	if (b->mesh)
		mt_diag_resource(b->diags, severity == MT_DIAG_ERROR ? MT_DIAG_LEFT_OUT : severity,
			b->mesh, path, remedy, "%s", text);
	else if (meta)
		mt_diag_object(b->diags, severity, meta, line, path, remedy, "%s", text);
	else
		mt_diag_add(b->diags, severity, (struct mt_origin){0}, path, remedy, "%s", text);
}

void mt_b_error(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, MT_DIAG_ERROR, meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

bool mt_b_is_wrong(const struct mt_build *b, const struct mt_meta *meta)
{
	return meta->serial && mt_idmap_get(&b->wrong, meta->serial);
}

void mt_b_node_error(struct mt_build *b, uint32_t line, const char *path, const char *remedy,
	const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, MT_DIAG_ERROR, &b->model->node->meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_b_warn(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, MT_DIAG_WARNING, meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_b_dispute(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, MT_DIAG_DISPUTED, meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_b_note(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, MT_DIAG_NOTE, meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_b_unusable(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, bool file, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, file ? MT_DIAG_UNREADABLE : MT_DIAG_ABSENT, meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_b_verdict(struct mt_build *b, enum mt_diag_severity severity, const struct mt_meta *meta,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, severity, meta, meta->origin.line, NULL, remedy, fmt, ap);
	va_end(ap);
}

void mt_b_closed(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, MT_DIAG_CLOSED, meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_b_inert(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, MT_DIAG_INERT, meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_b_unused(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, MT_DIAG_UNUSED, meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_b_shadowed(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(b, MT_DIAG_SHADOWED, meta, line, path, remedy, fmt, ap);
	va_end(ap);
}

static char *lower(struct mt_region *r, const char *s)
{
	char *l = mt_region_strdup(r, s);

	for (char *p = l; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return l;
}

/* Never NULL: the region remembers that it failed, and the build ends with -ENOMEM. */
char *mt_b_lower(struct mt_build *b, const char *s)
{
	static char none[1];
	char *l = lower(&b->tmp, s);

	return l ? l : none;
}

char *mt_b_keep(struct mt_build *b, const char *s)
{
	static char none[1];
	char *k = s ? mt_region_strdup(b->keep, s) : NULL;

	return k ? k : none;
}

const char *mt_b_file(struct mt_build *b, const char *file)
{
	char *kept;

	if (!file)
		return NULL;
	/* What outlives this snapshot keeps names of its own; most often it is the one before again. */
	if (b->keep != &b->snap->region) {
		if (b->last_file.kept_in != b->keep || strcmp(b->last_file.kept, file) != 0) {
			b->last_file.kept = mt_b_keep(b, file);
			b->last_file.kept_in = b->keep;
		}
		return b->last_file.kept;
	}
	kept = mt_strmap_get(&b->files, file);
	if (kept)
		return kept;
	kept = mt_b_keep(b, file);
	mt_strmap_put(&b->files, file, kept, NULL);
	return kept;
}

static const struct mt_meta *find_host(const void *hosts, const char *name)
{
	const struct mt_host *h = mt_strmap_get(hosts, name);

	return h ? &h->se->meta : NULL;
}

struct mt_host *mt_b_host(const struct mt_build *b, const char *host, const char *ns)
{
	char full[MT_MEANT_HOST];
	const char *name = mt_meant_host(b->model, host, ns, find_host, &b->hosts, full);

	return name ? mt_strmap_get(&b->hosts, name) : NULL;
}

bool mt_b_means_long(
	const struct mt_build *b, const char *word, const char *ns, char full[MT_MEANT_HOST])
{
	return mt_meant_host(b->model, word, ns, find_host, &b->hosts, full) == full;
}

bool mt_b_means_only_long(const struct mt_build *b, const char *word, const char *ns)
{
	char full[MT_MEANT_HOST];
	const struct mt_host *h =
		mt_b_means_long(b, word, ns, full) ? mt_strmap_get(&b->hosts, full) : NULL;

	return h &&
	       (strcmp(h->se->meta.ns, ns) == 0 || !mt_model_is_limited(b->model, &h->se->meta));
}

#define NEAR_MAX 100

const char *mt_b_host_remedy(struct mt_build *b, const char *host)
{
	struct mt_suggest near = {.word = host};
	const struct mt_host *other = mt_strmap_get(&b->hosts, host);
	const char *key, *remedy = NULL;
	uint32_t pos = 0;

	/* A short name that mt_b_host() does not take for the host of another namespace. */
	if (other) {
		remedy = mt_region_printf(&b->tmp,
			"%s %.64s/%.64s has it, in a source with `namespaces`: give that host two "
			"dots, or write a service of this namespace",
			other->se->meta.kind, other->se->meta.ns, other->se->meta.name);
		return remedy ? remedy : "";
	}

	/* Thousands of hosts are not compared with thousands of words, be they mistakes or what is not here. */
	if (b->n_near++ < NEAR_MAX)
		while (mt_strmap_next(&b->hosts, &pos, &key))
			mt_suggest_offer(&near, key);
	if (near.best)
		remedy = mt_region_printf(&b->tmp, "did you mean %s?", near.best);
	return remedy ? remedy : "add a ServiceEntry with this host";
}

static void build_fini(struct mt_build *b)
{
	mt_b_work_fini(b);
	mt_idmap_fini(&b->exports);
	mt_b_policies_fini(b);
	mt_strmap_fini(&b->inbound_by_ns);
	mt_strmap_fini(&b->callouts);
	mt_strmap_fini(&b->client_targets);
	mt_fair_fini(&b->client_shares);
	mt_strmap_fini(&b->protocols);
	mt_strmap_fini(&b->hosts);
	mt_strmap_fini(&b->gateways);
	mt_idmap_fini(&b->subsets);
	mt_idmap_fini(&b->ports);
	mt_strmap_fini(&b->clusters);
	mt_strmap_fini(&b->growths);
	mt_strmap_fini(&b->listens);
	mt_strmap_fini(&b->keys);
	mt_strmap_fini(&b->files);
	mt_strmap_fini(&b->lost);
	mt_strmap_fini(&b->closers);
	mt_strmap_fini(&b->forwards);
	mt_strmap_fini(&b->forward_owners);
	mt_fair_fini(&b->range_shares);
	mt_fair_fini(&b->vip_shares);
	mt_fair_fini(&b->forward_shares);
	mt_idmap_fini(&b->explicit_addrs);
	mt_idmap_fini(&b->holders);
	mt_idmap_fini(&b->namers);
	mt_idmap_fini(&b->mesh_places);
	mt_idmap_fini(&b->resolved);
	mt_idmap_fini(&b->wrong);
	mt_idmap_fini(&b->secrets);
	mt_idmap_fini(&b->bad_secrets);
	mt_b_log_sets_fini(b->logs);
	mt_strmap_fini(&b->metrics_of);
	mt_idmap_fini(&b->metric_values);
	mt_b_tracing_fini(b);
	mt_region_fini(&b->tmp);
}

typedef void step_fn(struct mt_build *b);

/* Each step uses what those before it found; all of them only add to `diags`. */
static step_fn *const steps[] = {
	mt_b_protocols,
	mt_b_index,
	mt_b_node,
	mt_b_access_log,
	mt_b_bound_check,
	mt_b_dns_check,
	mt_b_units,
	mt_b_index_routes,
	mt_b_client_limits,
	mt_b_instances,
	mt_b_bound_owners,
	mt_b_guests,
	mt_b_forward_routes,
	mt_b_policies_index,
	mt_b_inbound,
	mt_b_work,
	mt_b_held_hosts,
	mt_b_policies,
	mt_b_meshed,
	mt_b_clusters,
	mt_b_log_collectors,
	mt_b_topology,
	mt_b_check,
	mt_b_listeners,
	mt_b_forwards,
	mt_b_tls_names,
	mt_b_gateways,
	mt_b_binds,
	mt_b_tell_unnamed_calls,
};

/* Documents are whole; what discovery services say comes behind it. */
static int finish(struct mt_build *b)
{
	struct mt_snapshot *s = &b->snap->pub;
	int rc;

	s->clusters = b->clusters_v;
	s->n_clusters = b->n_clusters;
	rc = mt_b_mesh(b);
	if (rc == 0)
		rc = mt_b_services_finish(b);
	if (rc == 0)
		rc = mt_b_forward_set(b);
	if (rc == 0)
		rc = mt_b_listeners_finish(b);
	if (rc == 0) {
		mt_b_log_keys(b);
		mt_b_log_sieve(b);
	}
	mt_b_tracing_tell(b);
	if (rc == 0)
		rc = mt_b_mesh_policies(b);
	mt_b_policies_tell(b);
	mt_b_providers_tell(b);
	mt_b_audit(b);
	mt_b_secrets_tell(b);
	if (rc == 0)
		rc = mt_b_closers_finish(b);
	if (rc == 0) {
		mt_b_closed_listeners(b);
		mt_b_drained_listeners(b);
	}
	if (rc == 0) {
		mt_b_bound(b);
		mt_b_places(b);
		mt_b_work_keep(b);
		mt_b_callers(b);
	}
	return rc;
}

static bool has_memory(const struct mt_build *b)
{
	return !b->tmp.failed && !b->snap->region.failed;
}

static int run(struct mt_build *b)
{
	int rc;

	for (size_t i = 0; i < MT_ARRAY_LEN(steps) && !b->work.over && has_memory(b); i++)
		steps[i](b);
	/* Routes are compiled only when everything that they refer to is sound. */
	if (!has_memory(b))
		return -ENOMEM;
	if (b->diags->errors != b->errors)
		return -EINVAL;
	rc = mt_b_document_services(b);
	if (rc == 0 && b->diags->errors != b->errors)
		rc = -EINVAL;
	if (!has_memory(b))
		rc = -ENOMEM;
	if (rc == 0)
		rc = finish(b);
	if (rc == 0)
		rc = mt_b_dns_table(b);
	if (!has_memory(b))
		rc = -ENOMEM;
	return rc;
}

/*
 * Reports the namespaces that took most memory instead of all other messages, which may be wrong,
 * because the build found nothing where it had no memory. *again: services were closed.
 */
static int without_memory(struct mt_build *b, const struct mt_diags *mark, bool *again)
{
	enum mt_memory_verdict verdict;
	const char *ns;
	uint64_t bytes;

	mt_diags_rewind(b->diags, mark);
	verdict = mt_b_settle_memory(b);
	if (verdict == MT_MEMORY_REFUSED)
		return -EINVAL;
	*again = verdict == MT_MEMORY_CLOSED;
	ns = mt_b_most_memory(b, &bytes);
	if (*again)
		mt_diags_rewind(b->diags, mark);
	else if (*ns)
		mt_diag_add(b->diags, MT_DIAG_ERROR, (struct mt_origin){0}, NULL, NULL,
			"no memory to compile the configuration: namespace \"%.253s\" took most, "
			"%llu MiB",
			ns, (unsigned long long)bytes >> 20);
	else
		mt_diag_add(b->diags, MT_DIAG_ERROR, (struct mt_origin){0}, NULL, NULL,
			"no memory to compile the configuration");
	return -ENOMEM;
}

static void set_sizes(struct mt_conf *c, struct mt_snapshot *s)
{
	s->max_cluster_index = mt_upstream_cluster_indexes(c->upstreams);
	s->max_ep_index = mt_upstream_ep_indexes(c->upstreams);
	s->max_service_index = c->services.next;
	s->arena = s;
}

static void node_defaults(struct mt_build *b, struct mt_snapshot *s)
{
	const struct mt_node *n = b->model->node;

	if (!n || !n->defaults.timeout.set)
		return;
	s->timeout_ms = n->defaults.timeout.v;
	s->timeout_line = n->defaults.timeout.line;
	s->timeout_file = mt_region_strdup(b->keep, n->meta.origin.file);
}

/* NULL with *again set: compile again. */
static struct mt_snapshot *compile(struct mt_conf *c, const struct mt_model *m,
	struct mt_diags *diags, uint64_t now, bool *again)
{
	const struct mt_diags mark = *diags;
	struct mt_build b = {.conf = c,
		.model = m,
		.diags = diags,
		.errors = diags->errors,
		.now = now,
		.codecs = c->codecs};
	size_t holds = (size_t)MT_MAX(c->o.workers, 1) * MT_CACHE_LINE;
	int rc;

	*again = false;
	mt_region_init(&b.tmp, mt_conf_memory);
	b.snap = calloc(1, sizeof(*b.snap));
	if (!b.snap)
		return NULL;
	mt_region_init(&b.snap->region, mt_conf_memory);
	b.keep = &b.snap->region;
	b.snap->codecs = mt_codec_registry_hold(c->codecs);
	if (c->audit)
		c->audit->n_rows = c->audit->n_gates = 0;
	node_defaults(&b, &b.snap->pub);
	b.snap->pub.holds = aligned_alloc(MT_CACHE_LINE, holds);
	if (b.snap->pub.holds)
		memset(b.snap->pub.holds, 0, holds);
	mt_credentials_begin(c);
	b.snap->credentials = c->credentials.turn;
	b.snap->identity_serial = c->identity_serial;
	mt_conf_tokens_begin(&c->tokens);
	mt_conf_providers_begin(&c->providers);
	rc = b.snap->pub.holds ? run(&b) : -ENOMEM;
	if (rc == -ENOMEM)
		rc = without_memory(&b, &mark, again);
	else if (rc == 0)
		c->memory.builds = 0;
	mt_credentials_end(c);
	mt_conf_tokens_end(&c->tokens, rc != 0);
	mt_conf_providers_end(&c->providers, rc != 0);
	if (rc) {
		mt_snap_free(c, b.snap, now);
		b.snap = NULL;
	}
	if (rc && !*again && diags->errors == b.errors)
		mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){0}, NULL, NULL,
			"cannot be compiled: %s", strerror(-rc));
	if (b.snap)
		mt_b_remember_checked(&b);
	build_fini(&b);
	if (b.snap)
		set_sizes(c, &b.snap->pub);
	return b.snap ? &b.snap->pub : NULL;
}

struct mt_snapshot *mt_conf_compile(
	struct mt_conf *c, const struct mt_model *m, struct mt_diags *diags, uint64_t now)
{
	struct mt_snapshot *s;
	bool again = false;

	do
		s = compile(c, m, diags, now, &again);
	while (again);
	return s;
}
