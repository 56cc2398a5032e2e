/* SPDX-License-Identifier: Apache-2.0 */
/* Authorizes calls and opaque streams at an endpoint, after it is chosen. */
#include "mt_authorize.h"

#include "access/mt_access_priv.h"
#include "mt_strmap.h"

#include <stdio.h>
#include <string.h>

/* ---- what the server may read ---------------------------------------------------------------------- */

struct reading_of {
	struct mt_authz_call call;
	const struct mt_authorize_request *ask;
};

static const struct mt_authorize_request *ask_of(const struct mt_authz_call *c)
{
	return mt_container_of(c, const struct reading_of, call)->ask;
}

static bool same_text(const struct mt_mutation *m, const uint8_t *p, uint32_t len)
{
	return m->key_len == len && memcmp(m->key, p, len) == 0;
}

static bool is_of(const struct mt_key *key, const char *p, uint32_t len)
{
	if (len != key->len)
		return false;
	return key->icase ? strncasecmp(p, key->name, len) == 0 : memcmp(p, key->name, len) == 0;
}

/* True if a change from position `from` on has exactly this name. */
bool mt_authorize_is_overlaid(
	const struct mt_view *v, uint32_t from, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = from; i < v->n_mutations; i++)
		if (same_text(&v->mutations[i], p, len))
			return true;
	return false;
}

/*
 * Finds the next value that a change sets for the key. Of several changes with exactly the same
 * name only the last counts, because the server gets its value.
 */
static bool next_change(
	const struct mt_view *v, const struct mt_key *key, uint32_t *at, struct mt_slice *value)
{
	while (*at < v->n_mutations) {
		const struct mt_mutation *m = &v->mutations[(*at)++];

		if (!m->value || !is_of(key, m->key, m->key_len) ||
			mt_authorize_is_overlaid(v, *at, (const uint8_t *)m->key, m->key_len))
			continue;
		*value = (struct mt_slice){(const uint8_t *)m->value, m->value_len};
		return true;
	}
	return false;
}

bool mt_authorize_unreadable(struct mt_view *v)
{
	if (!v->codec->metadata.index)
		return false;
	switch (mt_view_read(v)) {
	case MT_META_READ:
		return false;
	case MT_META_ABSENT:
		return v->codec->metadata.carries && v->codec->metadata.carries(v->codec, v->msg);
	default:
		return true;
	}
}

/* True if the metadata cannot be read, which is also so while the message is still arriving. */
static bool is_unreadable(const struct mt_authorize_request *a)
{
	return (!a->whole && a->v->codec->metadata.index) || mt_authorize_unreadable(a->v);
}

bool mt_authorize_lacks(const struct mt_view *v, const struct mt_key *key)
{
	return v->codec->metadata.lacks && v->codec->metadata.lacks(v->codec, v->msg, key);
}

/*
 * Reads the key's next value in the message, from entry *at on, that no change replaces. Sets *at
 * to the entry to continue with, or to MT_AUTHZ_LAST (mt_authz_reader).
 */
static enum mt_authz_read next_entry(const struct mt_authorize_request *a, const struct mt_key *key,
	uint32_t *at, struct mt_slice *value)
{
	struct mt_view *v = a->v;

	if (is_unreadable(a))
		return MT_AUTHZ_UNREADABLE;
	if (!v->codec->metadata.index || v->meta.state != MT_META_READ)
		return MT_AUTHZ_READ;
	for (uint32_t i = *at; (i = mt_meta_next(&v->meta, key, i)) != UINT32_MAX; i++) {
		const struct mt_meta_entry *e = &v->meta.entry[i];

		if (mt_authorize_is_overlaid(v, 0, e->key, e->key_len))
			continue;
		*at = i + 1;
		if (memcmp(e->key, key->name, key->len) == 0 &&
			mt_meta_next(&v->meta, key, i + 1) == UINT32_MAX)
			*at = MT_AUTHZ_LAST;
		return mt_meta_value(&v->meta, i, value, a->scratch->value) ? MT_AUTHZ_READ
									    : MT_AUTHZ_UNREADABLE;
	}
	*at = v->meta.n;
	return MT_AUTHZ_READ;
}

static enum mt_authz_read interfaces(struct mt_authz_call *c);
static enum mt_authz_read methods(struct mt_authz_call *c);

static bool is_part(const struct mt_codec *codec, const struct mt_key *key)
{
	for (uint32_t i = 0; i < codec->n_service_parts; i++)
		if (is_of(&codec->service_parts[i], key->name, key->len))
			return true;
	return false;
}

/* True if the name may also contain a group or a version. */
static bool is_more_than_a_name(struct mt_slice name)
{
	return memchr(name.p, '/', name.len) || memchr(name.p, ':', name.len);
}

/*
 * True if a service name of the call may contain a group or a version. Then the server may ignore
 * the metadata with the group or version.
 */
static bool is_in_a_name(struct mt_authz_call *c)
{
	if (c->interfaces_read == MT_AUTHZ_NOT_READ)
		c->interfaces_read = (uint8_t)interfaces(c);
	for (uint32_t i = 0; i < c->n_interfaces; i++)
		if (is_more_than_a_name(c->interfaces[i]))
			return true;
	return c->interfaces_read != MT_AUTHZ_READ;
}

/* True if the key names the service or method, and the server may use another name. */
static bool is_ambiguous(
	struct mt_authz_call *c, const struct mt_codec *codec, const struct mt_key *key)
{
	const char *service = codec->service_key;

	if (service && is_of(key, service, (uint32_t)strlen(service))) {
		if (c->interfaces_read == MT_AUTHZ_NOT_READ)
			c->interfaces_read = (uint8_t)interfaces(c);
		return c->interfaces_read != MT_AUTHZ_READ || c->n_interfaces > 1;
	}
	if (codec->method_key.name && is_of(key, codec->method_key.name, codec->method_key.len)) {
		if (c->methods_read == MT_AUTHZ_NOT_READ)
			c->methods_read = (uint8_t)methods(c);
		return c->methods_read != MT_AUTHZ_READ || c->n_methods > 1;
	}
	return false;
}

/*
 * Reads the key's next value. *pos is where to continue. 0: leading metadata; 1 + i: change i of
 * the view; 1 + v->n_mutations + i: entry i of the message.
 */
static enum mt_authz_read metadata(
	struct mt_authz_call *c, const struct mt_key *key, uint32_t *pos, struct mt_slice *value)
{
	const struct mt_authorize_request *a = ask_of(c);
	struct mt_view *v = a->v;
	enum mt_authz_read r;
	uint32_t at;

	if (*pos == 0) {
		if ((is_part(v->codec, key) && is_in_a_name(c)) || is_ambiguous(c, v->codec, key))
			return MT_AUTHZ_UNREADABLE;
		*pos = 1;
		/* Without an index all metadata are leading ones. */
		if ((key->id >= 0 || !v->codec->metadata.index) && v->codec->metadata.leading &&
			v->codec->metadata.leading(
				v->codec, v->msg, v->chain, key, value, a->scratch->value))
			return MT_AUTHZ_READ;
		if (mt_authorize_lacks(v, key))
			return MT_AUTHZ_UNREADABLE;
	}
	at = *pos - 1;
	if (at < v->n_mutations && next_change(v, key, &at, value)) {
		*pos = at + 1;
		return MT_AUTHZ_READ;
	}
	at = *pos - 1 > v->n_mutations ? *pos - 1 - v->n_mutations : 0;
	r = next_entry(a, key, &at, value);
	*pos = at == MT_AUTHZ_LAST ? MT_AUTHZ_LAST : at + 1 + v->n_mutations;
	return r;
}

enum mt_authz_read mt_authorize_metadata(const struct mt_authorize_request *ask,
	const struct mt_key *key, uint32_t *pos, struct mt_slice *value)
{
	struct reading_of r = {.ask = ask};

	return metadata(&r.call, key, pos, value);
}

/* Adds the name if it is new. False: the call has more than MT_AUTHZ_INTERFACES names. */
static bool add_interface(struct mt_authz_call *c, struct mt_slice name)
{
	for (uint32_t i = 0; i < c->n_interfaces; i++)
		if (c->interfaces[i].len == name.len &&
			memcmp(c->interfaces[i].p, name.p, name.len) == 0)
			return true;
	if (c->n_interfaces == MT_AUTHZ_INTERFACES)
		return false;
	c->interfaces[c->n_interfaces++] = name;
	return true;
}

/*
 * Adds the name. If it has the form GROUP/NAME:VERSION, adds every part that may be NAME, too;
 * groups may contain slashes and colons, so several parts may be.
 */
static bool add_names(struct mt_authz_call *c, const struct mt_codec *codec, struct mt_slice name)
{
	const uint8_t *end = name.p + name.len, *colon, *slash;

	if (!add_interface(c, name))
		return false;
	if (!codec->n_service_parts || mt_likely(!is_more_than_a_name(name)))
		return true;
	for (const uint8_t *p = name.p; p; p = slash ? slash + 1 : NULL) {
		slash = memchr(p, '/', (size_t)(end - p));
		colon = memchr(p, ':', (size_t)(end - p));
		if (!add_interface(c, (struct mt_slice){p, (uint32_t)((colon ? colon : end) - p)}))
			return false;
	}
	return true;
}

/* Adds all values of the keys from which the server may take the service's name. */
static enum mt_authz_read add_aliases(struct mt_authz_call *c, const struct mt_codec *codec)
{
	for (uint32_t k = 0; k < codec->n_service_aliases; k++)
		for (uint32_t pos = 1; pos != MT_AUTHZ_LAST;) {
			struct mt_slice v = {0};

			if (metadata(c, &codec->service_aliases[k], &pos, &v) != MT_AUTHZ_READ)
				return MT_AUTHZ_UNREADABLE;
			if (!v.p)
				break;
			/*
			 * A value in `scratch` is a number, which is not a name, and the next
			 * number overwrites it.
			 */
			if (v.p == ask_of(c)->scratch->value || !add_names(c, codec, v))
				return MT_AUTHZ_UNREADABLE;
		}
	return MT_AUTHZ_READ;
}

static enum mt_authz_read interfaces(struct mt_authz_call *c)
{
	const struct mt_authorize_request *a = ask_of(c);
	const struct mt_codec *codec = a->v->codec;
	struct mt_slice v;
	bool more;

	if (mt_unlikely(codec->executes_other))
		return MT_AUTHZ_UNREADABLE;
	if (codec->service_key && codec->metadata.leading) {
		struct mt_key key = mt_key_make(codec, codec->service_key);

		if (codec->metadata.leading(
			    codec, a->v->msg, a->v->chain, &key, &v, a->scratch->interface))
			more = !v.len || !add_names(c, codec, v);
		else
			more = codec->n_service_aliases > 0 || mt_authorize_lacks(a->v, &key);
		if (more)
			return MT_AUTHZ_UNREADABLE;
	}
	if (add_aliases(c, codec) != MT_AUTHZ_READ)
		return MT_AUTHZ_UNREADABLE;
	/* A call without a name is for the listener's service. */
	if (!c->n_interfaces && a->service)
		(void)add_interface(c, (struct mt_slice){(const uint8_t *)a->service->name,
					       (uint32_t)strlen(a->service->name)});
	return c->n_interfaces ? MT_AUTHZ_READ : MT_AUTHZ_UNREADABLE;
}

/*
 * True if the text is not a method's name. A server that splits names ("SERVICE:METHOD" of Thrift;
 * Apache Thrift for C++ skips empty parts) may find another method in the text than Meltemi.
 */
static bool is_no_method(struct mt_slice name)
{
	return !name.len || memchr(name.p, ':', name.len);
}

static enum mt_authz_read methods(struct mt_authz_call *c)
{
	const struct mt_authorize_request *a = ask_of(c);
	const struct mt_codec *codec = a->v->codec;
	struct mt_slice v;
	int inner = 0;

	if (codec->executes_other || !codec->metadata.leading ||
		!codec->metadata.leading(codec, a->v->msg, a->v->chain, &codec->method_key, &v,
			a->scratch->method) ||
		is_no_method(v))
		return MT_AUTHZ_UNREADABLE;
	c->methods[c->n_methods++] = v;
	if (codec->metadata.inner_method)
		inner = codec->metadata.inner_method(
			codec, a->v->msg, a->v->chain, &v, a->scratch->inner);
	if (inner > 0)
		c->methods[c->n_methods++] = v;
	return inner < 0 ? MT_AUTHZ_UNREADABLE : MT_AUTHZ_READ;
}

static const struct mt_authz_reader reader = {interfaces, methods, metadata};

/* ---- identity of the caller ------------------------------------------------------------------------ */

static struct mt_slice text_of(const char *s)
{
	return (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

/*
 * At endpoints only members of the mesh have a principal. A gateway may also accept certificates of
 * authorities that sign any name; principals of such certificates count only at the gateway's port.
 */
static void identify_by_tls(struct mt_authz_call *c, const struct mt_tls_peer *who, bool at_gate)
{
	if (who->sni[0])
		c->sni = text_of(who->sni);
	c->mtls = who->certificate && who->member;
	if (who->certificate && (who->member || at_gate))
		c->principal = mt_secure_principal(who);
}

/*
 * Identifies the caller by its certificate, else by the workload port where it entered
 * (ask->bound), which counts like a certificate. If the port's principal is ambiguous or not
 * configured, the caller is `unnamed`, not anonymous, because it could have caused the ambiguity to
 * evade a policy that denies its principal.
 */
static void identify(struct mt_authz_call *c, const struct mt_authorize_request *ask, bool at_gate)
{
	if (ask->who)
		identify_by_tls(c, ask->who, at_gate);
	if (mt_likely(!ask->bound))
		return;
	if (!c->principal.p && ask->bound->principal) {
		c->principal = text_of(ask->bound->principal);
		c->mtls = true;
	}
	c->unnamed = !c->principal.p;
}

bool mt_authorize_read_fields(const struct mt_authorize_request *ask, struct mt_authorize_fields *t)
{
	struct reading_of r = {.ask = ask};
	struct mt_authz_call *c = &r.call;

	identify(c, ask, ask->gate != NULL);
	/* With several names the external service could allow one, and the server use another. */
	if (is_unreadable(ask) || interfaces(c) != MT_AUTHZ_READ || c->n_interfaces != 1 ||
		methods(c) != MT_AUTHZ_READ)
		return false;
	*t = (struct mt_authorize_fields){.principal = c->principal,
		.sni = c->sni,
		.interface = c->interfaces[0],
		/* If the call's method is a generic one, the last is the method that it runs. */
		.method = c->methods[c->n_methods - 1]};
	return true;
}

enum mt_authz_effect mt_authorize_at_endpoint(
	const struct mt_authorize_request *ask, const struct mt_authz_policy **by)
{
	struct reading_of r = {.call = {.peer = ask->peer,
				       .server = ask->ep->addr,
				       .server_port = ask->ep->port,
				       .service_port = ask->cluster->port,
				       .sni_unkept = ask->sni_unkept,
				       .claims = ask->claims,
				       .asked = ask->asked,
				       .reader = ask->v ? &reader : &mt_authz_of_bytes,
				       .bytes = !ask->v},
		.ask = ask};

	identify(&r.call, ask, false);
	return mt_authz_judge(ask->cluster->guards[ask->ep - ask->cluster->eps], &r.call, by);
}

enum mt_authz_effect mt_authorize_at_gateway(
	const struct mt_authorize_request *ask, const struct mt_authz_policy **by)
{
	struct reading_of r = {.call = {.peer = ask->peer,
				       .server = ask->local,
				       .server_port = ask->gate->port,
				       .service_port = ask->gate->port,
				       .sni_unkept = ask->sni_unkept,
				       .claims = ask->claims,
				       .asked = ask->asked,
				       .reader = ask->v ? &reader : &mt_authz_of_bytes,
				       .bytes = !ask->v},
		.ask = ask};

	identify(&r.call, ask, true);
	return mt_authz_judge(ask->gate->rules, &r.call, by);
}

/* ---- calls ----------------------------------------------------------------------------------------- */

void mt_authorize_count(
	struct mt_proxy *p, enum mt_authz_effect e, const struct mt_authz_policy *by)
{
	mt_count(p->counters, e == MT_AUTHZ_CLOSED   ? MT_PROXY_exchange_closed
			      : e == MT_AUTHZ_UNREAD ? MT_PROXY_exchange_unreadable
						     : MT_PROXY_exchange_denied);
	p->denied.by = by ? by->by : NULL;
	if (e == MT_AUTHZ_CLOSED)
		mt_account_closed(p, by->closer);
}

/* Returns the request to authorize the call's client at `ep`, for the call or a copy of it. */
static struct mt_authorize_request ask_for(struct mt_proxy *p, const struct mt_exchange *ex,
	const struct mt_cluster *c, const struct mt_endpoint *ep)
{
	const struct mt_stream *down = mt_exchange_down(p, ex)->s;

	return (struct mt_authorize_request){.v = &p->view,
		.peer = p->view.peer,
		.who = mt_proxy_tls_peer(p, down),
		.bound = mt_snapshot_bound(p->snap, down),
		.cluster = c,
		.ep = ep,
		.service = ex->service,
		.scratch = &p->authorize_scratch,
		.asked = ex->asked,
		.whole = !ex->in_message};
}

/* ---- changes by an endpoint's policies ---- */

static void layer_begin(struct mt_proxy *p)
{
	const struct mt_view *v = &p->view;

	p->layer.n = v->n_mutations;
	memcpy(p->layer.change, v->mutations, v->n_mutations * sizeof(v->mutations[0]));
}

void mt_authorize_undo(struct mt_proxy *p)
{
	struct mt_view *v = &p->view;

	v->n_mutations = p->layer.n;
	memcpy(v->mutations, p->layer.change, v->n_mutations * sizeof(v->mutations[0]));
}

static bool same_change(const struct mt_mutation *a, const struct mt_mutation *b)
{
	return a->key == b->key && a->key_len == b->key_len && a->value == b->value &&
	       a->value_len == b->value_len;
}

bool mt_authorize_changed(const struct mt_proxy *p)
{
	const struct mt_view *v = &p->view;

	for (uint32_t i = 0; i < p->layer.n; i++)
		if (!same_change(&v->mutations[i], &p->layer.change[i]))
			return true;
	return v->n_mutations != p->layer.n;
}

static uint64_t add_id(uint64_t id, uint64_t more)
{
	return mt_hash_words(&more, sizeof(more), id);
}

/*
 * Ids of token rules and of external providers both start at 1 and may be equal, so a lowest bit is
 * added that tells the kinds apart.
 */
uint64_t mt_authorize_changes_id(const struct mt_authz *a)
{
	uint64_t id = 0;

	for (; a; a = a->also) {
		if (a->tokens)
			id = add_id(id, a->tokens->rules->id << 1 | 1);
		for (uint32_t i = 0; i < a->n_deny; i++)
			if (a->deny[i]->asks_id)
				id = add_id(id, (uint64_t)a->deny[i]->asks_id << 1);
	}
	return id;
}

/* Notes that the call was not sent to the endpoint; choose.c chooses it again after the wait. */
static void put_back(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);
	uint32_t at = (uint32_t)(ep - ex->attempt.cluster->eps);

	if (at < 64)
		ex->tried &= ~(1ull << at);
	side->verdict_at = at + 1;
	side->verdict_ep = ep->state->id;
}

/* False: token->reply_given (the call waits or was answered), or its metadata cannot be read. */
static bool token_passes(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep,
	const struct mt_authorize_request *ask, struct mt_tokens_judged *token)
{
	const struct mt_authz_tokens *t =
		ex->attempt.cluster->guards[ep - ex->attempt.cluster->eps]->tokens;

	switch (mt_tokens_judge(p, ex, ask, t, token)) {
	case MT_TOKENS_PASS:
		return true;
	case MT_TOKENS_UNREAD:
		return false;
	case MT_TOKENS_WAITS:
		put_back(p, ex, ep);
		break;
	case MT_TOKENS_ANSWER:
		mt_exchange_trace_denied(p, ex, ep, token->by);
		mt_reply_ending(p, ex, token->ending, token->text);
		break;
	}
	token->reply_given = true;
	return false;
}

/* Queries the external authorization service of `by`. If this fails, answers the call. */
static void ask_about(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep,
	const struct mt_authorize_request *ask, const struct mt_authz_policy *by)
{
	struct mt_unasked why;

	if (mt_ext_authz_begin(p, ex, ask, by, &why)) {
		put_back(p, ex, ep);
		return;
	}
	mt_exchange_trace_denied(p, ex, ep, by->by);
	mt_reply_ending(p, ex, why.ending, why.text);
}

/* Applies the local rate limit of an endpoint. False: the call exceeds it, and was answered. */
static bool is_within(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_inst *limit)
{
	struct mt_filter_ctx *ctx = &p->filter_ctx;

	if (limit->type->on_request(limit, &p->view, ctx) == MT_FILTER_NEXT)
		return true;
	mt_account_limited(p, ex, ctx->reply);
	mt_reply_local(p, ex, ctx->reply, ctx->reply_text);
	return false;
}

bool mt_authorize_call(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	const struct mt_authz *a = ex->attempt.cluster->guards[ep - ex->attempt.cluster->eps];
	struct mt_authorize_request ask = ask_for(p, ex, ex->attempt.cluster, ep);
	struct mt_tokens_judged token = {0};
	const struct mt_authz_policy *by = NULL;
	enum mt_authz_effect e = MT_AUTHZ_UNREAD;

	layer_begin(p);
	if (mt_unlikely(ex->asked))
		mt_ext_authz_compare(p, ex, &ask);
	if (!a->tokens || token_passes(p, ex, ep, &ask, &token)) {
		if (mt_unlikely(ex->asked) && !mt_ext_authz_changes(p, ex, a)) {
			mt_reply_local(p, ex, MT_REPLY_OVERLOAD,
				"its metadata cannot be changed as it has to be");
			return false;
		}
		ask.claims = token.claims;
		e = mt_authorize_at_endpoint(&ask, &by);
	} else if (token.reply_given) {
		return false;
	}
	if (e == MT_AUTHZ_ALLOWED) {
		if (a->limit && !is_within(p, ex, a->limit))
			return false;
		mt_tokens_hold(p, ex, &token);
		return true;
	}
	if (e == MT_AUTHZ_ASK) {
		/* The cache must not evict the claims while the call waits. */
		mt_tokens_hold(p, ex, &token);
		ask_about(p, ex, ep, &ask, by);
		return false;
	}
	mt_authorize_count(p, e, by);
	mt_exchange_trace_denied(p, ex, ep, by ? by->by : NULL);
	/* A denial is final: no other endpoint is tried. Callers do not learn the policy. */
	mt_reply_local(p, ex, MT_REPLY_DENIED, MT_DENIED_BY_POLICY);
	return false;
}

bool mt_authorize_copy(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_cluster *c,
	const struct mt_endpoint *ep)
{
	struct mt_authorize_request ask = ask_for(p, ex, c, ep);
	const struct mt_filter_inst *limit;
	const struct mt_authz_policy *by;

	/* The external authorization was for the call itself, not for copies. */
	ask.asked = 0;
	if (mt_likely(!ep->guarded))
		return true;
	/* Copies do not get the claims of the call's token, so token rules would deny them. */
	if (c->guards[ep - c->eps]->tokens ||
		mt_authorize_at_endpoint(&ask, &by) != MT_AUTHZ_ALLOWED)
		return false;
	limit = c->guards[ep - c->eps]->limit;
	return !limit || limit->type->on_request(limit, &p->view, &p->filter_ctx) == MT_FILTER_NEXT;
}
