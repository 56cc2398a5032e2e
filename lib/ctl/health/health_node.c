/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the node itself: state, documents, workers, memory, and counters of the last minute. */
#include "counted.h"
#include "mt_ctl_events_priv.h"
#include "mt_ctl_load_priv.h"
#include "mt_l4.h"
#include "mt_health.h"
#include "mt_objects.h"

#include <stdio.h>
#include <string.h>

#define READY_TOLD     8u /* conditions reported at most */
#define ONE_WAY_TOLD   8u /* services without replies reported at most */
#define BUSY_WARN_PCT  85 /* of the last minute, in busy loop iterations */
#define POOL_WARN_PCT  10 /* fewest free since start */
#define POOL_FAULT_PCT 5  /* free now */

static void check_drained(struct mt_health *h)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(h->c);
	char where[MT_ADDR_STRLEN];

	for (uint32_t i = 0; s && i < s->n_listeners; i++) {
		const struct mt_listener *l = &s->listeners[i];

		if (l->drain)
			mt_found(h, MT_FOUND_WARNING, mt_addr_port_str(&l->addr, l->port, where),
				"`return listener` or `return service` ends it: `show overrides`",
				"an operator drains this listener: %s",
				l->drain == MT_LISTENER_REFUSES
					? "new clients are refused"
					: "clients have to leave, and new ones are served");
	}
}

/* Notes: that a port is forwarded is configured, and a service may have no replies. */
static void check_forwarded(struct mt_health *h)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(h->c);

	if (s && s->n_forwards)
		mt_found(h, MT_FOUND_NOTE, "", "`show forwarding` lists them",
			"%u forwarded ports: the node neither encrypts their packets nor knows "
			"the identities of their senders",
			s->n_forwards);
	for (uint32_t i = 0, n = 0; s && s->l4 && i < s->l4->n_services && n < ONE_WAY_TOLD; i++) {
		const struct mt_l4_service *v = &s->l4->services[i];
		uint64_t ns = mt_events_one_way_for(h->c, v);

		n += ns != 0;
		if (ns)
			mt_found(h, MT_FOUND_NOTE, v->name,
				"route endpoints' replies to clients through this node, or use "
				"mode nat-full; a service without replies has this note always",
				"no reply of forwarded port %u has returned through this node for "
				"%u s, while clients sent",
				v->port, (uint32_t)(ns / MT_SEC));
	}
}

void mt_check_state(struct mt_health *h)
{
	struct mt_ctl_ready r;

	if (h->c->state == MT_CTL_STARTING)
		mt_found(h, MT_FOUND_NOTE, "", "wait for `/ready`", "starting");
	mt_ctl_ready(h->c, &r);
	for (uint32_t i = 0; !r.ready && i < MT_MIN(r.n, READY_TOLD); i++)
		mt_found(h, MT_FOUND_FAULT, r.waits[i].name,
			r.restart ? "fix it, then run `systemctl restart meltemid`"
				  : "fix it, or `accept` the services served now (`show ready` "
				    "lists all)",
			"not ready: waits for this %s%s%s%s: %s", r.waits[i].kind,
			*r.waits[i].source ? " of " : "", r.waits[i].source,
			r.n > READY_TOLD ? " and others" : "", r.waits[i].why);
	if (h->c->ready_off)
		mt_found(h, MT_FOUND_WARNING, "", "`ready on` when clients may come again",
			"/ready answers 503: an operator ran `ready off`");
	if (h->c->state == MT_CTL_DRAINING)
		mt_found(h, MT_FOUND_WARNING, "",
			"`return` ends it, unless a signal ends the daemon",
			"draining: clients have to leave");
	check_drained(h);
	check_forwarded(h);
}

/*
 * Reports the first line of the last load's diagnostics that contains `word`, and how many lines
 * contain it.
 */
static void diagnostic(
	struct mt_health *h, enum mt_finding_state s, const char *word, const char *remedy)
{
	const char *all = h->c->env.diagnostics ? h->c->env.diagnostics(h->c->env.arg) : NULL;
	const char *at = all ? strstr(all, word) : NULL;
	char words[MT_FIRST_OF];
	uint32_t n = 0;

	if (!at)
		return;
	for (const char *p = at; p; p = strstr(p + strcspn(p, "\n"), word))
		n++;
	while (at > all && at[-1] != '\n')
		at--;
	mt_found(h, s, "", remedy, "%s%.*s", mt_first_of(words, n, "messages", "show config"),
		(int)strcspn(at, "\n"), at);
}

/* Reports the first object with that status, and how many there are. */
static void objects_of(struct mt_health *h, const struct mt_object_table *t,
	enum mt_object_status status, enum mt_finding_state s, const char *remedy)
{
	const struct mt_object_row *first = NULL;
	char name[512], words[MT_FIRST_OF];
	uint32_t n = 0;

	for (uint32_t i = t->n; i-- > 0;)
		if (t->rows[i].status == status) {
			first = &t->rows[i];
			n++;
		}
	if (!first)
		return;
	(void)mt_object_str(first->o, name, sizeof(name));
	mt_found(h, s, "", remedy, "%s%s (%s:%u) is %s: %s",
		mt_first_of(words, n, "objects", "show objects"), name, first->o->origin.file,
		first->o->origin.line, mt_object_status_str(status), first->why ? first->why : "");
}

/*
 * Objects that are applied with notes, have no effect or are ignored are as their author wrote
 * them, so they are not findings.
 */
static void check_objects(struct mt_health *h)
{
	const struct mt_ctl_env *env = &h->c->env;
	const struct mt_object_table *t = env->objects ? env->objects(env->arg) : NULL;

	if (!t)
		return;
	objects_of(h, t, MT_OBJECT_REFUSED, MT_FOUND_FAULT, "fix the document");
	objects_of(h, t, MT_OBJECT_LAST_GOOD, MT_FOUND_FAULT,
		"fix the document; its last good version stays in use");
	objects_of(h, t, MT_OBJECT_FAIL_CLOSED, MT_FOUND_WARNING,
		"calls to the services that it touches are denied: `show objects fail-closed`");
	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].unenforced)
			mt_found(h, MT_FOUND_FAULT, "", "take it out of the Node's spec.unenforced",
				"%s %s/%s is %s", t->rows[i].o->kind, t->rows[i].o->ns,
				t->rows[i].o->name, t->rows[i].why);
	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].o->is_node && t->rows[i].n_notes)
			mt_found(h, MT_FOUND_WARNING, "",
				"`show objects where kind=Node` lists all notes about the Node",
				"%s: %s",
				t->rows[i].notes[0].field ? t->rows[i].notes[0].field : "Node",
				t->rows[i].notes[0].text);
}

/* Workloads of one kind: the first one, and how many there are. */
struct claimed {
	const struct mt_bound *first;
	uint32_t n;
};

static void count(struct claimed *c, const struct mt_bound *b)
{
	c->first = c->n++ ? c->first : b;
}

static void without_principal(struct mt_health *h, const struct claimed *c, const char *remedy)
{
	char text[MT_ADDR_STRLEN], words[MT_FIRST_OF];

	if (c->n)
		mt_found(h, MT_FOUND_WARNING, "", remedy, "%sthe workload %s has no principal: %s",
			mt_first_of(words, c->n, "workloads", "show workloads"),
			mt_addr_str(&c->first->addr, text), c->first->why ? c->first->why : "");
}

/*
 * Reports the first workload that WorkloadEntries of several namespaces leave without a principal,
 * the first one with an entry that waits, and the first one with a principal and such an entry, and
 * how many there are of each.
 */
static void check_workloads(struct mt_health *h)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(h->c);
	struct claimed disputed = {0}, waiting = {0}, shared = {0};
	char text[MT_ADDR_STRLEN], words[MT_FIRST_OF];

	for (uint32_t i = 0; s && i < s->n_bound; i++) {
		const struct mt_bound *b = &s->bound[i];

		if (b->disputed || b->waits || b->also)
			count(b->disputed ? &disputed : b->waits ? &waiting : &shared, b);
	}
	if (shared.n)
		mt_found(h, MT_FOUND_WARNING, "",
			shared.first->principal
				? "remove the entries of one namespace"
				: "remove the entries of one namespace; no policy allows the "
				  "workload by name until then",
			"%s%s gives the workload %s no principal, because of %s of another "
			"namespace%s",
			mt_first_of(words, shared.n, "workloads", "show objects"),
			shared.first->also, mt_addr_str(&shared.first->addr, text),
			shared.first->by ? shared.first->by : "an entry",
			shared.first->principal ? "" : ", which gives none either");
	without_principal(h, &disputed,
		"remove the entries of one namespace; no policy allows the workload by name until "
		"then");
	without_principal(h, &waiting,
		"reload once without the entry, restart the node, or write it in a source without "
		"`namespaces`; no policy allows the workload by name until then");
}

void mt_check_state_directory(struct mt_health *h)
{
	const struct mt_ctl_env *env = &h->c->env;
	const char *why = env->state_trouble ? env->state_trouble(env->arg) : NULL;

	if (why)
		mt_found(h, MT_FOUND_WARNING, "",
			"is the disk full, read-only or failing? Until it can be written, changes "
			"that have to be kept wait, and a restart may use older state",
			"cannot be written: %s", why);
}

/* True if the last reload failed only because its configuration waits, which `why` explains. */
static bool is_waiting(const struct mt_ctl *c, const char *why)
{
	char start[128];

	if (!why)
		return false;
	/* Either text may be truncated. */
	snprintf(start, sizeof(start), "%s", why);
	return strstr(c->reload_words, start) != NULL;
}

void mt_check_configuration(struct mt_health *h)
{
	const struct mt_ctl_env *env = &h->c->env;
	const char *why = env->waiting ? env->waiting(env->arg) : NULL;
	const char *fields = env->restart ? env->restart(env->arg) : NULL;

	if (why)
		mt_found(h, MT_FOUND_WARNING, "", NULL,
			"a newer configuration is not in use yet: %s", why);
	if (h->c->reloaded_at && !h->c->reload_ok && !is_waiting(h->c, why))
		mt_found(h, MT_FOUND_FAULT, "",
			"fix the document and `reload`; the good documents stay in use",
			"the last reload was refused, or a part of it: %s", h->c->reload_words);
	if (fields && *fields)
		mt_found(h, MT_FOUND_NOTE, fields, "restart meltemid when it suits",
			"changed in the Node document since the start, not in use");
	check_objects(h);
	check_workloads(h);
	diagnostic(h, MT_FOUND_WARNING,
		"left out: ", "fix it at its source: `show config`, `show resources`");
}

void mt_check_errors(struct mt_health *h)
{
	static const enum mt_finding_state states[] = {
		[MT_SEV_REFUSE] = MT_FOUND_WARNING,
		/* Traffic from outside may contain anything. */
		[MT_SEV_DROP] = MT_FOUND_NOTE,
		[MT_SEV_ERROR] = MT_FOUND_FAULT,
	};
	char also[MT_COUNTED_ALSO];
	struct mt_counted_list l;

	if (mt_counted(h->c, true, &l) < 0)
		l.n = 0;
	for (uint32_t i = 0; i < l.n; i++) {
		const struct mt_counted *k = &l.v[i];

		if (k->cause != i)
			continue;
		h->also = mt_counted_also(&l, i, true, also, sizeof(also));
		mt_found(h, states[mt_counted_severity(&l, i)], k->name,
			mt_remedy(k->m.room, k->m.name), "%llu in the last %u s: %s",
			(unsigned long long)k->recent, mt_recent_seconds(h->c), k->m.words);
		h->also = NULL;
	}
	mt_counted_free(&l);
}

void mt_check_workers(struct mt_health *h)
{
	for (uint16_t w = 0; w < h->c->env.n_workers; w++) {
		uint64_t run_ns;
		double busy = 100 * mt_worker_busy(h->c, w, &run_ns);
		char name[16];

		if (run_ns < MT_SEC || busy <= BUSY_WARN_PCT)
			continue;
		snprintf(name, sizeof(name), "worker %u", w);
		mt_found(h, MT_FOUND_WARNING, name,
			"give the node more workers (spec.workers) or cores of their own, or share "
			"the load with another node",
			"busy for %.0f %% of the last %llu s", busy,
			(unsigned long long)(run_ns / MT_SEC));
	}
}

/* `least`: fewest free objects since start. */
static void check_pool(struct mt_health *h, const char *kind, uint16_t worker, uint64_t size,
	uint64_t in_use, uint64_t least, const char *remedy)
{
	char name[64];

	if (size == 0)
		return;
	snprintf(name, sizeof(name), "%s-w%u", kind, worker);
	if ((size - in_use) * 100 < size * POOL_FAULT_PCT)
		mt_found(h, MT_FOUND_FAULT, name, remedy, "%llu of %llu are in use",
			(unsigned long long)in_use, (unsigned long long)size);
	else if (least * 100 < size * POOL_WARN_PCT)
		mt_found(h, MT_FOUND_WARNING, name, remedy,
			"only %llu of %llu were free at the worst moment since the start",
			(unsigned long long)least, (unsigned long long)size);
}

void mt_check_memory(struct mt_health *h)
{
	static const char *const buffers = "raise spec.memory.mb; `show memory` shows how much is "
					   "used, `show connections` the users";

	for (uint16_t i = 0; i < h->c->env.n_workers; i++) {
		struct mt_worker *w = h->c->env.workers[i];
		const struct mt_pools *p = mt_worker_pools(w);
		const struct mt_slab *slabs[32];
		uint32_t n = mt_tcp_slabs(mt_worker_tcp(w), slabs, MT_ARRAY_LEN(slabs));

		check_pool(h, "data", i, p->data->size, rte_mempool_in_use_count(p->data),
			p->data_low, buffers);
		check_pool(h, "control", i, p->ctrl->size, rte_mempool_in_use_count(p->ctrl),
			p->ctrl_low, buffers);
		n += mt_proxy_slabs(mt_worker_proxy(w), slabs + n, MT_ARRAY_LEN(slabs) - n);
		for (uint32_t k = 0; k < n; k++)
			check_pool(h, slabs[k]->name, i, slabs[k]->cap, slabs[k]->in_use,
				slabs[k]->cap - slabs[k]->peak,
				"raise spec.connections, or add a node");
	}
}
