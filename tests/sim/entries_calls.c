/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients and servers know of each call, against its entry of the access log. An entry names
 * no call: they are joined by the length of the request, the method, the times and the ending. So
 * it is a matching: each call that must have an entry gets one of its own, and then each entry of a
 * call gets a call of its own.
 */
#include "app_rpc.h"
#include "entries.h"
#include "mesh.h"

#include "mt_byte_ring.h"
#include "mt_codec_ending.h"

struct call {
	struct rpc_past past;
	uint32_t client, no;
	enum rpc_end how;
	bool must; /* it has an entry */
};

/* Calls and entries of one length. */
struct match {
	struct mesh *mesh;
	const struct call *call;
	const struct entry_heard *entry;
	uint32_t n_calls, n_entries;
	uint32_t *entry_of, *call_of; /* index + 1; 0: none */
	uint32_t *seen_call, *seen_entry, round;
};

/* ---- what belongs together ------------------------------------------------------------------- */

static bool is_servers(enum mt_ending e)
{
	return e <= MT_ENDING_server_timeout;
}

static bool ends_alike(const struct call *c, enum mt_ending ending)
{
	enum mt_local_reply local = mt_reply_of_ending(ending);

	switch (c->how) {
	case RPC_OK:
		return ending == MT_ENDING_ok;
	case RPC_APP_ERROR:
		return is_servers(ending) && ending != MT_ENDING_ok;
	case RPC_NATIVE:
		return local < MT_REPLY_N && c->past.native >> local & 1;
	case RPC_ONEWAY:
		return !is_servers(ending);
	default:
		return true; /* its client has gone, and does not know */
	}
}

static bool is_answered(enum rpc_end how)
{
	return how == RPC_OK || how == RPC_APP_ERROR || how == RPC_NATIVE;
}

static bool fits(const struct call *c, const struct entry_heard *e)
{
	if (e->started < c->past.at || (e->method && e->method != c->past.route))
		return false;
	if (is_answered(c->how) && e->ended > c->past.ended)
		return false;
	return ends_alike(c, (enum mt_ending)e->ending);
}

/* ---- the matching ---------------------------------------------------------------------------- */

static void join(struct match *m, uint32_t call, uint32_t entry)
{
	m->entry_of[call] = entry + 1;
	m->call_of[entry] = call + 1;
}

/* Others may have to take another entry. */
static bool find_entry(struct match *m, uint32_t call)
{
	m->seen_call[call] = m->round;
	for (uint32_t e = 0; e < m->n_entries; e++)
		if (!m->call_of[e] && fits(&m->call[call], &m->entry[e])) {
			join(m, call, e);
			return true;
		}
	for (uint32_t e = 0; e < m->n_entries; e++) {
		uint32_t other = m->call_of[e];

		if (!other || m->seen_call[other - 1] == m->round ||
			!fits(&m->call[call], &m->entry[e]))
			continue;
		if (find_entry(m, other - 1)) {
			join(m, call, e);
			return true;
		}
	}
	return false;
}

static bool find_call(struct match *m, uint32_t entry)
{
	m->seen_entry[entry] = m->round;
	for (uint32_t c = 0; c < m->n_calls; c++)
		if (!m->entry_of[c] && fits(&m->call[c], &m->entry[entry])) {
			join(m, c, entry);
			return true;
		}
	for (uint32_t c = 0; c < m->n_calls; c++) {
		uint32_t other = m->entry_of[c];

		if (!other || m->seen_entry[other - 1] == m->round ||
			!fits(&m->call[c], &m->entry[entry]))
			continue;
		if (find_call(m, other - 1)) {
			join(m, c, entry);
			return true;
		}
	}
	return false;
}

/*
 * A message that is refused before it is complete has an entry with as many bytes as have come, and
 * its client an error.
 */
static bool find_spare(struct mesh *m, const struct call *c)
{
	for (uint32_t i = 0; i < m->n_heard && c->how == RPC_NATIVE; i++) {
		struct entry_heard *e = &m->heard[i];

		if (!e->of_call && !e->taken && fits(c, e)) {
			e->taken = true;
			return true;
		}
	}
	return false;
}

static void call_fails(struct sim *s, const struct call *c)
{
	sim_fail(s, "no entry of the access log says how call %u of client %u ended (%u)", c->no,
		c->client, c->how);
}

static void entry_fails(struct sim *s, const struct entry_heard *e)
{
	sim_fail(s, "an entry of the access log, of %u bytes and %s, is no call's", e->bytes_in,
		mt_endings[e->ending].name);
}

/* `strangers`: not all calls are of clients that are known here. */
static void match_all(struct match *m, bool strangers)
{
	struct sim *s = m->mesh->sim;

	for (uint32_t c = 0; c < m->n_calls && !s->failed; c++) {
		m->round++;
		if (m->call[c].must && !m->entry_of[c] && !find_entry(m, c) &&
			!find_spare(m->mesh, &m->call[c]))
			call_fails(s, &m->call[c]);
	}
	for (uint32_t e = 0; e < m->n_entries && !s->failed && !strangers; e++) {
		m->round++;
		if (m->entry[e].of_call && !m->call_of[e] && !find_call(m, e))
			entry_fails(s, &m->entry[e]);
	}
}

static void match_length(struct match *m, bool strangers)
{
	uint32_t *room = calloc(2u * (m->n_calls + m->n_entries) + 1, sizeof(*room));

	MT_ASSERT(room);
	m->entry_of = room;
	m->seen_call = room + m->n_calls;
	m->call_of = m->seen_call + m->n_calls;
	m->seen_entry = m->call_of + m->n_entries;
	m->round = 0;
	match_all(m, strangers);
	free(room);
}

/* ---- all calls ------------------------------------------------------------------------------- */

static int by_length(uint32_t a, uint32_t b, uint64_t a_at, uint64_t b_at)
{
	if (a != b)
		return a < b ? -1 : 1;
	return (a_at > b_at) - (a_at < b_at);
}

static int compare_calls(const void *a, const void *b)
{
	const struct rpc_past *x = &((const struct call *)a)->past;
	const struct rpc_past *y = &((const struct call *)b)->past;

	return by_length(x->len, y->len, x->at, y->at);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry_heard *x = a, *y = b;

	return by_length(x->bytes_in, y->bytes_in, x->started, y->started);
}

static uint32_t calls_of(const struct rpc_client *c, struct call *to)
{
	uint32_t n = 0;

	for (uint32_t i = 0; c->past && i < c->begun; i++) {
		enum rpc_end how = c->ended_how[i] ? c->ended_how[i] - 1u : RPC_LOST;

		if (c->past[i].kind == WIRE_HEARTBEAT)
			continue;
		to[n++] = (struct call){.past = c->past[i],
			.client = c->no,
			.no = i,
			.how = how,
			.must = is_answered(how) || (how == RPC_ONEWAY && c->seen[i])};
	}
	return n;
}

static struct call *all_calls(const struct rpc_set *set, uint32_t *n)
{
	struct call *all;
	size_t room = 1;

	for (uint32_t i = 0; i < set->n_clients; i++)
		room += set->client[i].begun;
	all = calloc(room, sizeof(*all));
	MT_ASSERT(all);
	*n = 0;
	for (uint32_t i = 0; i < set->n_clients; i++)
		*n += calls_of(&set->client[i], all + *n);
	if (*n)
		qsort(all, *n, sizeof(*all), compare_calls);
	return all;
}

/* Entries of other lengths than any call's are matched, too: with no call. */
static void match_lengths(struct mesh *m, const struct call *call, uint32_t n_calls, bool strangers)
{
	uint32_t c = 0, e = 0;

	while ((c < n_calls || e < m->n_heard) && !m->sim->failed) {
		uint32_t len = c < n_calls ? call[c].past.len : UINT32_MAX;
		struct match x = {.mesh = m, .call = call + c, .entry = m->heard + e};

		if (e < m->n_heard)
			len = MT_MIN(len, m->heard[e].bytes_in);
		while (c < n_calls && call[c].past.len == len)
			c++;
		while (e < m->n_heard && m->heard[e].bytes_in == len)
			e++;
		x.n_calls = (uint32_t)(call + c - x.call);
		x.n_entries = (uint32_t)(m->heard + e - x.entry);
		match_length(&x, strangers);
	}
}

static uint64_t lost(const struct mesh *m)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < m->workers; i++)
		n += m->log[i]->lost;
	return n;
}

void entries_of_calls(struct mesh *m, const struct rpc_set *set)
{
	uint32_t n_calls;
	struct call *call;

	if (!m->log[0] || m->sim->failed || set->lies || lost(m))
		return;
	/* A connection that a cookie made once more has its calls once more. */
	if (set->replayed && set->replayed(set->replayed_arg))
		return;
	call = all_calls(set, &n_calls);
	if (m->n_heard)
		qsort(m->heard, m->n_heard, sizeof(*m->heard), compare_entries);
	match_lengths(m, call, n_calls, set->connects != m->sim->connects);
	free(call);
}
