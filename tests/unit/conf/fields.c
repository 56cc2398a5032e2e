/* SPDX-License-Identifier: Apache-2.0 */
#include "fields.h"
#include "../tls/pki.h"
#include "conf_texts.h"
#include "mt_authz.h"
#include "mt_tls_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- files and Secrets, for TLS ------------------------------------------------------------- */

static char dir[] = "/tmp/mt_conf_fields_XXXXXX";
static char *pems[6];
static const char *const pem_names[] = {"chain", "chain2", "key", "roots", "roots2", "crl"};
enum { CHAIN, CHAIN2, KEY, ROOTS, ROOTS2, CRL };

static void prepare(void)
{
	const struct pki_how how = {.san = "DNS:x.y"};
	struct pki_node n = pki_make(&pki()->root, &how), twin = pki_twin(&n, &pki()->root, true);
	const X509 *const cert[] = {n.cert}, *const other[] = {twin.cert};

	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	pems[CHAIN] = pki_pem(cert, 1);
	pems[CHAIN2] = pki_pem(other, 1);
	pems[KEY] = pki_key(n.key);
	pems[ROOTS] = strdup(pki()->roots);
	pems[ROOTS2] = strdup(pki()->other_roots);
	pems[CRL] = pki_crl(&pki()->root, n.cert, false);
	for (size_t i = 0; i < MT_ARRAY_LEN(pems); i++) {
		char path[96];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", dir, pem_names[i]);
		f = fopen(path, "w");
		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		fputs(pems[i], f);
		fclose(f);
	}
	pki_free(&n);
	pki_free(&twin);
}

static void remove_files(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(pems); i++) {
		char path[96];

		snprintf(path, sizeof(path), "%s/%s", dir, pem_names[i]);
		unlink(path);
		free(pems[i]);
	}
	rmdir(dir);
}

static void put_value(FILE *f, const char *key, const char *pem)
{
	fprintf(f, "  %s: \"", key);
	for (; *pem; pem++)
		fputs(*pem == '\n' ? "\\n" : (const char[]){*pem, '\0'}, f);
	fputs("\"\n", f);
}

static void put_secret(FILE *f, const char *name, const char *chain)
{
	fprintf(f,
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: "
		"default}\nstringData:\n",
		name);
	put_value(f, "tls.crt", chain);
	put_value(f, "tls.key", pems[KEY]);
	put_value(f, "ca.crt", pems[ROOTS]);
}

/* ---- documents ------------------------------------------------------------------------------ */

static const char node_text[] =
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
	"  locality: {region: r, zone: z}\n"
	"  ports: [{name: p0, device: d, addresses: [192.0.2.254/24]}]\n"
	"  tlsFiles: [{directory: %s}]\n";

static struct mt_model *part(const char *text)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", text, strlen(text));
	CU_ASSERT_EQUAL(diags.errors, 0);
	if (diags.errors) {
		fprintf(stderr, "%s", text);
		mt_diags_print(&diags, stderr);
	}
	mt_diags_fini(&diags);
	return m;
}

/* Documents of every load: they are read once, so their serials stay. */
static struct mt_model *node, *rest;

/* The service, and the Secrets. */
static struct mt_model *rest_of(const char *service)
{
	char *text = NULL;
	struct mt_model *m;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(service, f);
	put_secret(f, "one", pems[CHAIN]);
	put_secret(f, "two", pems[CHAIN2]);
	fclose(f);
	m = part(text);
	free(text);
	return m;
}

void fields_begin(const char *service)
{
	char text[sizeof(node_text) + sizeof(dir)];

	prepare();
	snprintf(text, sizeof(text), node_text, dir);
	node = part(text);
	rest = rest_of(service);
}

void fields_end(void)
{
	mt_model_free(node);
	mt_model_free(rest);
	remove_files();
}

static struct mt_conf *start(void)
{
	struct mt_conf *c = new_conf();

	mt_conf_set_identity(c, pki()->alice);
	return c;
}

/*
 * Loads the document `with`, in which %s stands for `what`, beside those of every load. "@" in
 * `what` is the directory of the files.
 */
static const struct mt_snapshot *load(
	struct mt_conf *c, const char *with, const char *what, struct mt_conf_change *change)
{
	struct mt_model *m = mt_model_new(), *p;
	const char *gap = strstr(with, "%s");
	struct mt_snapshot *s;
	struct mt_diags diags;
	struct mt_err e;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "%.*s", (int)(gap - with), with);
	for (const char *k = what; *k; k++)
		fputs(*k == '@' ? dir : (const char[]){*k, '\0'}, f);
	fputs(gap + 2, f);
	fclose(f);
	p = part(text);
	free(text);
	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_model_share(m, rest), 0);
	CU_ASSERT_EQUAL(mt_model_share(m, p), 0);
	m->node = node->node;
	/* As lib/objects chooses it. */
	m->mesh.config = m->mesh_configs.n ? m->mesh_configs.v[0] : NULL;
	s = mt_conf_compile(c, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, change, &e), 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_model_free(p);
	return s;
}

/* ---- a snapshot in words ---------------------------------------------------------------------- */

static void put_digest(FILE *f, const uint8_t digest[32])
{
	for (int i = 0; i < 8; i++)
		fprintf(f, "%02x", digest[i]);
}

static void put_tls(FILE *f, const struct mt_tls_context *t)
{
	if (!t)
		return;
	fprintf(f, "\n  tls sni %s alpn %.*s trust %d shows ", t->sni ? t->sni : "-",
		(int)t->alpn_len, (const char *)t->alpn, (int)t->trust);
	put_digest(f, t->credential->chain_digest);
	fputs(" trusts ", f);
	put_digest(f, t->credential->trust_digest);
	fprintf(f, " but %u", t->credential->revoked.n);
	for (uint32_t i = 0; i < t->n_sans; i++)
		fprintf(f, " %s%s", t->sans[i].text, t->sans[i].prefix ? "*" : "");
}

static void put_endpoints(FILE *f, const struct mt_cluster *c)
{
	for (uint32_t i = 0; i < c->n_eps; i++) {
		const struct mt_endpoint *e = &c->eps[i];
		const char *zone = mt_endpoint_zone(c, e);

		fprintf(f, "\n  %s weight %u zone %s%s%s", endpoint(c, i), e->weight,
			zone ? zone : "-", e->tls ? " tls" : "", e->meshed ? " meshed" : "");
	}
	for (uint32_t i = 0; i < c->n_levels; i++)
		fprintf(f, "\n  from %u load %u", c->levels[i].first, c->levels[i].load);
}

static void put_cluster(FILE *f, const struct mt_cluster *c)
{
	const struct mt_outlier_rule *o = &c->outlier;

	fprintf(f, "%s: %s hash %d", c->name, mt_lb_str(c->lb), (int)c->hash_by);
	for (uint32_t i = 0; i < c->n_hash_keys; i++)
		fprintf(f, " %s", c->hash_keys[i].name);
	fprintf(f, " ring %u-%u port %u mux %d", c->ring_min, c->ring_max, c->port,
		c->multiplexing);
	fprintf(f, "\n  connect %u connections %u pending %u calls %u", c->connect_ms,
		c->max_connections, c->max_pending, c->max_outstanding);
	fprintf(f, "\n  retries %d: %u %u", (int)c->retry_budget.bound, c->retry_budget.n,
		c->retry_budget.share);
	fprintf(f, "\n  outlier %u %u %u %u %u least %u", o->failures, o->errors, o->base_ms,
		o->max_ms, o->most, c->min_health);
	if (c->warmup)
		fprintf(f, "\n  warm-up %u %u %u", c->warmup->rule.ms, c->warmup->rule.least,
			c->warmup->rule.aggression);
	if (c->closed_by)
		fprintf(f, "\n  closed by %s", c->closed_by->by);
	put_tls(f, c->tls);
	put_endpoints(f, c);
	fputc('\n', f);
}

static const char *cluster_at(const struct mt_snapshot *s, uint32_t at)
{
	return at < s->n_clusters ? s->clusters[at].name : "nowhere";
}

static void put_mutations(FILE *f, const char *what, const struct mt_mutation *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, " %s %.*s=%.*s", what, v[i].key_len, v[i].key, v[i].value_len,
			v[i].value ? v[i].value : "");
}

static void put_route(FILE *f, const struct mt_snapshot *s, const struct mt_route_action *a)
{
	fprintf(f, "\n  route %s if %s timeout %u", a->name, a->match ? a->match : "-",
		a->timeout_ms);
	for (uint32_t i = 0; i < a->n_dests; i++)
		fprintf(f, " to %s x %u", cluster_at(s, a->dests[i].cluster), a->dests[i].weight);
	for (uint32_t i = 0; i < a->n_mirrors; i++)
		fprintf(f, " copy %s x %u", cluster_at(s, a->mirrors[i].cluster),
			a->mirrors[i].ppm);
	if (a->retry)
		fprintf(f, " retry %u on %u each %u wait %u-%u same %u", a->retry->attempts,
			a->retry->on, a->retry->try_ms, a->retry->base_ms, a->retry->max_ms,
			a->retry->same_hosts);
	put_mutations(f, "request", a->req_mut, a->n_req_mut);
	put_mutations(f, "response", a->rsp_mut, a->n_rsp_mut);
	for (uint32_t i = 0; i < a->hash.n_keys; i++)
		fprintf(f, " hash %s", a->hash.keys[i].name);
}

static void put_service(FILE *f, const struct mt_snapshot *s, const struct mt_service *v)
{
	fprintf(f, "service %s key %s at %s:%u filters %u timeout %u", v->name,
		v->key ? v->key : "-", v->file ? v->file : "-", v->line, v->n_filter_insts,
		v->timeout_ms);
	for (uint32_t i = 0; i < v->n_tcp_dests; i++)
		fprintf(f, "\n  bytes to %s x %u", cluster_at(s, v->tcp_dests[i].cluster),
			v->tcp_dests[i].weight);
	if (!v->n_tcp_dests)
		fprintf(f, "\n  bytes to %s", cluster_at(s, v->tcp_cluster));
	for (uint32_t i = 0; v->routes && i < mt_route_count(v->routes); i++)
		put_route(f, s, mt_route_at(v->routes, i));
	fputc('\n', f);
}

static void put_listener(FILE *f, const struct mt_listener *l)
{
	char addr[MT_ADDR_STRLEN];

	fprintf(f, "listener %s detect %u chains %u", mt_addr_port_str(&l->addr, l->port, addr),
		l->detect_ms, l->n_chains);
	for (uint32_t i = 0; i < l->n_protos; i++) {
		const struct mt_filter_chain_proto *p = &l->protos[i];

		fprintf(f, "\n  %s %x", p->codec->name, p->codec_opts);
		for (uint32_t k = 0; k < p->n_services; k++)
			fprintf(f, " %s", p->services[k]->name);
	}
	fputc('\n', f);
}

/* The cluster of that name; NULL: all clusters, services and listeners. free() */
static char *words_of(const struct mt_snapshot *s, const char *cluster)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (!cluster || strcmp(s->clusters[i].name, cluster) == 0)
			put_cluster(f, &s->clusters[i]);
	for (uint32_t i = 0; !cluster && i < s->n_services; i++)
		put_service(f, s, s->services[i]);
	for (uint32_t i = 0; !cluster && i < s->n_listeners; i++)
		put_listener(f, &s->listeners[i]);
	fclose(f);
	return text;
}

/* ---- one field ------------------------------------------------------------------------------ */

static void expect(bool ok, const char *field, const char *what, const char *a, const char *b)
{
	if (!ok)
		printf("\n%s: %s\n--- %s--- %s", field, what, a, b);
	CU_ASSERT_TRUE(ok);
}

void fields_change(const char *with, const struct field_row *r)
{
	struct mt_conf *running = start(), *fresh = start();
	struct mt_conf_change change;
	char *before = words_of(load(running, with, r->from, NULL), NULL), *reloaded, *wanted;

	reloaded = words_of(load(running, with, r->to, &change), NULL);
	wanted = words_of(load(fresh, with, r->to, NULL), NULL);
	expect(strcmp(reloaded, wanted) == 0, r->field, "the reload is not what a start is",
		reloaded, wanted);
	if (r->effect == CHANGES || r->effect == UNREPORTED)
		expect(strcmp(before, wanted) != 0, r->field, "both documents make the same",
			before, wanted);
	if (r->effect == CHANGES || r->effect == REPORTED)
		expect(!mt_conf_change_none(&change), r->field, "the change is not reported",
			before, wanted);
	free(before);
	free(reloaded);
	free(wanted);
	mt_conf_destroy(running);
	mt_conf_destroy(fresh);
}

char *fields_words(const char *with, const char *what, const char *cluster)
{
	struct mt_conf *c = start();
	char *words = words_of(load(c, with, what, NULL), cluster);

	mt_conf_destroy(c);
	return words;
}

void fields_compare(const char *what, const char *got, const char *want)
{
	expect(strcmp(got, want) == 0, what, "both are not alike", got, want);
}

static bool has_row(const struct field_row *rows, size_t n, const char *field)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].field, field) == 0)
			return true;
	return false;
}

/* True if the field is read and has a meaning, or could have one: MT_S_LATER is in what is made. */
static bool counts(const struct mt_field *f)
{
	return f->type != MT_F_SKIP && f->type != MT_F_LATER && f->type != MT_F_REFUSED &&
	       f->status != MT_S_WARNS && f->status != MT_S_REFUSED && f->status != MT_S_NOT_SERVED;
}

static bool is_among(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static void have_rows(const struct mt_section *s, const char *path, const char *const *but,
	const struct field_row *rows, size_t n)
{
	for (uint32_t i = 0; i < s->n_fields; i++) {
		const struct mt_field *f = &s->fields[i];
		char name[256];

		if (!counts(f) || is_among(but, f->name))
			continue;
		snprintf(name, sizeof(name), "%s%s%s%s", path, *path ? "." : "", f->name,
			f->type == MT_F_LIST ? "[]" : "");
		if (f->sub) {
			have_rows(f->sub, name, but, rows, n);
			continue;
		}
		if (!has_row(rows, n, name))
			printf("\n%s: no row changes this field alone", name);
		CU_ASSERT_TRUE(has_row(rows, n, name));
	}
}

void fields_have_rows(
	const struct mt_section *s, const char *const *but, const struct field_row *rows, size_t n)
{
	have_rows(s, "", but, rows, n);
}

const struct mt_section *fields_section(const struct mt_section *s, const char *field)
{
	for (uint32_t i = 0; i < s->n_fields; i++)
		if (strcmp(s->fields[i].name, field) == 0)
			return s->fields[i].sub;
	CU_FAIL_FATAL("no such field");
	return NULL;
}
