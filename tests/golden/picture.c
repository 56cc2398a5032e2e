/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what documents and resources of discovery services compile to, as JSON; or, when they are refused, why.
 *
 *	picture [-i] [-l] [-c NODE] [-b RESOURCES]... [-x RESOURCES]... [-o OVERRIDES] [DIRECTORY]...
 *
 * -i: the node has an identity, of spiffe://cluster.local/ns/shop/sa/alice.
 * -l: names of instances are looked up: each has an address of 100.64.0.0/10, which "looked up" tells. Else they have none.
 * Everything is loaded and published twice: the second snapshot, which shares what it can with the first one, has
 * to give the same picture, and to find the same counters. With -b what was before is loaded and published first.
 */
#include "golden.h"

#include "mt_conf.h"
#include "mt_objects.h"
#include "mt_source.h"
#include "tls/pki.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW	  (100 * MT_SEC)
#define FILES_MAX 8u
#define SAME_NODE (1ull << 41)

/* For directories without a Node: networks and routes that lead to every test's addresses, and names. */
static const char some_node[] =
	"apiVersion: meltemi.io/v1\n"
	"kind: Node\n"
	"metadata: {name: golden}\n"
	"spec:\n"
	"  ports: [{name: p0, device: net_null0, addresses: [10.255.255.1/8, "
	"\"2001:db8:ffff::1/32\"]}]\n"
	"  routes: [{to: 0.0.0.0/0, via: 10.255.255.2}, {to: \"::/0\", via: "
	"\"2001:db8:ffff::2\"}]\n"
	"  dns: {}\n";

struct input {
	const char *node, *overrides, *resources[FILES_MAX], *before[FILES_MAX];
	const char *const *directories;
	uint32_t n_resources, n_before, n_directories;
};

/* What one load says; `refused`: resources that are not even read. */
struct load {
	struct mt_object_table *table;
	struct mt_model *resources, *node;
	struct mt_diags diags;
	struct mt_kept *kept;
	json_t *refused;
};

static bool load(struct load *l, const struct input *in, struct mt_source_cache *cache)
{
	struct mt_source_reading r = {0};

	*l = (struct load){.resources = mt_model_new(),
		.node = mt_model_new(),
		.kept = mt_kept_open(NULL, true),
		.refused = json_array()};
	mt_diags_init(&l->diags);
	MT_ASSERT(l->resources && l->node && l->kept && l->refused);
	MT_ASSERT(mt_source_read(
			  cache, &r, &l->diags, in->node, in->directories, in->n_directories) == 0);
	l->table = mt_table_new(&r, l->kept);
	mt_source_reading_fini(&r);
	MT_ASSERT(l->table);
	MT_ASSERT(mt_source_text(l->node, &l->diags, "node", some_node, strlen(some_node)) == 0);
	/* It has not changed since the load before, so that nothing is made anew for it. */
	l->node->node->meta.serial = SAME_NODE;
	for (uint32_t i = 0; i < in->n_resources; i++)
		if (!golden_resources(l->resources, in->resources[i], l->refused))
			return false;
	return true;
}

static void unload(struct load *l)
{
	mt_table_free(l->table);
	mt_diags_fini(&l->diags);
	mt_model_free(l->resources);
	mt_model_free(l->node);
	mt_kept_free(l->kept);
	json_decref(l->refused);
}

/* What is used of the documents, and the resources behind them. */
/* ---- names of instances ----------------------------------------------------------------------------- */

#define NAMES_MAX 256u

static struct {
	char *text;
	struct mt_addr addr;
} looked_up[NAMES_MAX];
static uint32_t n_looked_up;
static bool look_up, has_identity;

static void find_name(void *arg, const char *name, struct mt_name_state *out)
{
	uint32_t i = 0;
	char text[32];

	(void)arg;
	while (i < n_looked_up && strcmp(looked_up[i].text, name) != 0)
		i++;
	if (i == n_looked_up) {
		MT_ASSERT(n_looked_up < NAMES_MAX);
		snprintf(text, sizeof(text), "100.64.0.%u", i);
		MT_ASSERT(mt_addr_parse(text, &looked_up[i].addr) == 0);
		looked_up[n_looked_up++].text = strdup(name);
	}
	*out = (struct mt_name_state){
		.addrs = &looked_up[i].addr, .n = 1, .answered = true, .why = ""};
}

/* {address: name} */
static json_t *golden_looked_up(void)
{
	json_t *all = json_object();
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < n_looked_up; i++)
		put_text(all, mt_addr_str(&looked_up[i].addr, text), looked_up[i].text);
	return all;
}

static struct mt_model *joined(struct load *l)
{
	struct mt_model *m = mt_model_new(), *documents;
	int rc;

	documents = mt_table_model(l->table, &rc);
	MT_ASSERT(m && documents && mt_model_share(m, documents) == 0 &&
		  mt_model_share(m, l->resources) == 0);
	m->node = documents->node ? documents->node : l->node->node;
	m->closings = documents->closings;
	m->n_closings = documents->n_closings;
	m->mesh = documents->mesh;
	if (look_up)
		m->names.find = find_name;
	return m;
}

/* Of those whom the Node holds beside its own there is only one that can be had. */
static void hold(struct mt_conf *conf, const struct mt_node *n)
{
	struct mt_conf_held v[MT_HELD_MAX];

	if (!has_identity || !n)
		return;
	for (uint32_t i = 0; i < n->n_identities; i++) {
		const char *name = n->identities[i].principal.s;

		v[i] = (struct mt_conf_held){name, strcmp(name, PKI_BOB) == 0 ? pki()->bob : NULL};
	}
	MT_ASSERT(mt_conf_set_held(conf, v, n->n_identities) >= 0);
}

/* As the daemon does: what is wrong with an object costs that one. */
static struct mt_snapshot *compiled(struct mt_conf *conf, struct load *l, uint64_t now)
{
	struct mt_diags mark = l->diags;

	for (;;) {
		struct mt_model *m = joined(l);
		struct mt_snapshot *s;

		hold(conf, m->node);
		s = mt_conf_compile(conf, m, &l->diags, now);
		mt_model_free(m);
		if ((s && !mt_table_may_fall_back(l->table, &l->diags)) ||
			!mt_table_refuse(l->table, &l->diags))
			return s;
		if (s)
			mt_conf_discard(conf, s, now);
		mt_diags_rewind(&l->diags, &mark);
	}
}

json_t *golden_picture(const struct mt_snapshot *s)
{
	json_t *root = json_object();

	put_number(root, "timeout_ms", s->timeout_ms);
	put_json(root, "listeners", golden_listeners(s));
	put_json(root, "forwarded ports", golden_forwards(s));
	put_json(root, "NAT", golden_nat(s));
	put_json(root, "services", golden_services(s));
	put_json(root, "clusters", golden_clusters(s));
	put_json(root, "names", golden_names(s));
	put_json(root, "looked up", golden_looked_up());
	return root;
}

/* What refuses the load, a line each. */
static json_t *mistakes(const struct mt_diags *d)
{
	json_t *root = json_object(), *list = json_array();

	for (uint32_t i = 0; i < d->n; i++) {
		char text[1024];

		if (d->items[i].severity != MT_DIAG_ERROR)
			continue;
		mt_diag_format(&d->items[i], text, sizeof(text));
		add_text(list, "%s", text);
	}
	json_object_set_new(root, "refused", sorted(list, NULL));
	return root;
}

/* One load and its publish; *all: with identities; NULL: a file cannot be read. */
static json_t *picture(struct mt_conf *conf, const struct input *in, struct mt_source_cache *cache,
	uint64_t now, json_t **all)
{
	struct mt_snapshot *s;
	struct mt_err err = {""};
	json_t *root = NULL;
	struct load l;

	*all = NULL;
	if (load(&l, in, cache)) {
		s = compiled(conf, &l, now);
		if (s && mt_conf_publish(conf, s, now, NULL, &err)) {
			fprintf(stderr, "not published: %s\n", err.text);
			mt_conf_discard(conf, s, now);
		} else {
			golden_numbers = true;
			*all = s ? golden_picture(s) : NULL;
			golden_numbers = false;
			root = s ? golden_picture(s) : mistakes(&l.diags);
			put_json(root, "resources not read", json_incref(l.refused));
		}
	}
	unload(&l);
	return root;
}

static bool turn(struct mt_conf *conf, const char *path)
{
	struct mt_overrides set = {0};
	struct mt_override one;
	struct mt_err err = {""};
	char line[MT_OVERRIDE_TEXT];
	FILE *f = fopen(path, "r");
	bool good = f != NULL;

	while (good && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		good = mt_override_parse_line(&one, line, &err) == 0 &&
		       mt_overrides_set(&set, &one, &one.id) == 0;
	}
	if (f)
		fclose(f);
	if (good)
		good = mt_conf_set_overrides(conf, &set) == 0;
	else
		fprintf(stderr, "%s: %s\n", path, f ? err.text : "cannot be read");
	mt_overrides_fini(&set);
	return good;
}

static int show(struct mt_conf *conf, const struct input *in)
{
	struct mt_source_cache *cache = mt_source_cache_new();
	json_t *all, *all_again = NULL;
	json_t *first = picture(conf, in, cache, NOW, &all);
	json_t *again = first ? picture(conf, in, cache, NOW + MT_SEC, &all_again) : NULL;
	int rc = 2;

	if (first && again) {
		json_dumpf(first, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
		putchar('\n');
		rc = json_equal(first, again) && (all == all_again || json_equal(all, all_again))
			     ? 0
			     : 1;
	}
	if (rc == 1) {
		fputs("the same, loaded again, is something else:\n", stderr);
		json_dumpf(all, stderr, JSON_INDENT(1) | JSON_ENSURE_ASCII);
		json_dumpf(all_again, stderr, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	}
	json_decref(first);
	json_decref(again);
	json_decref(all);
	json_decref(all_again);
	mt_source_cache_free(cache);
	return rc;
}

static void load_before(struct mt_conf *conf, const struct input *in)
{
	struct input before = *in;
	json_t *all;

	if (in->n_before) {
		memcpy(before.resources, in->before, sizeof(before.resources));
		before.n_resources = in->n_before;
	}
	json_decref(picture(conf, &before, NULL, NOW - MT_SEC, &all));
	json_decref(all);
}

static bool arguments(int argc, char **argv, struct input *in)
{
	int c;

	while ((c = getopt(argc, argv, "ilc:b:x:o:")) != -1) {
		if (c == 'l')
			look_up = true;
		else if (c == 'i')
			has_identity = true;
		else if (c == 'c')
			in->node = optarg;
		else if (c == 'o')
			in->overrides = optarg;
		else if (c == 'b' && in->n_before < FILES_MAX)
			in->before[in->n_before++] = optarg;
		else if (c == 'x' && in->n_resources < FILES_MAX)
			in->resources[in->n_resources++] = optarg;
		else
			return false;
	}
	in->directories = (const char *const *)argv + optind;
	in->n_directories = (uint32_t)(argc - optind);
	return true;
}

/* What makes certificates belongs to the unit tests: what must hold there must hold here. */
CU_BOOL CU_assertImplementation(CU_BOOL holds, unsigned int line, const char *condition,
	const char *file, const char *function, CU_BOOL fatal)
{
	(void)function;
	(void)fatal;
	if (!holds) {
		fprintf(stderr, "%s:%u: %s\n", file, line, condition);
		abort();
	}
	return holds;
}

int main(int argc, char **argv)
{
	const struct mt_conf_options options = {.workers = 1};
	struct input in = {0};
	struct mt_err err = {""};
	struct mt_conf *conf;
	int rc = 2;

	if (!arguments(argc, argv, &in)) {
		fprintf(stderr,
			"usage: %s [-i] [-l] [-c NODE] [-b RESOURCES]... [-x RESOURCES]... [-o "
			"OVERRIDES] "
			"[DIRECTORY]...\n",
			argv[0]);
		return 2;
	}
	conf = mt_conf_create(&options, &err);
	MT_ASSERT(conf);
	if (has_identity)
		mt_conf_set_identity(conf, pki()->alice);
	/* What is turned, and what is said anew, takes hold of what was compiled before. */
	if (in.overrides || in.n_before)
		load_before(conf, &in);
	if (!in.overrides || turn(conf, in.overrides))
		rc = show(conf, &in);
	mt_conf_destroy(conf);
	if (has_identity)
		pki_end();
	for (uint32_t i = 0; i < n_looked_up; i++)
		free(looked_up[i].text);
	return rc;
}
