/* SPDX-License-Identifier: Apache-2.0 */
/* Packets: noted as they pass, and added to the traces of the exchanges that they carry. */
#include "mt_trace_priv.h"

static uint64_t hash_ends(
	const struct mt_addr *from, uint16_t fport, const struct mt_addr *to, uint16_t tport)
{
	uint64_t h = from->q[0] * 0x9e3779b97f4a7c15ull ^ from->q[1];

	h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9ull ^ to->q[0];
	h = (h ^ h >> 32) * 0x94d049bb133111ebull ^ to->q[1];
	h = (h ^ h >> 29) * 0x9e3779b97f4a7c15ull ^ ((uint64_t)fport << 16 | tport);
	return (h ^ h >> 32) * 0xbf58476d1ce4e5b9ull;
}

static uint64_t hash_packet(const struct mt_trace_packet *p)
{
	return hash_ends(&p->src, p->sport, &p->dst, p->dport);
}

static bool is_of(const struct mt_trace_note *n, const struct mt_tuple *conn)
{
	return !n->tx && n->p.sport == conn->rport && n->p.dport == conn->lport &&
	       mt_addr_eq(&n->p.src, &conn->remote) && mt_addr_eq(&n->p.dst, &conn->local);
}

/* The note of that number (from 1); NULL: no longer in the ring. */
static struct mt_trace_note *note_at(struct mt_trace *t, uint32_t number)
{
	if (number == 0 || t->n_notes - (number - 1) > MT_TRACE_NOTES)
		return NULL;
	return &t->notes[(number - 1) % MT_TRACE_NOTES];
}

static const char *flag_names(uint8_t flags, char buf[16])
{
	static const char letters[] = "FSRPAUEC";
	uint32_t n = 0;

	for (uint32_t i = 0; i < 8; i++)
		if (flags >> i & 1)
			buf[n++] = letters[i];
	buf[n] = '\0';
	return n ? buf : "none";
}

static void add_owner(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_trace_note *n)
{
	const char *by = n->by_device ? "owner by the device's hash" : "owner by the software hash";

	if (n->owner >= 0)
		by = "handed to its owner, another worker";
	else if (n->owner == -2)
		return; /* one worker owns all packets */
	mt_trace_fill(mt_trace_add(j, MT_TRACE_owner, n->tsc + n->net_cycles, 0), &by, 1,
		(uint64_t[]){t->conf.worker}, 1);
}

/* Adds all stages of a received packet. */
static void add_arrival(
	struct mt_trace *t, struct mt_trace_journey *j, const struct mt_trace_note *n)
{
	char src[MT_ADDR_STRLEN], dst[MT_ADDR_STRLEN], flags[16];

	mt_addr_port_str(&n->p.src, n->p.sport, src);
	mt_addr_port_str(&n->p.dst, n->p.dport, dst);
	if (n->handed)
		mt_trace_fill(mt_trace_add(j, MT_TRACE_handed, n->tsc, 0),
			(const char *[]){src, dst}, 2, (uint64_t[]){n->p.len}, 1);
	else
		mt_trace_fill(mt_trace_add(j, MT_TRACE_port_rx, n->tsc, 0),
			(const char *[]){n->p.port, src, dst}, 3, (uint64_t[]){n->p.len}, 1);
	if (n->net)
		mt_trace_fill(mt_trace_add(j, MT_TRACE_net_in, n->tsc, n->net_cycles),
			(const char *[]){n->net->name, n->net->words}, 2, NULL, 0);
	add_owner(t, j, n);
	if (n->tcp)
		mt_trace_fill(
			mt_trace_add(j, MT_TRACE_tcp_in, n->tsc + n->net_cycles, n->tcp_cycles),
			(const char *[]){
				n->tcp->name, flag_names(n->p.flags, flags), n->tcp->words},
			3, (uint64_t[]){n->p.payload, n->p.seq, n->p.ack}, 3);
}

static void add_departure(
	struct mt_trace_journey *j, const struct mt_trace_note *n, uint32_t cycles)
{
	char dst[MT_ADDR_STRLEN], flags[16];

	mt_addr_port_str(&n->p.dst, n->p.dport, dst);
	mt_trace_fill(mt_trace_add(j, MT_TRACE_tcp_out, n->tsc, cycles),
		(const char *[]){dst, flag_names(n->p.flags, flags)}, 2,
		(uint64_t[]){n->p.payload, n->p.seq}, 2);
	mt_trace_fill(mt_trace_add(j, MT_TRACE_port_tx, n->tsc, 0), &n->p.port, 1,
		(uint64_t[]){n->p.len}, 1);
	if (n->tsc < j->began)
		j->began = n->tsc;
}

void mt_trace_arrivals(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_tuple *conn)
{
	uint64_t h = hash_ends(&conn->remote, conn->rport, &conn->local, conn->lport);
	uint32_t at = t->buckets[h % MT_TRACE_BUCKETS], found[MT_TRACE_SEGMENTS], n = 0, more = 0;
	struct mt_trace_note *note;

	j->followed |= mt_trace_follows(t, conn);
	for (uint32_t seen = 0; seen < MT_TRACE_NOTES && (note = note_at(t, at)) != NULL; seen++) {
		/* Packets of earlier iterations are shown only if none came in this one. */
		if (is_of(note, conn) && note->p.payload && (note->turn == t->turn || n == 0)) {
			mt_capture_carries(note, j->key);
			if (n < MT_TRACE_SEGMENTS)
				found[n++] = at;
			else
				more++;
		}
		if (note->turn != t->turn && n > 0)
			break;
		at = note->prev;
	}
	if (more)
		mt_trace_fill(mt_trace_add(j, MT_TRACE_more_segments, mt_trace_tsc(), 0), NULL, 0,
			(uint64_t[]){more}, 1);
	while (n > 0)
		add_arrival(t, j, note_at(t, found[--n]));
	if (j->n_steps && j->steps[0].tsc < j->began)
		j->began = j->steps[0].tsc;
	j->last = mt_trace_tsc();
}

void mt_trace_watch(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_tuple *conn)
{
	j->followed |= mt_trace_follows(t, conn);
	if (t->n_watches == MT_TRACE_WATCHES)
		return;
	t->watches[t->n_watches].hash =
		hash_ends(&conn->local, conn->lport, &conn->remote, conn->rport);
	t->watches[t->n_watches].key = j->key;
	t->watches[t->n_watches++].journey = (uint16_t)(j - t->journeys);
}

struct mt_trace_note *mt_trace_note(struct mt_trace *t, const struct mt_trace_packet *p, bool tx)
{
	struct mt_trace_note *n = &t->notes[t->n_notes++ % MT_TRACE_NOTES];
	uint32_t b = hash_packet(p) % MT_TRACE_BUCKETS;

	/* This iteration has more packets than notes: decide the one that is overwritten. */
	if (n->rec)
		mt_capture_decide(t, n);
	*n = (struct mt_trace_note){.p = *p,
		.tx = tx,
		.turn = t->turn,
		.tsc = mt_trace_tsc(),
		.prev = t->buckets[b],
		.owner = -2};
	t->buckets[b] = t->n_notes;
	if (tx)
		mt_trace_note_tcp(t, n);
	return n;
}

struct mt_trace_note *mt_trace_note_in(struct mt_trace *t, const void *buffer)
{
	uint32_t n = MT_MIN(t->n_notes - t->turn_notes, (uint32_t)MT_TRACE_NOTES);

	for (uint32_t i = 0; i < n; i++) {
		struct mt_trace_note *note = &t->notes[(t->n_notes - 1 - i) % MT_TRACE_NOTES];

		if (note->buffer == buffer)
			return note;
	}
	return NULL;
}

void mt_trace_note_undo(struct mt_trace *t)
{
	struct mt_trace_note *n = note_at(t, t->n_notes);

	mt_capture_undo(t, n);
	t->buckets[hash_packet(&n->p) % MT_TRACE_BUCKETS] = n->prev;
	t->n_notes--;
}

void mt_trace_note_sent(struct mt_trace *t, struct mt_trace_note *n)
{
	uint64_t h = hash_packet(&n->p);

	for (uint32_t i = 0; i < t->n_watches; i++) {
		struct mt_trace_journey *j = &t->journeys[t->watches[i].journey];

		if (t->watches[i].hash != h || n->p.payload == 0 ||
			__atomic_load_n(&j->state, __ATOMIC_RELAXED) != MT_JOURNEY_LIVE ||
			j->key != t->watches[i].key)
			continue;
		mt_capture_carries(n, j->key);
		add_departure(j, n, (uint32_t)MT_MIN(n->tsc - j->last, (uint64_t)UINT32_MAX));
		j->last = mt_trace_tsc();
	}
}

const struct mt_outcome *mt_trace_decided(
	const struct mt_outcome_set *set, const uint64_t *before, const uint64_t *after)
{
	const struct mt_outcome *found = NULL;

	for (uint32_t i = 0; i < set->n; i++)
		if (before[i] != after[i] && (!found || set->rows[i].severity >= found->severity))
			found = &set->rows[i];
	return found;
}

const struct mt_outcome *mt_trace_became(const struct mt_trace_note *n)
{
	if (n->tcp)
		return n->tcp;
	return n->net;
}

void mt_trace_know_packet(const struct mt_trace_note *n, uint16_t worker, struct mt_expr_values *v)
{
	const struct mt_outcome *o = mt_trace_became(n);

	mt_expr_set_addr(v, MT_EXPR_src, &n->p.src);
	mt_expr_set_addr(v, MT_EXPR_dst, &n->p.dst);
	mt_expr_set_number(v, MT_EXPR_sport, n->p.sport);
	mt_expr_set_number(v, MT_EXPR_dport, n->p.dport);
	mt_expr_set_number(v, MT_EXPR_len, n->p.len);
	mt_expr_set_number(v, MT_EXPR_worker, worker);
	mt_expr_set_str(v, MT_EXPR_port, n->p.port);
	mt_expr_set_str(v, MT_EXPR_proto, n->p.proto);
	mt_expr_set_str(v, MT_EXPR_direction, n->tx ? "tx" : "rx");
	mt_expr_set_str(v, MT_EXPR_outcome, o ? o->name : NULL);
}

static void journey_of_packet(struct mt_trace *t, const struct mt_trace_note *n)
{
	struct mt_expr_values v = {0};
	struct mt_trace_journey *j;

	mt_trace_know_packet(n, t->conf.worker, &v);
	mt_count(&t->stats.looked_at, 0);
	if (t->conf.connection ? !mt_trace_conn_packet(t, n)
			       : mt_expr_eval(&t->conf.expr, &v) != MT_TRI_YES)
		return;
	j = mt_trace_make(t, &v);
	if (!j)
		return;
	j->packet = true;
	j->began = n->tsc;
	if (n->tx)
		add_departure(j, n, 0);
	else
		add_arrival(t, j, n);
	mt_trace_keep(t, j);
}

void mt_trace_packets(struct mt_trace *t)
{
	uint32_t n = MT_MIN(t->n_notes - t->turn_notes, (uint32_t)MT_TRACE_NOTES);

	for (uint32_t i = t->n_notes - n; i != t->n_notes && t->left; i++)
		journey_of_packet(t, &t->notes[i % MT_TRACE_NOTES]);
}

void mt_trace_decide_packets(struct mt_trace *t)
{
	uint32_t n = MT_MIN(t->n_notes - t->turn_notes, (uint32_t)MT_TRACE_NOTES);

	for (uint32_t i = t->n_notes - n; i != t->n_notes; i++)
		mt_capture_decide(t, &t->notes[i % MT_TRACE_NOTES]);
}
