/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the namespaces, accounts and interfaces of the documents, and finds typing errors. */
#include "mt_analyse_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void put(struct mt_strmap *m, const char *key)
{
	if (key && *key && !mt_strmap_get(m, key))
		(void)mt_strmap_put(m, key, (void *)key, NULL);
}

/* ---- collection ------------------------------------------------------------------------------ */

/* `account`: "NAME", or "spiffe://DOMAIN/ns/NAMESPACE/sa/NAME". */
static void put_account(struct mt_analysis *a, const char *ns, const char *account)
{
	const char *other = account ? strstr(account, "/ns/") : NULL,
		   *name = other ? strstr(other, "/sa/") : NULL;

	if (!account || !*account)
		return;
	if (name)
		put(&a->accounts, mt_region_printf(&a->region, "%.*s/%s", (int)(name - other - 4),
					  other + 4, name + 4));
	else
		put(&a->accounts, mt_region_printf(&a->region, "%s/%s", ns, account));
}

static void gather_workloads(struct mt_analysis *a)
{
	const struct mt_model *m = a->m;

	for (uint32_t i = 0; i < m->workload_entries.n; i++) {
		const struct mt_workload_entry *w = m->workload_entries.v[i];

		put(&a->served, w->meta.ns);
		put_account(a, w->meta.ns, w->w.service_account.s);
	}
	for (uint32_t i = 0; i < m->service_entries.n; i++) {
		const struct mt_service_entry *se = m->service_entries.v[i];

		put(&a->served, se->meta.ns);
		for (uint32_t k = 0; k < se->n_endpoints; k++)
			put_account(a, se->meta.ns, se->endpoints[k].service_account.s);
	}
	for (uint32_t i = 0; i < m->pods.n; i++) {
		const struct mt_kube_pod *p = m->pods.v[i];
		const char *sa = p->spec.service_account.s;

		put(&a->served, p->meta.ns);
		put_account(a, p->meta.ns, sa ? sa : "default");
	}
	for (uint32_t i = 0; i < m->services.n; i++)
		put(&a->served, ((const struct mt_kube_service *)m->services.v[i])->meta.ns);
}

/*
 * True for kinds that apply to other objects. Such a document does not prove that its namespace
 * exists.
 */
static bool is_policy(const struct mt_object *o)
{
	static const char *const words[] = {"AuthorizationPolicy", "PeerAuthentication",
		"RequestAuthentication", "DubboAuthorizationPolicy", "EnvoyFilter", "Telemetry"};

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcmp(o->kind, words[i]) == 0)
			return true;
	return o->is_node;
}

static bool is_template(const struct mt_object *o)
{
	static const char *const words[] = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet",
		"Job", "CronJob", "Rollout", "WorkloadGroup", "Kustomization", "HelmRelease"};

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcmp(o->kind, words[i]) == 0)
			return true;
	return false;
}

bool mt_an_has_templates(const struct mt_analysis *a, const char *ns)
{
	return mt_strmap_get(&a->templates, ns) ||
	       (a->templates.n && strcmp(ns, a->in->audit->root_ns) == 0);
}

static void gather_objects(struct mt_analysis *a)
{
	const struct mt_object_table *t = a->in->table;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object *o = t->rows[i].o;

		/* An author may not have objects there, so it proves nothing. */
		if (o->outside)
			continue;
		/*
		 * A dump of a cluster contains kube-system, documents written by hand do not. If it
		 * is here, the namespaces are complete.
		 */
		if (strcmp(o->kind, "Namespace") == 0) {
			a->all_namespaces |= strcmp(o->name, "kube-system") == 0;
			put(&a->namespaces, o->name);
		} else if (!is_policy(o)) {
			put(&a->namespaces, o->ns);
		}
		if (is_template(o))
			put(&a->templates, o->ns);
		if (strcmp(o->kind, "ServiceAccount") == 0) {
			put_account(a, o->ns, o->name);
			if (strcmp(o->name, "default") == 0)
				put(&a->listed, o->ns);
		}
	}
}

/* Adds names that every mesh has but documents may lack. */
static void gather_own(struct mt_analysis *a)
{
	const struct mt_node_mesh *said = a->m->node ? a->m->node->mesh : NULL;

	put(&a->namespaces, "default");
	put(&a->namespaces, "kube-system");
	put(&a->namespaces, a->in->audit->root_ns);
	/* The node is a client of services, too. */
	if (a->in->principal)
		put_account(a, "", a->in->principal);
	if (!said)
		return;
	put(&a->namespaces, said->ns.s);
	if (said->ns.s && said->service_account.s)
		put_account(a, said->ns.s, said->service_account.s);
}

/* Keys are in lower case, because hosts are; the value is the original name. */
static void put_interface(struct mt_analysis *a, const char *name)
{
	char *copy = name ? mt_region_strdup(&a->region, name) : NULL;
	const char *before;

	for (char *p = copy; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!copy || !*copy)
		return;
	before = mt_strmap_get(&a->interfaces, copy);
	/* Prefer a name with capitals: servers have it so, and hosts seldom have capitals. */
	if (!before || !strcmp(before, copy))
		(void)mt_strmap_put(&a->interfaces, copy, (void *)name, NULL);
}

static void gather_rules(struct mt_analysis *a, const struct mt_rule_list *l)
{
	for (uint32_t i = 0; i < l->n_rules; i++)
		for (uint32_t k = 0; k < l->rules[i].n_matches; k++) {
			const struct mt_rule_match *m = &l->rules[i].matches[k];

			for (uint32_t c = 0; c < m->n_conds; c++) {
				const struct mt_cond *w = &m->conds[c];

				if (w->op != MT_COND_EXACT || !w->value.s)
					continue;
				if (strcmp(w->key.s, "interface") == 0)
					put_interface(a, w->value.s);
				else if (strcmp(w->key.s, "method") == 0)
					put(&a->methods, w->value.s);
			}
		}
}

static void gather_routes(struct mt_analysis *a)
{
	for (uint32_t i = 0; i < a->m->virtual_services.n; i++) {
		const struct mt_virtual_service *v = a->m->virtual_services.v[i];

		for (uint32_t k = 0; k < v->n_lists; k++)
			gather_rules(a, &v->lists[k]);
	}
	for (uint32_t i = 0; i < a->m->meta_routers.n; i++)
		gather_rules(a, &((const struct mt_meta_router *)a->m->meta_routers.v[i])->routes);
}

static void gather_interfaces(struct mt_analysis *a)
{
	for (uint32_t i = 0; i < a->m->service_entries.n; i++) {
		const struct mt_service_entry *se = a->m->service_entries.v[i];

		for (uint32_t k = 0; k < se->n_hosts; k++) {
			put_interface(a, se->hosts[k].s);
			put(&a->named, se->hosts[k].s);
		}
		put_interface(a, mt_labels_get(&se->meta.annotations, "interface"));
	}
}

static bool is_in_use(const struct mt_analysis *a, const struct mt_service_entry *se)
{
	const struct mt_object_row *row = mt_an_row(a, se->meta.serial);

	return !row || (row->status != MT_OBJECT_NO_EFFECT && row->status != MT_OBJECT_SHADOWED);
}

/* First hosts precede further ones, which other objects may have. */
static void gather_owners(struct mt_analysis *a)
{
	const struct mt_objs *all = &a->m->service_entries;

	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < all->n; i++) {
			const struct mt_service_entry *se = all->v[i];
			uint32_t from = pass ? 1 : 0, to = pass ? se->n_hosts : 1;

			for (uint32_t k = from; k < to && is_in_use(a, se); k++)
				if (!mt_strmap_get(&a->owners, se->hosts[k].s))
					(void)mt_strmap_put(
						&a->owners, se->hosts[k].s, (void *)se, NULL);
		}
}

static const struct mt_meta *find_host(const void *hosts, const char *name)
{
	const struct mt_service_entry *se = mt_strmap_get(hosts, name);

	return se ? &se->meta : NULL;
}

const char *mt_an_host(
	const struct mt_analysis *a, const char *word, const char *ns, char buf[MT_MEANT_HOST])
{
	return mt_meant_host(a->m, word, ns, find_host, &a->owners, buf);
}

/* Callers at a workload port have an identity in plaintext, too. */
static void look_at_ports(struct mt_analysis *a)
{
	const struct mt_node *n = a->m->node;

	for (uint32_t i = 0; n && i < n->n_ports; i++) {
		a->vouched |= n->ports[i].side.v == MT_SIDE_WORKLOADS;
		a->strangers |= n->ports[i].side.v != MT_SIDE_WORKLOADS;
	}
}

static void look_at_mesh(struct mt_analysis *a)
{
	const struct mt_snapshot *s = a->in->snap;

	for (uint32_t i = 0; i < s->n_clusters && !a->mesh; i++)
		a->mesh = s->clusters[i].file != NULL;
}

void mt_an_names_gather(struct mt_analysis *a)
{
	look_at_mesh(a);
	look_at_ports(a);
	gather_objects(a);
	gather_own(a);
	gather_workloads(a);
	gather_interfaces(a);
	gather_owners(a);
	gather_routes(a);
}

bool mt_an_knows_account(const struct mt_analysis *a, const char *ns, const char *account)
{
	char key[512];

	return (size_t)snprintf(key, sizeof(key), "%s/%s", ns, account) >= sizeof(key) ||
	       mt_strmap_get(&a->accounts, key) != NULL;
}

/* ---- typing errors --------------------------------------------------------------------------- */

static size_t common_head(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

/*
 * True for a letter after another letter. Digits and single letters ("team-a") distinguish names on
 * purpose.
 */
static bool is_in_word(const char *s, size_t at)
{
	bool before = at > 0 && isalpha((unsigned char)s[at - 1]);

	return isalpha((unsigned char)s[at]) && before;
}

bool mt_an_is_slip(const char *a, const char *b)
{
	size_t at = common_head(a, b), n = strlen(a), m = strlen(b);

	if (strcmp(a, b) == 0 || MT_MIN(n, m) < 5 || mt_edit_distance(a, b, 2) > 1)
		return false;
	if (!a[at] || !b[at]) /* one letter more at the end, as in a plural */
		return is_in_word(a[at] ? a : b, at);
	if (n == m && !a[at + 1])
		return false;
	/* An added or missing dash is an error, too. */
	return (isalpha((unsigned char)a[at]) || a[at] == '-') &&
	       (isalpha((unsigned char)b[at]) || b[at] == '-') &&
	       (at == 0 || isalpha((unsigned char)a[at - 1]) || a[at] == '-' || b[at] == '-') &&
	       (at > 0 || isalpha((unsigned char)a[1]));
}

/* Reserves the steps to compare a word with each key. */
static bool may_look(struct mt_analysis *a, const struct mt_strmap *m)
{
	return mt_an_may(a, (uint64_t)m->n * MT_AN_WORD);
}

const char *mt_an_slip_of(struct mt_analysis *a, const struct mt_strmap *m, const char *word)
{
	uint32_t pos = 0;
	const char *key, *best = NULL;

	if (!may_look(a, m))
		return NULL;
	while (mt_strmap_next(m, &pos, &key))
		if (mt_an_is_slip(key, word) && (!best || strcmp(key, best) < 0))
			best = key;
	return best;
}

/* True if both contain the same digits in order; other digits distinguish names on purpose. */
static bool same_marks(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a && !isdigit((unsigned char)*a))
			a++;
		while (*b && !isdigit((unsigned char)*b))
			b++;
		if (*a != *b || !*a)
			return *a == *b;
	}
}

/*
 * True if position `at`, where two names begin to differ, is in or just after a word of three or
 * more letters, but not at its start.
 */
static bool is_in_long_word(const char *s, size_t at)
{
	size_t from = at, to = at;

	while (from > 0 && isalpha((unsigned char)s[from - 1]))
		from--;
	while (isalpha((unsigned char)s[to]))
		to++;
	return to - from >= 3 && at > from;
}

/*
 * True for errors that count in short words, too, as in "web": two adjacent letters have changed
 * places, or, from four letters on, an inner one is missing.
 */
static bool is_short_slip(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), at = common_head(a, b);
	bool letters = isalpha((unsigned char)a[at]) && isalpha((unsigned char)b[at]);

	if (n != m && n + m > 8 && MT_MIN(n, m) >= 4 && letters && at > 0)
		return strcmp(n > m ? a + at + 1 : a + at, n > m ? b + at : b + at + 1) == 0;
	if (MT_MIN(n, m) < 3 || n != m || !letters || !isalpha((unsigned char)a[at + 1]))
		return false;
	return a[at] == b[at + 1] && a[at + 1] == b[at] && strcmp(a + at + 2, b + at + 2) == 0;
}

bool mt_an_is_near(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), at = common_head(a, b);
	uint32_t most = MT_MIN(n, m) >= 12 ? 2 : 1;

	if (mt_an_is_slip(a, b) || is_short_slip(a, b))
		return true;
	return strcmp(a, b) != 0 && MT_MIN(n, m) >= 5 && mt_edit_distance(a, b, most + 1) <= most &&
	       same_marks(a, b) && is_in_long_word(a, at) && is_in_long_word(b, at);
}

const char *mt_an_near_of(struct mt_analysis *a, const struct mt_strmap *m, const char *word)
{
	uint32_t pos = 0;
	const char *key, *best = mt_an_slip_of(a, m, word);

	if (best || !may_look(a, m))
		return best;
	while (mt_strmap_next(m, &pos, &key))
		if (mt_an_is_near(key, word) && (!best || strcmp(key, best) < 0))
			best = key;
	return best;
}

const char *mt_an_account_slip(struct mt_analysis *a, const char *ns, const char *account)
{
	const char *key = mt_region_printf(&a->region, "%s/%s", ns, account), *best = NULL, *other;
	size_t len = strlen(ns) + 1;
	uint32_t pos = 0;

	if (!may_look(a, &a->accounts))
		return NULL;
	while (key && mt_strmap_next(&a->accounts, &pos, &other))
		if (strncmp(other, key, len) == 0 && mt_an_is_near(other + len, account) &&
			(!best || strcmp(other, best) < 0))
			best = other;
	return best;
}
