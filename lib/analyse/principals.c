/* SPDX-License-Identifier: Apache-2.0 */
/* Checks identities in rules that no caller has. */
#include "mt_analyse_priv.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SCHEME "spiffe://"
#define OF_DOMAIN                                                                                  \
	"cluster.local" /* in policies, it means the mesh's own trust domain, whatever its name */

static bool has_star(const char *s)
{
	return strchr(s, '*') != NULL;
}

bool mt_an_star_inside(struct mt_analysis *a, const struct mt_written *w, const struct mt_text *t)
{
	size_t len = strlen(t->s);
	const char *star = len > 1 ? strchr(t->s + 1, '*') : NULL;

	/* If there is a star at each end, only the first one is a wildcard. */
	if (!star || (star == t->s + len - 1 && t->s[0] != '*'))
		return false;
	mt_an_found(a, MT_FINDING_ID_star_inside, &w->p->meta, t->line,
		"%s: this `*` is a letter, as it stands %s", t->s,
		star == t->s + len - 1 ? "at the end and another at the start" : "inside");
	return true;
}

/* ---- namespaces and accounts ----------------------------------------------------------------- */

/* True if the name has only characters that Kubernetes permits in a namespace. */
static bool is_namespace(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static void check_namespace(
	struct mt_analysis *a, const struct mt_written *w, const char *ns, uint32_t line)
{
	const char *meant;

	if (!*ns || has_star(ns) || mt_strmap_get(&a->namespaces, ns) ||
		mt_strmap_get(&a->served, ns))
		return;
	meant = mt_an_near_of(a, &a->namespaces, ns);
	if (!meant)
		meant = mt_an_near_of(a, &a->served, ns);
	if (meant)
		mt_an_found(a, MT_FINDING_ID_unknown_namespace, &w->p->meta, line,
			"there is no namespace %s, but %s", ns, meant);
	else if (!is_namespace(ns))
		mt_an_found(a, MT_FINDING_ID_unknown_namespace, &w->p->meta, line,
			"no namespace can be called %s%s", ns,
			strchr(ns, '/') ? ": `serviceAccounts` takes NAMESPACE/ACCOUNT" : "");
	else if (a->all_namespaces)
		mt_an_found(a, MT_FINDING_ID_unknown_namespace, &w->p->meta, line,
			"there is no namespace %s among those that are listed", ns);
	else
		mt_an_found(a, MT_FINDING_ID_namespace_unseen, &w->p->meta, line,
			"nothing here is of namespace %s", ns);
}

static bool knows_namespace(const struct mt_analysis *a, const char *ns)
{
	return mt_strmap_get(&a->namespaces, ns) || mt_strmap_get(&a->served, ns);
}

/* "NAMESPACE/ACCOUNT" of an account with this name; NULL: none. */
static const char *elsewhere(struct mt_analysis *a, const char *account)
{
	const char *key, *best = NULL;
	uint32_t pos = 0;

	if (!mt_an_may(a, a->accounts.n))
		return NULL;
	while (mt_strmap_next(&a->accounts, &pos, &key))
		if (strcmp(strchr(key, '/') + 1, account) == 0 && (!best || strcmp(key, best) < 0))
			best = key;
	return best;
}

static void check_account(struct mt_analysis *a, const struct mt_written *w, const char *ns,
	const char *account, uint32_t line)
{
	const char *meant, *there;

	if (!*account || has_star(account) || has_star(ns) || mt_an_knows_account(a, ns, account))
		return;
	if (!knows_namespace(a, ns)) {
		check_namespace(a, w, ns, line);
		return;
	}
	meant = mt_an_account_slip(a, ns, account);
	there = elsewhere(a, account);
	if (meant)
		mt_an_found(a, MT_FINDING_ID_unknown_account, &w->p->meta, line,
			"no workload has the account %s/%s, but there is %s", ns, account, meant);
	else if (mt_strmap_get(&a->listed, ns))
		mt_an_found(a, MT_FINDING_ID_unknown_account, &w->p->meta, line,
			"there is no ServiceAccount %s/%s among those that are listed%s%s", ns,
			account, there ? "; there is " : "", there ? there : "");
	else
		mt_an_found(a, MT_FINDING_ID_principal_unseen, &w->p->meta, line,
			"nothing here has the account %s/%s%s%s", ns, account,
			there ? "; there is " : "", there ? there : "");
}

/* ---- principals ------------------------------------------------------------------------------ */

static bool is_domain(const struct mt_analysis *a, const char *domain, size_t len)
{
	const struct mt_audit *all = a->in->audit;

	for (uint32_t i = 0; i < all->n_domains; i++)
		if (strlen(all->domains[i]) == len && strncmp(all->domains[i], domain, len) == 0)
			return true;
	return strlen(OF_DOMAIN) == len && strncmp(domain, OF_DOMAIN, len) == 0;
}

static void check_domain(struct mt_analysis *a, const struct mt_written *w, const char *domain,
	size_t len, uint32_t line)
{
	const char *name = mt_region_strndup(&a->region, domain, len);
	const struct mt_audit *all = a->in->audit;
	bool said = a->m->mesh.trust_domain || a->in->until;
	const char *own = all->n_domains ? all->domains[0] : OF_DOMAIN;

	if (!name || !*name || has_star(name) || is_domain(a, domain, len))
		return;
	if (said || mt_an_is_slip(name, own))
		mt_an_found(a, MT_FINDING_ID_trust_domain, &w->p->meta, line,
			"the trust domain %s is not the mesh's, which is %s", name, own);
	else
		mt_an_found(a, MT_FINDING_ID_trust_domain_unsure, &w->p->meta, line,
			"the trust domain %s is not %s, and the mesh's is not configured", name,
			own);
}

/*
 * Checks NAMESPACE/sa/ACCOUNT, which follows "/ns/". `cut`: the text ends with a star. False if it
 * has another form.
 */
static bool check_identity(struct mt_analysis *a, const struct mt_written *w, const char *rest,
	bool cut, uint32_t line)
{
	const char *sa = strstr(rest, "/sa/");
	const char *ns =
		mt_region_strndup(&a->region, rest, sa ? (size_t)(sa - rest) : strcspn(rest, "/"));

	if (!ns || !*ns || strchr(ns, '/') || (sa && strchr(sa + 4, '/')))
		return cut;
	if (sa && !has_star(sa + 4) && sa[4])
		check_account(a, w, ns, sa + 4, line);
	else if (rest[strlen(ns)] == '/')
		check_namespace(a, w, ns, line);
	return sa || cut;
}

/*
 * True for NAMESPACE/ACCOUNT, as in `serviceAccounts`, also after the mesh's trust domain. A dot
 * shows that the first part is a trust domain.
 */
static bool is_short(const struct mt_analysis *a, const char *s)
{
	const char *slash = strchr(s, '/');
	bool own = slash && is_domain(a, s, (size_t)(slash - s));

	if (own)
		s = slash + 1;
	slash = strchr(s, '/');
	return slash && !strchr(slash + 1, '/') && !memchr(s, '.', (size_t)(slash - s));
}

/*
 * Reports a principal of another form: a mistake if it is nearly the mesh's form, otherwise
 * possible for workloads outside of Kubernetes.
 */
static void check_form(struct mt_analysis *a, const struct mt_written *w, const struct mt_text *t)
{
	if (is_short(a, t->s) || !strchr(t->s, '/') || strstr(t->s, "/sa/") ||
		strncmp(t->s, "ns/", 3) == 0)
		mt_an_found(a, MT_FINDING_ID_principal_form, &w->p->meta, t->line,
			"%s is not TRUSTDOMAIN/ns/NAMESPACE/sa/ACCOUNT", t->s);
	else
		mt_an_found(a, MT_FINDING_ID_principal_unseen, &w->p->meta, t->line,
			"%s is not TRUSTDOMAIN/ns/NAMESPACE/sa/ACCOUNT, the form of workloads of a "
			"mesh",
			t->s);
}

/* Reports a prefix that ends in a namespace's name: it matches other namespaces, too. */
static void check_open_end(struct mt_analysis *a, const struct mt_written *w, const char *rest,
	size_t len, const char *behind, uint32_t line)
{
	const char *ns = mt_region_strndup(&a->region, rest, len);

	if (ns && *ns && w->p->action.v == MT_POLICY_ALLOW && knows_namespace(a, ns))
		mt_an_found(a, MT_FINDING_ID_any_namespace, &w->p->meta, line,
			"%s* also matches other namespaces that start like it; write %s%s", ns, ns,
			behind);
}

/*
 * Reports a suffix without a namespace, because an account of that name can be made in any
 * namespace.
 */
static void check_suffix(struct mt_analysis *a, const struct mt_written *w, const struct mt_text *t)
{
	const char *sa = strstr(t->s, "/sa/"),
		   *there = sa && !strchr(sa, '*') ? elsewhere(a, sa + 4) : NULL;

	if (w->p->action.v == MT_POLICY_ALLOW && !strstr(t->s, "/ns/") && t->s[1])
		mt_an_found(a, MT_FINDING_ID_any_namespace, &w->p->meta, t->line,
			"%s is an account of any namespace%s%s", t->s, there ? "; there is " : "",
			there ? there : "");
}

void mt_an_principal_text(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_text *t)
{
	const char *s = t->s, *ns;
	size_t len = strlen(s);
	bool cut = len && s[len - 1] == '*', any = s[0] == '*';

	if (strcmp(s, "*") == 0 || len == 0 || mt_an_star_inside(a, w, t))
		return;
	if (any && w->wanted)
		check_suffix(a, w, t);
	if (strncmp(s, SCHEME, strlen(SCHEME)) == 0 ||
		strncmp(s, "*" SCHEME, strlen(SCHEME) + 1) == 0) {
		mt_an_found(a, MT_FINDING_ID_principal_scheme, &w->p->meta, t->line,
			"%s: write it as %s", s, strstr(s, "//") + 2);
		return;
	}
	ns = strstr(s, "/ns/");
	if (!ns) {
		if (!any && !cut)
			check_form(a, w, t);
		return;
	}
	if (cut && w->wanted && !strchr(ns + 4, '/'))
		check_open_end(a, w, ns + 4, strlen(ns + 4) - 1, "/*", t->line);
	if (!any && !memmem(s, (size_t)(ns - s), "/sa/", 4))
		check_domain(a, w, s, (size_t)(ns - s), t->line);
	if (!check_identity(a, w, ns + 4, cut, t->line))
		mt_an_found(a, MT_FINDING_ID_principal_form, &w->p->meta, t->line,
			"%s is not TRUSTDOMAIN/ns/NAMESPACE/sa/ACCOUNT", s);
}

/* ---- a source -------------------------------------------------------------------------------- */

static void principals(struct mt_analysis *a, const struct mt_written *w, const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		mt_an_principal_text(a, w, &l->v[i]);
}

static void namespaces(struct mt_analysis *a, const struct mt_written *w, const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const char *s = l->v[i].s;

		if (mt_an_star_inside(a, w, &l->v[i]))
			continue;
		if (w->wanted && strlen(s) > 1 && s[strlen(s) - 1] == '*')
			check_open_end(a, w, s, strlen(s) - 1, "", l->v[i].line);
		check_namespace(a, w, s, l->v[i].line);
	}
}

/* Checks `serviceAccounts`: "NAMESPACE/ACCOUNT", or an account of the policy's namespace. */
static void accounts(struct mt_analysis *a, const struct mt_written *w, const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const char *s = l->v[i].s, *slash = strchr(s, '/');
		const char *ns = slash ? mt_region_strndup(&a->region, s, (size_t)(slash - s))
				       : w->p->meta.ns;

		if (slash && strchr(slash + 1, '/'))
			mt_an_found(a, MT_FINDING_ID_unknown_account, &w->p->meta, l->v[i].line,
				"%s is not NAMESPACE/ACCOUNT, as `serviceAccounts` requires", s);
		/* Without a namespace it is in the policy's own, which may not be meant. */
		else if (!slash && !mt_an_knows_account(a, ns, s) && elsewhere(a, s))
			mt_an_found(a, MT_FINDING_ID_unknown_account, &w->p->meta, l->v[i].line,
				"%s is %s/%s here, which nothing has; there is %s", s, ns, s,
				elsewhere(a, s));
		else if (ns)
			check_account(a, w, ns, slash ? slash + 1 : s, l->v[i].line);
	}
}

static void domains(struct mt_analysis *a, const struct mt_written *w, const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		check_domain(a, w, l->v[i].s, strlen(l->v[i].s), l->v[i].line);
}

void mt_an_source(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_source *s)
{
	const struct mt_written wanted = {w->p, w->rule, true};

	principals(a, &wanted, &s->principals);
	principals(a, w, &s->not_principals);
	namespaces(a, &wanted, &s->namespaces);
	namespaces(a, w, &s->not_namespaces);
	accounts(a, w, &s->service_accounts);
	accounts(a, w, &s->not_service_accounts);
	domains(a, w, &s->trust_domains);
	domains(a, w, &s->not_trust_domains);
	mt_an_addresses(a, w, s);
}

/* ---- conditions ------------------------------------------------------------------------------ */

/*
 * The condition key that an unknown key resembles; NULL: none. One with a name in brackets is
 * compared up to the bracket.
 */
static const char *condition_meant(const char *key)
{
	const char *known;

	for (uint32_t i = 0; (known = mt_authz_condition_key(i)) != NULL; i++) {
		size_t len = strlen(known);

		if (known[len - 1] == '['
				? strncmp(known, key, len - 1) == 0
				: strcasecmp(known, key) == 0 || mt_an_is_near(known, key))
			return known;
	}
	return NULL;
}

static void check_key(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_condition *c)
{
	const char *meant;
	bool named;

	/* Istio has `experimental` keys; another finding says that they are not supported. */
	if (mt_authz_is_condition(c->key.s) || strncmp(c->key.s, "experimental.", 13) == 0)
		return;
	meant = condition_meant(c->key.s);
	named = meant && meant[strlen(meant) - 1] == '[';
	mt_an_found(a, MT_FINDING_ID_unknown_condition, &w->p->meta,
		mt_an_line_or(c->key.line, &w->p->meta), "there is no condition %s%s%s%s", c->key.s,
		meant ? "; there is " : "", meant ? meant : "", named ? "NAME]" : "");
}

void mt_an_condition(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_condition *c)
{
	static const struct {
		const char *key;
		void (*check)(struct mt_analysis *a, const struct mt_written *w,
			const struct mt_texts *l);
	} kinds[] = {{"source.principal", principals}, {"source.namespace", namespaces},
		{"source.serviceAccount", accounts}, {"source.trustDomain", domains}};

	check_key(a, w, c);
	for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++) {
		if (strcmp(c->key.s, kinds[i].key) != 0)
			continue;
		kinds[i].check(a, &(struct mt_written){w->p, w->rule, true}, &c->values);
		kinds[i].check(a, w, &c->not_values);
	}
	if (strcmp(c->key.s, "source.ip") == 0 || strcmp(c->key.s, "remote.ip") == 0) {
		const struct mt_policy_source s = {
			.ip_blocks = c->values, .not_ip_blocks = c->not_values};

		mt_an_addresses(a, w, &s);
	}
}
