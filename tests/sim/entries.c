/* SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

#include "mesh.h"

#include "mt_alog_entry.h"
#include "mt_byte_ring.h"
#include "mt_ending.h"
#include "mt_proxy_types.h"

#include <inttypes.h>
#include <string.h>

#define RING_SIZE (1u << 20)

void entries_init(struct mesh *m)
{
	memset(m->log, 0, sizeof(m->log));
	m->log_entries = m->log_bytes = 0;
	m->heard = NULL;
	m->n_heard = m->heard_room = 0;
	for (uint32_t i = 0; m->sim->opt->log && i < m->workers; i++) {
		void *bytes = calloc(1, RING_SIZE);

		m->log[i] = aligned_alloc(MT_CACHE_LINE, sizeof(*m->log[i]));
		MT_ASSERT(m->log[i] && bytes);
		mt_byte_ring_init(m->log[i], bytes, RING_SIZE);
	}
}

/* Its snapshot must not be freed yet, which a sanitizer reports. */
static void read_name(struct mesh *m, const char *name)
{
	if (name && !*name)
		sim_fail(m->sim, "an entry of the access log has an empty name");
	m->log_bytes += name ? strlen(name) : 0;
}

/* Only routes have methods of one letter. */
static char method_of(const struct mt_alog_entry *e)
{
	uint16_t at = e->interface_len == MT_ALOG_NO_TEXT ? 0 : e->interface_len;

	if (e->method_len != 1 || (e->texts[at] != 'a' && e->texts[at] != 'b'))
		return 0;
	return e->texts[at];
}

static void keep(struct mesh *m, const struct mt_alog_entry *e)
{
	if (m->n_heard == m->heard_room) {
		m->heard_room = m->heard_room ? 2 * m->heard_room : 1024;
		m->heard = realloc(m->heard, m->heard_room * sizeof(*m->heard));
		MT_ASSERT(m->heard);
	}
	m->heard[m->n_heard++] = (struct entry_heard){.started = e->started,
		.ended = e->ended,
		.bytes_in = (uint32_t)e->bytes_in,
		.ending = e->ending,
		.of_call = !mt_ref_is_none(e->exchange),
		.method = method_of(e)};
}

/* Code, flags and details are the ending's: there are no faults here, and no tracing is drawn. */
static void check_entry(struct mesh *m, const struct mt_alog_entry *e)
{
	if (e->code || e->spans || e->flags & ~(uint32_t)MT_FLAG_URX)
		sim_fail(m->sim, "an entry of the access log has code %u, flags %x, spans %u",
			e->code, e->flags, e->spans);
}

static void read_entry(struct mesh *m, const struct mt_alog_entry *e)
{
	if (e->ending >= MT_N_ENDINGS || e->ended < e->started) {
		sim_fail(m->sim, "an entry of the access log ends in no way, or before it begins");
		return;
	}
	check_entry(m, e);
	m->sim->st.endings[e->ending]++;
	read_name(m, e->protocol);
	read_name(m, e->host);
	read_name(m, e->route);
	read_name(m, e->cluster);
	if (e->type != MT_ALOG_DOWNSTREAM_END)
		return;
	m->log_entries++;
	keep(m, e);
}

void entries_turn(struct mesh *m, unsigned int worker)
{
	const struct mt_alog_entry *e;
	uint32_t len;

	while (m->log[worker] && (e = mt_byte_ring_peek(m->log[worker], &len)) != NULL) {
		read_entry(m, e);
		mt_byte_ring_pop(m->log[worker]);
	}
}

void entries_check(struct mesh *m)
{
	uint64_t calls = mesh_counter(m, MT_PROXY_exchange_started) +
			 mesh_counter(m, MT_PROXY_malformed) + mesh_counter(m, MT_PROXY_oversized);
	uint64_t others = mesh_counter(m, MT_PROXY_evicted_receiving), n = m->log_entries;

	/* A worker that goes on for another one has its calls, and not all of its counters. */
	if (!m->log[0] || m->transplants)
		return;
	for (uint32_t i = 0; i < m->workers; i++) {
		n += m->log[i]->lost;
		others += mt_worker_proxy(m->w[i])->exchanges.failed;
	}
	if (n < calls || n > calls + others)
		sim_fail(m->sim,
			"%" PRIu64 " entries of the access log for %" PRIu64 " calls and %" PRIu64
			" messages that may have been refused",
			n, calls, others);
}

void entries_fini(struct mesh *m)
{
	for (uint32_t i = 0; i < m->workers; i++) {
		if (m->log[i])
			free(m->log[i]->bytes);
		free(m->log[i]);
		m->log[i] = NULL;
	}
	free(m->heard);
	m->heard = NULL;
}
