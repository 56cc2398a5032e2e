/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities that the node holds beside its own (Node `spec.identities`): of callers, who are connected by them, and of services, whose
 * clients are shown them. One that cannot be had is nobody else's to stand for.
 */
#include "mt_conf_credentials_priv.h"
#include "mt_conf_holders_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_policy_priv.h"

#include <errno.h>
#include <string.h>

/* ---- their life ------------------------------------------------------------------------------------ */

static void drop(struct mt_held *h)
{
	mt_tls_context_drop(h->like);
	mt_credential_drop(h->credential);
	free(h->principal);
}

static void drop_all(struct mt_held *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		drop(&v[i]);
	free(v);
}

void mt_held_fini(struct mt_conf *c)
{
	drop_all(c->held, c->n_held);
	c->held = NULL;
	c->n_held = 0;
}

static bool is_same(const struct mt_conf *c, const struct mt_conf_held *v, uint32_t n)
{
	for (uint32_t i = 0; n == c->n_held && i < n; i++)
		if (c->held[i].credential != v[i].credential ||
			strcmp(c->held[i].principal, v[i].principal) != 0)
			return false;
	return n == c->n_held;
}

/* What the library keeps of it is made once for all clusters, as long as it is the same. */
static struct mt_tls_context *like_of(const struct mt_conf *c, const struct mt_credential *of)
{
	for (uint32_t i = 0; of && i < c->n_held; i++)
		if (c->held[i].credential == of && c->held[i].like)
			return mt_tls_context_hold(c->held[i].like);
	return NULL;
}

/* The serial number with which the Node got it, which may be the next one. */
static uint64_t since(const struct mt_conf *c, const char *principal)
{
	for (uint32_t i = 0; i < c->n_held; i++)
		if (strcmp(c->held[i].principal, principal) == 0)
			return c->held[i].since;
	return c->identity_serial + 1;
}

int mt_conf_set_held(struct mt_conf *c, const struct mt_conf_held *v, uint32_t n)
{
	struct mt_held *held;

	if (is_same(c, v, n))
		return 0;
	held = calloc(n + 1, sizeof(*held));
	for (uint32_t i = 0; held && i < n; i++) {
		held[i].principal = strdup(v[i].principal);
		if (!held[i].principal) {
			drop_all(held, i);
			held = NULL;
			break;
		}
		held[i].like = like_of(c, v[i].credential);
		held[i].since = since(c, v[i].principal);
		held[i].credential = v[i].credential ? mt_credential_hold(v[i].credential) : NULL;
	}
	if (!held)
		return -ENOMEM;
	mt_held_fini(c);
	c->held = held;
	c->n_held = n;
	c->identity_serial++;
	return 1;
}

bool mt_b_is_somebody(const struct mt_build *b)
{
	for (uint32_t i = 0; i < b->conf->n_held; i++)
		if (b->conf->held[i].credential)
			return true;
	return b->conf->identity != NULL;
}

const char *mt_b_held_domain(struct mt_build *b)
{
	const char *name = b->conf->n_held ? b->conf->held[0].principal + strlen(MT_SPIFFE) : "";

	return *name ? mt_region_printf(&b->tmp, "%.*s", (int)strcspn(name, "/"), name) : NULL;
}

/* ---- of services ------------------------------------------------------------------------------------ */

/* The namespace and account that a held identity names. */
struct account {
	const char *ns, *sa; /* sa: NULL: it is not of the mesh's trust domains */
	size_t n_ns;
};

static struct account account_of(
	const struct mt_held *held, const char *const *domains, uint32_t n_domains)
{
	const char *name = held->principal + strlen(MT_SPIFFE), *ns, *sa;

	for (uint32_t i = 0; i < n_domains; i++) {
		size_t n = strlen(domains[i]);

		if (strncmp(name, domains[i], n) != 0 || strncmp(name + n, "/ns/", 4) != 0)
			continue;
		ns = name + n + 4;
		sa = strstr(ns, "/sa/");
		return (struct account){ns, sa ? sa + 4 : NULL, sa ? (size_t)(sa - ns) : 0};
	}
	return (struct account){0};
}

/*
 * True if the account of an endpoint in `ns` is the held one. Also a whole principal must be one of
 * `ns`, so that authors of other namespaces cannot show the identity.
 */
static bool is_account(
	const struct mt_held *held, const struct account *of, const char *ns, const char *sa)
{
	bool whole = strncmp(sa, MT_SPIFFE, strlen(MT_SPIFFE)) == 0;

	return of->sa && strncmp(ns, of->ns, of->n_ns) == 0 && ns[of->n_ns] == '\0' &&
	       strcmp(whole ? held->principal : of->sa, sa) == 0;
}

/* Sets the first identity of the node that is an account of the host's endpoints. */
static void find_held(struct mt_build *b, const struct account *accounts, struct mt_host *h)
{
	uint32_t best = b->conf->n_held;

	for (uint32_t i = 0; i < h->n_workloads; i++) {
		const struct mt_workload *w = h->workloads[i];
		const struct mt_meta *of = mt_instance_meta(h, w);
		const char *sa = w->service_account.s;
		uint32_t k = 0;

		while (sa && *sa && k < b->conf->n_held && k <= best &&
			!is_account(&b->conf->held[k], &accounts[k], of->ns, sa))
			k++;
		if (!sa || !*sa || k == b->conf->n_held || k > best)
			continue;
		if (k < best)
			h->held_by_others = false;
		best = k;
		h->held_by_others |= of != &h->se->meta;
	}
	h->held = best < b->conf->n_held ? &b->conf->held[best] : NULL;
}

void mt_b_held_hosts(struct mt_build *b)
{
	const char *domains[MT_B_DOMAINS];
	uint32_t n = b->conf->n_held ? mt_b_trust_domains(b, domains) : 0;
	struct account *accounts =
		n ? mt_region_alloc(&b->tmp, sizeof(*accounts) * b->conf->n_held) : NULL;

	for (uint32_t i = 0; accounts && i < b->conf->n_held; i++)
		accounts[i] = account_of(&b->conf->held[i], domains, n);
	for (uint32_t i = 0; accounts && i < b->n_hosts; i++)
		find_held(b, accounts, &b->host_list[i]);
}

static const char apart[] = "give each an address of its own";

/* True if the object's identity is the one that is shown at the listener now. */
static bool is_shown(struct mt_build *b, const struct mt_listen *l, const struct mt_held *held,
	const struct mt_meta *meta)
{
	return held && mt_b_claim(b, mt_place_of_identity(l->text, held->principal), meta) <
			       MT_CLAIM_NOT_HELD;
}

/* True if both objects are at the listener, or were before a restart: neither came later. */
static bool are_there(struct mt_build *b, const struct mt_listen *l, const struct mt_meta *meta)
{
	uint64_t place = mt_place_id(l->text, NULL);

	return (mt_b_claim(b, place, meta) < MT_CLAIM_NOT_HELD &&
		       mt_b_claim(b, place, l->shows_by) < MT_CLAIM_NOT_HELD) ||
	       mt_b_were_applied(b, meta, l->shows_by);
}

/* True if the Node got the identity after the configuration in force. */
static bool is_added(const struct mt_build *b, const struct mt_held *held)
{
	return b->conf->current &&
	       mt_container_of(b->conf->current, struct mt_snap, pub)->identity_serial <
		       held->since;
}

/*
 * MT_CLAIM_CHANGED if documents have changed the object's identity: neither did the Node get it now,
 * nor did the object have it at the listener.
 */
static unsigned int changed(struct mt_build *b, const struct mt_listen *l,
	const struct mt_held *held, const struct mt_meta *meta)
{
	if (!held || !b->conf->current || is_added(b, held) ||
		mt_b_claim(b, mt_place_of_account(l->text, held->principal), meta) <
			MT_CLAIM_NOT_HELD)
		return 0;
	return MT_CLAIM_CHANGED;
}

/* True if neither object takes an identity from the other's clients. */
static bool may_differ(struct mt_build *b, const struct mt_listen *l, const struct mt_meta *meta,
	const struct mt_held *held)
{
	if (strcmp(meta->ns, l->shows_by->ns) == 0)
		return true;
	return !is_shown(b, l, l->shows, l->shows_by) && !is_shown(b, l, held, meta) &&
	       are_there(b, l, meta) && !changed(b, l, held, meta) &&
	       !changed(b, l, l->shows, l->shows_by);
}

/* Shows the node's own identity, because of several identities none precedes. */
static void show_own(struct mt_build *b, struct mt_listen *l, const struct mt_listen_port *at)
{
	const struct mt_meta *other = l->shows_by;

	if (l->shows_own)
		return;
	mt_b_warn(b, at->meta, at->line, NULL, apart,
		"%s is shared with a service of another account, %s %.64s/%.128s at %.128s:%u: "
		"clients by mutual TLS are shown the node's own identity there",
		l->text, other->kind, other->ns, other->name,
		other->origin.file ? other->origin.file : "?", other->origin.line);
	l->shows = NULL;
	l->shows_own = true;
}

/* ---- identities that the Node adds at shared addresses --------------------------------------- */

static bool is_beside(const struct mt_service_slot *s, const struct mt_meta *meta)
{
	return s->holder && s->holder != meta && strcmp(s->holder->ns, meta->ns) == 0;
}

/*
 * True if all others at the listener are of other namespaces, so that the object's identity is the
 * only one of its namespace there.
 */
static bool is_alone(const struct mt_listen *l, const struct mt_meta *meta)
{
	for (uint32_t i = 0; l->last && i < l->last->n_services; i++)
		if (is_beside(l->last->services[i], meta))
			return false;
	return true;
}

static void tell_other(struct mt_build *b, const struct mt_listen *l, const struct mt_meta *other,
	uint32_t line, const struct mt_meta *owner)
{
	mt_b_warn(b, other, line, NULL, apart,
		"%s is shared with %s %.64s/%.128s at %.128s:%u: clients by mutual TLS are shown "
		"its identity there",
		l->text, owner->kind, owner->ns, owner->name,
		owner->origin.file ? owner->origin.file : "?", owner->origin.line);
}

/*
 * True if the Node adds the identity, or clients are shown it already. After a restart nothing tells
 * whether they were, so the account must be one of the object that was applied before.
 */
static bool may_be_only(struct mt_build *b, const struct mt_listen *l, const struct mt_held *held,
	const struct mt_host *h)
{
	return is_added(b, held) || is_shown(b, l, held, &h->se->meta) ||
	       (!b->conf->current && !h->held_by_others);
}

/*
 * Services of several namespaces share the listener, and the Node got an identity for one of these
 * namespaces only: its clients expect this identity, and others would otherwise keep it from them.
 * False if both have one, several services of one namespace differ, or documents have changed it.
 */
static bool show_only(struct mt_build *b, struct mt_listen *l, const struct mt_listen_port *at,
	struct mt_held *held, const struct mt_host *h)
{
	if (l->shows_own || !l->shows == !held || strcmp(at->meta->ns, l->shows_by->ns) == 0 ||
		!are_there(b, l, at->meta) ||
		!may_be_only(b, l, held ? held : l->shows, held ? h : l->shows_of))
		return false;
	if (!held) {
		tell_other(b, l, at->meta, at->line, l->shows_by);
		return true;
	}
	if (!is_alone(l, at->meta))
		return false;
	for (uint32_t i = 0; l->last && i < l->last->n_services; i++) {
		const struct mt_service_slot *s = l->last->services[i];

		if (s->holder && strcmp(s->holder->ns, at->meta->ns) != 0)
			tell_other(b, l, s->holder, s->line, at->meta);
	}
	l->shows = held;
	l->shows_by = at->meta;
	l->shows_of = h;
	return true;
}

/*
 * An address and port shows one identity. Services of one namespace with different ones show the
 * node's own. Those of different namespaces cannot share it: otherwise an author could change the
 * identity that another's clients are shown, and they would refuse it. Services that shared it
 * before the Node got an identity for one of them do not lose it (show_only()), but a document that
 * changes its own at a shared address is refused.
 */
void mt_b_listen_shows(struct mt_build *b, const struct mt_listen_port *at, const struct mt_host *h,
	const char *name)
{
	struct mt_listen *l = mt_b_listen(b, at->addr, at->port);
	struct mt_held *held = h->held;
	bool first = l && (!l->shows_by || mt_b_is_wrong(b, l->shows_by));

	if (!l || mt_b_is_wrong(b, at->meta))
		return;
	if (held)
		mt_b_add_place(b, mt_place_of_account(l->text, held->principal), at->meta);
	if (!first && l->shows == held)
		return;
	if (!first && show_only(b, l, at, held, h))
		return;
	if (!first && may_differ(b, l, at->meta, held)) {
		show_own(b, l, at);
		return;
	}
	if (!first && !mt_b_listen_win_identity(b, l, at, name, changed(b, l, held, at->meta),
			      changed(b, l, l->shows, l->shows_by)))
		return;
	l->shows = held;
	l->shows_by = at->meta;
	l->shows_of = h;
	l->shows_own = false;
}

struct mt_tls_context *mt_b_held_context(struct mt_build *b, struct mt_held *held)
{
	struct mt_err e;

	if (held->turn == b->conf->credentials.turn)
		return held->server;
	held->turn = b->conf->credentials.turn;
	held->server = held->credential ? mt_b_mesh_end(b, held->credential, &e) : NULL;
	if (held->credential && !held->server)
		mt_b_warn(b, NULL, 0, NULL, NULL,
			"the mesh's TLS cannot be ended by the identity of %s: %s", held->principal,
			e.text);
	return held->server;
}

/* Reports an endpoint whose account is a held identity of another namespace. */
static void tell_of_others(struct mt_build *b, const struct mt_host *h)
{
	for (uint32_t i = 0; i < h->n_workloads; i++) {
		const struct mt_workload *w = h->workloads[i];
		const struct mt_meta *of = mt_instance_meta(h, w);
		const char *sa = w->service_account.s;

		for (uint32_t k = 0; sa && k < b->conf->n_held; k++) {
			if (strcmp(sa, b->conf->held[k].principal) != 0)
				continue;
			mt_b_warn(b, of, w->address_text.line, NULL,
				"write a serviceAccount of its namespace",
				"clients by mutual TLS are not shown the identity of %.200s: it is "
				"not one of namespace %.64s",
				sa, of->ns);
			return;
		}
	}
}

/* Who has several accounts, or none, is not told of: nobody expects one. */
void mt_b_tell_shown(struct mt_build *b)
{
	for (uint32_t i = 0; b->conf->n_held && i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];
		const struct mt_held *held = h->held;

		if (held && !held->credential)
			mt_b_warn(b, &h->se->meta, h->se->meta.origin.line, NULL,
				"`meltemi show identity` shows the reason",
				"clients by mutual TLS are refused: it has the identity of %s, "
				"which "
				"cannot be had",
				held->principal);
		else if (!held)
			tell_of_others(b, h);
	}
}
