/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluates rules for a call. A match has four results, NO < UNKNOWN < UNREAD < YES, so that
 * conditions that cannot be evaluated and data that cannot be read never allow a call. "All of"
 * takes the least result, "one of" the greatest. If the server may use any of several names or
 * values, a DENY rule matches if one of them does, an ALLOW rule only if all do.
 */
#include "mt_authz_priv.h"

#include <ctype.h>
#include <string.h>

/* ---- texts ----------------------------------------------------------------------------------- */

/* A text in up to four parts, which need not be adjacent in memory. */
struct text {
	struct mt_slice part[4];
	uint32_t len;
};

static const struct mt_slice slash = {(const uint8_t *)"/", 1};

static struct text text_of(struct mt_slice a)
{
	return (struct text){{a}, a.len};
}

/* True if `t` contains want[0..n) at offset `at`. Requires at + n <= t->len. */
static bool stands_at(const struct text *t, uint32_t at, const uint8_t *want, uint32_t n)
{
	if (mt_likely(t->part[0].len == t->len))
		return memcmp(t->part[0].p + at, want, n) == 0;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(t->part) && n > 0; i++) {
		struct mt_slice p = t->part[i];
		uint32_t len;

		if (at >= p.len) {
			at -= p.len;
			continue;
		}
		len = MT_MIN(p.len - at, n);
		if (memcmp(p.p + at, want, len) != 0)
			return false;
		at = 0;
		want += len;
		n -= len;
	}
	return n == 0;
}

static bool begins(const struct text *t, struct mt_slice want)
{
	const struct mt_slice *p = &t->part[0];

	if (p->len < want.len)
		return false;
	for (uint32_t i = 0; i < want.len; i++)
		if (tolower(p->p[i]) != tolower(want.p[i]))
			return false;
	return true;
}

/*
 * True if the text matches a pattern with stars. A star first matches no letter, then one more each
 * time the rest of the pattern does not match.
 */
static bool fits_stars(struct mt_slice want, struct mt_slice t)
{
	uint32_t i = 0, at = 0, star = UINT32_MAX, from = 0;

	while (at < t.len) {
		if (i < want.len && want.p[i] == '*') {
			star = i++;
			from = at;
		} else if (i < want.len && want.p[i] == t.p[at]) {
			i++;
			at++;
		} else if (star != UINT32_MAX) {
			i = star + 1;
			at = ++from;
		} else {
			return false;
		}
	}
	while (i < want.len && want.p[i] == '*')
		i++;
	return i == want.len;
}

static bool text_fits(const struct mt_authz_value *v, const struct text *t)
{
	switch ((enum mt_authz_match)v->match) {
	case MT_AUTHZ_EXACT:
		return t->len == v->text.len && stands_at(t, 0, v->text.p, v->text.len);
	case MT_AUTHZ_PREFIX:
		return t->len >= v->text.len && stands_at(t, 0, v->text.p, v->text.len);
	case MT_AUTHZ_SUFFIX:
		return t->len >= v->text.len &&
		       stands_at(t, t->len - v->text.len, v->text.p, v->text.len);
	case MT_AUTHZ_PRESENT:
		return true;
	case MT_AUTHZ_NONEMPTY:
		return t->len > 0;
	case MT_AUTHZ_BEGINS:
		return begins(t, v->text);
	case MT_AUTHZ_STARS:
		return fits_stars(v->text, t->part[0]);
	}
	return false;
}

bool mt_authz_text_fits(const struct mt_authz_value *v, struct mt_slice text)
{
	struct text t = text_of(text);

	return text_fits(v, &t);
}

static bool one_text_fits(
	struct mt_authz_call *c, const struct mt_authz_value *v, uint32_t n, const struct text *t)
{
	for (uint32_t i = 0; i < n; i++) {
		c->steps++;
		if (text_fits(&v[i], t))
			return true;
	}
	return false;
}

static enum fits cond_fits_text(
	struct mt_authz_call *c, const struct mt_authz_cond *w, const struct text *t)
{
	return (!w->n_values || one_text_fits(c, w->values, w->n_values, t)) &&
			       !one_text_fits(c, w->nots, w->n_nots, t)
		       ? YES
		       : NO;
}

/* ---- addresses and ports --------------------------------------------------------------------- */

static bool one_net_has(struct mt_authz_call *c, const struct mt_authz_value *v, uint32_t n,
	const struct mt_addr *a)
{
	for (uint32_t i = 0; i < n; i++) {
		c->steps++;
		if (mt_prefix_contains(&v[i].net, v[i].bits, a))
			return true;
	}
	return false;
}

static enum fits cond_fits_addr(
	struct mt_authz_call *c, const struct mt_authz_cond *w, const struct mt_addr *a)
{
	return (!w->n_values || one_net_has(c, w->values, w->n_values, a)) &&
			       !one_net_has(c, w->nots, w->n_nots, a)
		       ? YES
		       : NO;
}

static bool one_port_is(
	struct mt_authz_call *c, const struct mt_authz_value *v, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++) {
		c->steps++;
		if (v[i].port == port)
			return true;
	}
	return false;
}

/*
 * Compares ports. A DENY rule may specify the server's port or the service's port. `nots` exclude
 * only the server's port, as at a sidecar of the server.
 */
static enum fits cond_fits_port(struct mt_authz_call *c, const struct mt_authz_cond *w, bool denies)
{
	bool named = !w->n_values || one_port_is(c, w->values, w->n_values, c->server_port) ||
		     (denies && one_port_is(c, w->values, w->n_values, c->service_port));

	return named && !one_port_is(c, w->nots, w->n_nots, c->server_port) ? YES : NO;
}

/* ---- the caller ------------------------------------------------------------------------------ */

/*
 * Reads an identity field from the principal. A principal that is not of the mesh's form has no
 * namespace and account. If such a principal contains "/ns/", the field is unreadable, because
 * Istio's patterns could find a namespace or account in it.
 */
static enum mt_authz_read identity(const struct mt_authz_call *c, uint8_t field, struct text *t)
{
	struct mt_slice whole = c->principal;
	struct mt_authz_member m;
	const uint8_t *end;

	*t = text_of(whole);
	if (!whole.p)
		return c->unnamed ? MT_AUTHZ_UNREADABLE : MT_AUTHZ_NOT_READ;
	if (field == MT_AUTHZ_PRINCIPAL)
		return MT_AUTHZ_READ;
	if (field == MT_AUTHZ_TRUST_DOMAIN) {
		end = memchr(whole.p, '/', whole.len);
		if (end)
			t->len = t->part[0].len = (uint32_t)(end - whole.p);
		return MT_AUTHZ_READ;
	}
	if (!mt_authz_member(whole, &m))
		return memmem(whole.p, whole.len, "/ns/", 4) ? MT_AUTHZ_UNREADABLE
							     : MT_AUTHZ_NOT_READ;
	*t = field == MT_AUTHZ_NAMESPACE
		     ? text_of(m.ns)
		     : (struct text){{m.ns, slash, m.account}, m.ns.len + 1 + m.account.len};
	return MT_AUTHZ_READ;
}

/* Returns the result for a field that the call lacks, which matches no value and no `not`. */
static enum fits lacks(const struct mt_authz_cond *w)
{
	return w->n_values ? NO : YES;
}

static enum fits cond_fits_identity(struct mt_authz_call *c, const struct mt_authz_cond *w)
{
	struct text t;

	switch (identity(c, w->field, &t)) {
	case MT_AUTHZ_READ:
		return cond_fits_text(c, w, &t);
	case MT_AUTHZ_NOT_READ:
		return lacks(w);
	default:
		return UNREAD;
	}
}

static enum fits cond_fits_sni(struct mt_authz_call *c, const struct mt_authz_cond *w)
{
	struct text t = text_of(c->sni);

	if (c->sni_unkept)
		return UNREAD;
	return c->sni.p ? cond_fits_text(c, w, &t) : lacks(w);
}

/* ---- the token ------------------------------------------------------------------------------- */

static bool part_fits(
	const struct mt_claims *c, struct mt_claims_text of, uint8_t match, struct mt_slice want)
{
	const struct mt_authz_value v = {.match = match, .text = want};
	struct text t = text_of(mt_claims_text(c, of));

	return text_fits(&v, &t);
}

static bool one_principal_fits(struct mt_authz_call *c, const struct mt_authz_value *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		c->steps++;
		if (part_fits(c->claims, c->claims->issuer, v[i].match, v[i].text) &&
			part_fits(c->claims, c->claims->subject, v[i].sub_match, v[i].sub))
			return true;
	}
	return false;
}

/* Compares issuer and subject. A token without one of them has no request principal. */
static enum fits cond_fits_token(struct mt_authz_call *c, const struct mt_authz_cond *w)
{
	if (c->bytes)
		return UNREAD;
	if (!c->claims || !c->claims->issuer.off || !c->claims->subject.off)
		return lacks(w);
	return (!w->n_values || one_principal_fits(c, w->values, w->n_values)) &&
			       !one_principal_fits(c, w->nots, w->n_nots)
		       ? YES
		       : NO;
}

/*
 * Compares each text of the claim. One text must match a value, and none may match a `not`. A claim
 * that is neither a text nor a list of texts counts as absent.
 */
static enum fits cond_fits_claim(struct mt_authz_call *c, const struct mt_authz_cond *w)
{
	bool there = false, fits = !w->n_values, spared = false;
	struct mt_claims_at at = {0};
	struct mt_claim one;

	if (c->bytes)
		return UNREAD;
	while (c->claims && mt_claims_find(c->claims, w->path, &at, &one)) {
		struct text t = text_of(one.value);

		c->steps++;
		if (one.kind != MT_CLAIM_STRING)
			continue;
		there = true;
		fits = fits || one_text_fits(c, w->values, w->n_values, &t);
		spared = spared || one_text_fits(c, w->nots, w->n_nots, &t);
	}
	if (!there)
		return lacks(w);
	return fits && !spared ? YES : NO;
}

/* ---- the operation --------------------------------------------------------------------------- */

/*
 * The interface and method for which a call is evaluated, as indices in c->interfaces and
 * c->methods. These arrays have all names that the server may read from the call.
 */
struct taken_for {
	uint32_t interface, method;
};

static enum fits cond_fits_path(
	struct mt_authz_call *c, const struct mt_authz_cond *w, struct taken_for as)
{
	const struct mt_slice *i = &c->interfaces[as.interface], *m = &c->methods[as.method];
	struct text t = {{slash, *i, slash, *m}, 2 + i->len + m->len};

	if (c->interfaces_read != MT_AUTHZ_READ || c->methods_read != MT_AUTHZ_READ)
		return UNREAD;
	return cond_fits_text(c, w, &t);
}

static enum fits cond_fits_method(
	struct mt_authz_call *c, const struct mt_authz_cond *w, struct taken_for as)
{
	struct text t = text_of(c->methods[as.method]);

	return c->methods_read == MT_AUTHZ_READ ? cond_fits_text(c, w, &t) : UNREAD;
}

static enum fits cond_fits_interface(
	struct mt_authz_call *c, const struct mt_authz_cond *w, struct taken_for as)
{
	struct text t = text_of(c->interfaces[as.interface]);

	return c->interfaces_read == MT_AUTHZ_READ ? cond_fits_text(c, w, &t) : UNREAD;
}

/*
 * Compares metadata. The server may use any value of a repeated key, so a DENY rule matches if one
 * value does, an ALLOW rule only if all do.
 */
static enum fits cond_fits_metadata(
	struct mt_authz_call *c, const struct mt_authz_cond *w, bool denies)
{
	enum fits all = denies ? NO : YES;
	bool there = false;

	for (uint32_t pos = 0; pos != MT_AUTHZ_LAST;) {
		struct mt_slice v = {0};
		struct text t;
		enum fits f;

		c->steps++;
		if (c->reader->metadata(c, &w->key, &pos, &v) != MT_AUTHZ_READ)
			return UNREAD;
		if (!v.p)
			break;
		there = true;
		t = text_of(v);
		f = cond_fits_text(c, w, &t);
		all = denies ? MT_MAX(all, f) : MT_MIN(all, f);
	}
	return there ? all : lacks(w);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static enum fits cond_fits(
	struct mt_authz_call *c, const struct mt_authz_cond *w, bool denies, struct taken_for as)
{
	c->steps++;
	switch ((enum mt_authz_field)w->field) {
	case MT_AUTHZ_PEER:
		return cond_fits_addr(c, w, &c->peer);
	case MT_AUTHZ_SERVER:
		return cond_fits_addr(c, w, &c->server);
	case MT_AUTHZ_PORT:
		return cond_fits_port(c, w, denies);
	case MT_AUTHZ_PRINCIPAL:
	case MT_AUTHZ_NAMESPACE:
	case MT_AUTHZ_ACCOUNT:
	case MT_AUTHZ_TRUST_DOMAIN:
		return cond_fits_identity(c, w);
	case MT_AUTHZ_SNI:
		return cond_fits_sni(c, w);
	case MT_AUTHZ_CLEAR:
		return c->mtls ? NO : YES;
	case MT_AUTHZ_TOKEN:
		return cond_fits_token(c, w);
	case MT_AUTHZ_CLAIM:
		return cond_fits_claim(c, w);
	case MT_AUTHZ_NOBODY:
		return lacks(w);
	case MT_AUTHZ_METHOD:
		return cond_fits_method(c, w, as);
	case MT_AUTHZ_INTERFACE:
		return cond_fits_interface(c, w, as);
	case MT_AUTHZ_PATH:
		return cond_fits_path(c, w, as);
	case MT_AUTHZ_METADATA:
		return cond_fits_metadata(c, w, denies);
	case MT_AUTHZ_UNKNOWN:
		break;
	}
	return UNKNOWN;
}

enum fits mt_authz_cond_fits(struct mt_authz_call *c, const struct mt_authz_cond *w, bool denies)
{
	return cond_fits(c, w, denies, (struct taken_for){0, 0});
}

static enum fits all_fit(
	struct mt_authz_call *c, const struct mt_authz_conds *l, bool denies, struct taken_for as)
{
	enum fits all = YES;

	for (uint32_t i = 0; i < l->n && all != NO; i++) {
		enum fits f = cond_fits(c, &l->v[i], denies, as);

		all = MT_MIN(all, f);
	}
	return all;
}

static enum fits one_fits(struct mt_authz_call *c, const struct mt_authz_conds *l, uint32_t n,
	bool denies, struct taken_for as)
{
	enum fits one = n ? NO : YES;

	for (uint32_t i = 0; i < n && one != YES; i++) {
		enum fits f = all_fit(c, &l[i], denies, as);

		one = MT_MAX(one, f);
	}
	return one;
}

static void read_names(struct mt_authz_call *c, const struct mt_authz_rule *r)
{
	if (r->by_method && c->methods_read == MT_AUTHZ_NOT_READ)
		c->methods_read = (uint8_t)c->reader->methods(c);
	if (r->by_interface && c->interfaces_read == MT_AUTHZ_NOT_READ)
		c->interfaces_read = (uint8_t)c->reader->interfaces(c);
}

/*
 * Matches `to` for each pair of names that the server may read from the call. A DENY rule matches
 * if one pair does, an ALLOW rule only if all do.
 */
static enum fits operation_fits(struct mt_authz_call *c, const struct mt_authz_rule *r, bool denies)
{
	enum fits all = denies ? NO : YES;
	uint32_t n_i = 1, n_m = 1;

	read_names(c, r);
	if (r->by_interface && c->interfaces_read == MT_AUTHZ_READ)
		n_i = c->n_interfaces;
	if (r->by_method && c->methods_read == MT_AUTHZ_READ)
		n_m = c->n_methods;
	for (uint32_t i = 0; i < n_i * n_m; i++) {
		struct taken_for as = {i / n_m, i % n_m};
		enum fits f = one_fits(c, r->to, r->n_to, denies, as);

		all = denies ? MT_MAX(all, f) : MT_MIN(all, f);
	}
	return all;
}

/* Evaluates a rule, first the conditions that need nothing of the message. */
enum fits mt_authz_rule_fits(struct mt_authz_call *c, const struct mt_authz_rule *r, bool denies)
{
	const struct taken_for nothing = {0, 0};
	enum fits all = YES, f;

	c->steps++;
	if (r->n_from)
		all = one_fits(c, r->from, r->n_from, denies, nothing);
	if (all != NO && r->when.n) {
		f = all_fit(c, &r->when, denies, nothing);
		all = MT_MIN(all, f);
	}
	if (all == NO || !r->n_to)
		return all;
	f = operation_fits(c, r, denies);
	return MT_MIN(all, f);
}

enum fits mt_authz_policy_fits(struct mt_authz_call *c, const struct mt_authz_policy *p)
{
	enum fits one = NO;

	for (uint32_t i = 0; i < p->n_rules && one != YES; i++) {
		enum fits f = mt_authz_rule_fits(c, &p->rules[i], p->action != MT_AUTHZ_ALLOW);

		one = MT_MAX(one, f);
	}
	return one;
}

enum mt_authz_effect mt_authz_denied(const struct mt_authz_policy *p, enum fits f)
{
	if (f == UNREAD)
		return MT_AUTHZ_UNREAD;
	if (p->asks)
		return MT_AUTHZ_ASK;
	return f == UNKNOWN || p->action == MT_AUTHZ_CLOSE ? MT_AUTHZ_CLOSED : MT_AUTHZ_DENIED;
}

/* Evaluates the policies one after the other, without an index. */
static __attribute__((noinline)) enum mt_authz_effect judge_by_all(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by)
{
	const struct mt_authz_policy *nearly = NULL;
	enum fits best = NO;

	for (uint32_t i = 0; i < a->n_deny; i++) {
		enum fits f =
			mt_authz_is_asked(c, a->deny[i]) ? NO : mt_authz_policy_fits(c, a->deny[i]);

		if (f != NO) {
			*by = a->deny[i];
			return mt_authz_denied(a->deny[i], f);
		}
	}
	if (!a->n_allow)
		return MT_AUTHZ_ALLOWED;
	for (uint32_t i = 0; i < a->n_allow; i++) {
		enum fits f = mt_authz_policy_fits(c, a->allow[i]);

		if (f == YES)
			return MT_AUTHZ_ALLOWED;
		if (f > best || !nearly)
			nearly = a->allow[i];
		best = MT_MAX(best, f);
	}
	*by = nearly;
	return best == NO ? MT_AUTHZ_DENIED : mt_authz_denied(nearly, best);
}

static enum mt_authz_effect judge(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by)
{
	return a->index ? mt_authz_judge_by_index(a, c, by) : judge_by_all(a, c, by);
}

static mt_noinline enum mt_authz_effect judge_by_several(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by)
{
	enum mt_authz_effect e = MT_AUTHZ_ALLOWED;

	for (; a && e == MT_AUTHZ_ALLOWED; a = a->also)
		e = judge(a, c, by);
	return e;
}

enum mt_authz_effect mt_authz_judge(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by)
{
	*by = NULL;
	if (!a)
		return MT_AUTHZ_ALLOWED;
	return mt_unlikely(a->also) ? judge_by_several(a, c, by) : judge(a, c, by);
}
