/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selects the ports of services to forward at layer 4, and their modes. The Node's `forwarding`
 * comes first, then the annotation of the ServiceEntry or Service, then for ports of UDP `nat`, if
 * the Node has `nat` or `forwarding`. Other ports of TCP are terminated, and so are all those with
 * a codec: what requests a mode for one of these is refused, or reported if the Node requests it.
 */
#include "mt_conf_priv.h"

#include <stdio.h>
#include <string.h>

#define PATH	"metadata.annotations"
#define EXAMPLE "write nat, or PORTNAME=nat,PORTNAME=nat-full"

const struct mt_kv *mt_b_annotation(const struct mt_service_entry *se, const char *key)
{
	const struct mt_labels *l = &se->meta.annotations;

	for (uint32_t i = 0; i < l->n_kv; i++)
		if (strcmp(l->kv[i].key, key) == 0)
			return &l->kv[i];
	return NULL;
}

/* An error of the annotation; the object is refused. */
static void refuse(struct mt_build *b, const struct mt_service_entry *se, const struct mt_kv *kv,
	const char *remedy, const char *fmt, const char *word, const char *more)
{
	char text[256];

	snprintf(text, sizeof(text), fmt, word, more);
	mt_b_error(b, &se->meta, kv->origin.line, PATH, remedy, "%s: %s", kv->key, text);
}

/* MT_FORWARDING_NONE after an error. */
static enum mt_forwarding mode_of(struct mt_build *b, const struct mt_service_entry *se,
	const struct mt_kv *kv, const char *word, size_t len)
{
	enum mt_forwarding mode = mt_forwarding_find(word, len);
	const char *name = mt_region_strndup(&b->tmp, word, MT_MIN(len, 64u));

	if (mode == MT_FORWARDING_NONE) {
		refuse(b, se, kv, MT_FORWARDING_MODES, "\"%s\" is not a mode%s", name ? name : "",
			"");
		return MT_FORWARDING_NONE;
	}
	return mode;
}

static bool port_named(
	const struct mt_service_entry *se, const char *word, size_t len, uint32_t *at)
{
	for (uint32_t i = 0; i < se->n_ports; i++)
		if (strlen(se->ports[i].name.s) == len &&
			strncmp(se->ports[i].name.s, word, len) == 0) {
			*at = i;
			return true;
		}
	return false;
}

/* Reads "PORTNAME=MODE"; false after an error, which ends the reading. */
static bool read_item(struct mt_build *b, const struct mt_service_entry *se, const struct mt_kv *kv,
	const char *item, size_t len, struct mt_forwarding_of *out)
{
	const char *is = memchr(item, '=', len);
	size_t name = is ? (size_t)(is - item) : 0;
	enum mt_forwarding mode;
	uint32_t at;

	if (!is || !name) {
		refuse(b, se, kv, EXAMPLE, "\"%s\" is not like PORTNAME=MODE%s",
			mt_region_strndup(&b->tmp, item, MT_MIN(len, 64u)), "");
		return false;
	}
	if (!port_named(se, item, name, &at)) {
		refuse(b, se, kv, "write the name of one of its ports", "it has no port \"%s\"%s",
			mt_region_strndup(&b->tmp, item, MT_MIN(name, 64u)), "");
		return false;
	}
	mode = mode_of(b, se, kv, is + 1, len - name - 1);
	if (mode && out->ports[at]) {
		refuse(b, se, kv, "keep one of them", "port %s is named twice%s",
			se->ports[at].name.s, "");
		return false;
	}
	out->ports[at] = mode;
	return mode != MT_FORWARDING_NONE;
}

void mt_b_forwarding_read(
	struct mt_build *b, const struct mt_service_entry *se, struct mt_forwarding_of *out)
{
	const struct mt_kv *kv = mt_b_annotation(se, MT_FORWARDING_ANNOTATION);
	bool ok = true;

	*out = (struct mt_forwarding_of){0};
	if (!kv)
		return;
	out->line = kv->origin.line;
	if (!strchr(kv->value, '=') && !strchr(kv->value, ',')) {
		out->all = mode_of(b, se, kv, kv->value, strlen(kv->value));
		return;
	}
	out->ports = mt_region_alloc(&b->tmp, sizeof(*out->ports) * se->n_ports);
	for (const char *p = kv->value; out->ports && ok && *p;) {
		size_t blank = strspn(p, " "), len;

		p += blank;
		len = strcspn(p, ",");
		ok = read_item(b, se, kv, p, len, out);
		p += len + (p[len] == ',');
	}
}

/* ---- the Node ---------------------------------------------------------------------------- */

/*
 * True if `word` of the Node means one of the service's hosts. The Node may name a Service of
 * Kubernetes in any namespace by its short name, and as it is written each host with a dot that is
 * no such Service, or one of another namespace in a source with `namespaces`.
 */
static bool is_host_of(
	const struct mt_build *b, const struct mt_service_entry *se, const char *word)
{
	const char *ns = b->model->node->meta.ns;
	const struct mt_host *h;
	char full[MT_MEANT_HOST];

	if (se->kubernetes &&
		mt_long_name(word, se->meta.ns, mt_model_domain(b->model), full, sizeof(full)))
		for (uint32_t i = 0; i < se->n_hosts; i++)
			if (strcmp(se->hosts[i].s, full) == 0)
				return true;
	h = mt_b_host(b, word, ns);
	if (h && h->se == se)
		return true;
	h = strchr(word, '.') && !mt_b_means_only_long(b, word, ns) ? mt_strmap_get(&b->hosts, word)
								    : NULL;
	return h && h->se == se;
}

const struct mt_node_forwarding *mt_b_forwarding_entry(
	const struct mt_build *b, const struct mt_service_entry *se, const struct mt_se_port *port)
{
	const struct mt_node *n = b->model->node;

	for (uint32_t i = 0; n && i < n->n_forwarding; i++)
		if (n->forwarding[i].port.v == port->number.v &&
			is_host_of(b, se, n->forwarding[i].host.s))
			return &n->forwarding[i];
	return NULL;
}

static void use(struct mt_build *b, const struct mt_node_forwarding *f)
{
	const struct mt_node *n = b->model->node;

	if (!b->forwarding_used)
		b->forwarding_used =
			mt_region_alloc(&b->tmp, sizeof(*b->forwarding_used) * n->n_forwarding);
	if (b->forwarding_used)
		b->forwarding_used[f - n->forwarding] = true;
}

void mt_b_forwarding_unused(struct mt_build *b)
{
	const struct mt_node *n = b->model->node;

	for (uint32_t i = 0; n && i < n->n_forwarding; i++) {
		char path[48];

		if (b->forwarding_used && b->forwarding_used[i])
			continue;
		snprintf(path, sizeof(path), "spec.forwarding[%u]", i);
		mt_b_warn(b, &n->meta, n->forwarding[i].origin.line, path,
			"write the host of a service among the documents, and the number of its "
			"port",
			"no document's service %.128s has a port %u: nothing is forwarded",
			n->forwarding[i].host.s, n->forwarding[i].port.v);
	}
}

/* ---- ports ------------------------------------------------------------------------------- */

static bool node_forwards(const struct mt_build *b)
{
	const struct mt_node *n = b->model->node;

	return n && (n->nat || n->n_forwarding);
}

enum mt_forwarding mt_b_forwarding_udp(struct mt_build *b, const struct mt_service_entry *se,
	const struct mt_forwarding_of *of, uint32_t i)
{
	const struct mt_node_forwarding *f = mt_b_forwarding_entry(b, se, &se->ports[i]);
	char path[MT_INDEX_PATH];

	if (f) {
		use(b, f);
		return (enum mt_forwarding)f->mode.v;
	}
	if (of->ports && of->ports[i])
		return of->ports[i];
	if (of->all)
		return of->all;
	if (node_forwards(b))
		return MT_FORWARDING_NAT;
	/* A refused annotation has its own message. */
	if (!of->line || of->ports)
		mt_b_warn(b, &se->meta, se->ports[i].name.line,
			mt_index_path(path, "spec.ports", i, ".name"),
			"annotate it with " MT_FORWARDING_ANNOTATION
			": nat, or write nat: {} in the Node's spec",
			"UDP is not served: the node forwards only ports that are requested");
	return MT_FORWARDING_NONE;
}

enum mt_forwarding mt_b_forwarding_tcp(struct mt_build *b, const struct mt_service_entry *se,
	const struct mt_forwarding_of *of, uint32_t i)
{
	const struct mt_node_forwarding *f = mt_b_forwarding_entry(b, se, &se->ports[i]);

	if (f) {
		use(b, f);
		return (enum mt_forwarding)f->mode.v;
	}
	return of->ports && of->ports[i] ? of->ports[i] : of->all;
}

/* A terminated port would be open to clients and floods that the Node keeps out: no service. */
static void refuse_restricted(struct mt_build *b, const struct mt_service_entry *se, uint32_t i,
	const struct mt_node_forwarding *f)
{
	char path[MT_INDEX_PATH];

	use(b, f);
	mt_b_error(b, &se->meta, se->ports[i].number.line,
		mt_index_path(path, "spec.ports", i, ".number"),
		"use an AuthorizationPolicy with ipBlocks, or a local rate limit instead",
		"the Node's spec.forwarding has allow, deny or limits for the port, which has a "
		"codec, which layer 4 does not run");
}

void mt_b_forwarding_messages(struct mt_build *b, const struct mt_service_entry *se,
	const struct mt_forwarding_of *of, uint32_t i)
{
	const struct mt_node_forwarding *f = mt_b_forwarding_entry(b, se, &se->ports[i]);
	const struct mt_node *n = b->model->node;
	char path[48];

	if (f && (f->n_allow || f->n_deny || f->limits)) {
		refuse_restricted(b, se, i, f);
	} else if (f) {
		use(b, f);
		snprintf(path, sizeof(path), "spec.forwarding[%u]", (uint32_t)(f - n->forwarding));
		mt_b_warn(b, &n->meta, f->origin.line, path, "remove it",
			"port %u of %.128s has a codec, which layer 4 does not run: it is "
			"terminated",
			f->port.v, f->host.s);
	}
	if (of->ports && of->ports[i])
		mt_b_error(b, &se->meta, of->line, PATH, "remove it: the port is terminated",
			MT_FORWARDING_ANNOTATION
			": port %.64s has a codec, which layer 4 does not run",
			se->ports[i].name.s);
}
