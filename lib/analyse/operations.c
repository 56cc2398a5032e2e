/* SPDX-License-Identifier: Apache-2.0 */
/* Checks interfaces, methods and paths in rules that no call has. */
#include "mt_analyse_priv.h"

#include <ctype.h>
#include <string.h>

static const char *lower(struct mt_analysis *a, const char *s, size_t len)
{
	char *copy = mt_region_strndup(&a->region, s, len);

	for (char *p = copy; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static const char *last_of(const char *s)
{
	const char *dot = strrchr(s, '.');

	return dot ? dot + 1 : s;
}

/*
 * A known interface of the same package, where one name starts with the other, or with the same
 * name in another package.
 */
static const char *alike(struct mt_analysis *a, const char *name)
{
	const char *key, *best = NULL, *own = last_of(name);
	size_t package = (size_t)(own - name);
	uint32_t pos = 0;

	if (!mt_an_may(a, (uint64_t)a->interfaces.n * MT_AN_WORD))
		return NULL;
	while (mt_strmap_next(&a->interfaces, &pos, &key)) {
		const char *other = last_of(key);
		size_t both = MT_MIN(strlen(own), strlen(other));
		bool same_package =
			(size_t)(other - key) == package && strncmp(key, name, package) == 0;

		if (((same_package && package && both >= 4 && strncmp(own, other, both) == 0) ||
			    (both >= 6 && strcmp(own, other) == 0)) &&
			(!best || strcmp(key, best) < 0))
			best = key;
	}
	return best;
}

/*
 * Checks an interface. At ports of Kubernetes Services an unknown one is not reported, because
 * names of Services do not show their interfaces.
 */
static void check_interface(struct mt_analysis *a, const struct mt_written *w,
	const struct mt_policy_use *use, const char *s, size_t len, uint32_t line)
{
	const char *name = lower(a, s, len), *meant, *known;

	if (!name || !*name || strchr(name, '*'))
		return;
	known = mt_strmap_get(&a->interfaces, name);
	/*
	 * Hosts are in lower case even if the interface is not; a known name with capitals is
	 * exact.
	 */
	if (known && strcmp(known, name) != 0 && strncmp(known, s, len) != 0)
		mt_an_found(a, MT_FINDING_ID_unknown_interface, &w->p->meta, line,
			"there is no %.*s, but %s; upper and lower case differ", (int)len, s,
			known);
	if (known)
		return;
	meant = mt_an_near_of(a, &a->interfaces, name);
	if (!meant)
		meant = alike(a, name);
	if (meant)
		mt_an_found(a, MT_FINDING_ID_unknown_interface, &w->p->meta, line,
			"there is no %.*s, but %s", (int)len, s,
			(const char *)mt_strmap_get(&a->interfaces, meant));
	else if (use->dubbo && !use->kubernetes && !a->mesh)
		mt_an_found(a, MT_FINDING_ID_interface_unseen, &w->p->meta, line,
			"no host, annotation or route here is %.*s", (int)len, s);
}

static void check_method(
	struct mt_analysis *a, const struct mt_written *w, const char *s, uint32_t line)
{
	const char *meant = mt_strmap_get(&a->methods, s) ? NULL : mt_an_slip_of(a, &a->methods, s);

	if (meant)
		mt_an_found(a, MT_FINDING_ID_interface_unseen, &w->p->meta, line,
			"the method %s; routes here have %s", s, meant);
}

/* ---- methods, interfaces --------------------------------------------------------------------- */

static bool is_verb(const char *s)
{
	static const char *const verbs[] = {
		"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"};

	for (size_t i = 0; i < MT_ARRAY_LEN(verbs); i++)
		if (strcmp(s, verbs[i]) == 0)
			return true;
	return false;
}

/* Checks methods. At ports of opaque TCP they may be meant for HTTP. */
static void methods(struct mt_analysis *a, const struct mt_written *w,
	const struct mt_policy_use *use, const struct mt_texts *l)
{
	const char *verbs = NULL;
	uint32_t line = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct mt_text *t = &l->v[i];

		if (mt_an_star_inside(a, w, t) || (is_verb(t->s) && use->bytes))
			continue;
		if (strpbrk(t->s, "/ \t") && !use->bytes) {
			mt_an_found(a, MT_FINDING_ID_method_form, &w->p->meta, t->line,
				"no method is called \"%s\"", t->s);
			continue;
		}
		if (!is_verb(t->s)) {
			check_method(a, w, t->s, t->line);
			continue;
		}
		verbs = verbs ? mt_region_printf(&a->region, "%s, %s", verbs, t->s) : t->s;
		line = line ? line : t->line;
	}
	if (verbs)
		mt_an_found(a, MT_FINDING_ID_http_method, &w->p->meta, line, "%s: of HTTP", verbs);
}

static void interfaces(struct mt_analysis *a, const struct mt_written *w,
	const struct mt_policy_use *use, const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!mt_an_star_inside(a, w, &l->v[i]))
			check_interface(a, w, use, l->v[i].s, strlen(l->v[i].s), l->v[i].line);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static uint32_t slashes(const char *s)
{
	uint32_t n = 0;

	for (; *s; s++)
		n += *s == '/';
	return n;
}

/* Checks a path "/INTERFACE/METHOD", which may begin or end with a star. */
static void check_path(struct mt_analysis *a, const struct mt_written *w,
	const struct mt_policy_use *use, const struct mt_text *t)
{
	const char *s = t->s[0] == '/' ? t->s + 1 : t->s, *end = strchr(s, '/');
	size_t len = strlen(t->s);
	bool any = t->s[0] == '*', cut = len > 1 && t->s[len - 1] == '*';
	/* A suffix may contain both slashes, other forms one slash after the first. */
	uint32_t n = slashes(any ? t->s : s), most = any ? 2 : 1;

	if (len == 0 || strcmp(t->s, "*") == 0 || strchr(t->s, '{') || mt_an_star_inside(a, w, t))
		return;
	if (n > most || (n < 1 && !any && !cut)) {
		mt_an_found(a, MT_FINDING_ID_path_form, &w->p->meta, t->line,
			"%s is not /INTERFACE/METHOD", t->s);
		return;
	}
	if (!any && end && end > s)
		check_interface(a, w, use, s, (size_t)(end - s), t->line);
	if (!any && end && end[1] && !cut)
		check_method(a, w, end + 1, t->line);
}

static void paths(struct mt_analysis *a, const struct mt_written *w,
	const struct mt_policy_use *use, const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		check_path(a, w, use, &l->v[i]);
}

void mt_an_operation(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_operation *o)
{
	const struct mt_policy_use *use = mt_an_policy_use_of(a, w->p->meta.serial);

	/* At other ports these fields may be for HTTP, which other proxies evaluate. */
	if (!use || !use->messages)
		return;
	methods(a, w, use, &o->methods);
	methods(a, w, use, &o->not_methods);
	interfaces(a, w, use, &o->interfaces);
	interfaces(a, w, use, &o->not_interfaces);
	paths(a, w, use, &o->paths);
	paths(a, w, use, &o->not_paths);
}
