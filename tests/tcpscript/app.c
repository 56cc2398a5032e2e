/* SPDX-License-Identifier: Apache-2.0 */
/* What the application does, and what can be seen of the connection. */
#include "stack.h"

#include <string.h>

static bool has_stream(struct sc_run *r)
{
	return r->cur->s || sc_fail(r, "the application has no connection");
}

bool sc_verb_write(struct sc_run *r, const char *p)
{
	int64_t n;

	if (!has_stream(r) || !sc_number(r, &p, "how many bytes", &n) ||
		!sc_app_write(r, r->cur, (uint32_t)n))
		return false;
	sc_turn(r);
	return true;
}

bool sc_verb_read(struct sc_run *r, const char *p)
{
	int64_t n;
	uint32_t before = r->cur->read;

	if (!has_stream(r) || !sc_number(r, &p, "how many bytes", &n))
		return false;
	sc_app_read(r, r->cur, (uint32_t)n);
	if (r->cur->read - before != (uint32_t)n)
		return sc_fail(r, "%u bytes were there to be read, not %u", r->cur->read - before,
			(uint32_t)n);
	sc_turn(r);
	return true;
}

bool sc_verb_reader(struct sc_run *r, const char *p)
{
	char word[SC_WORD_MAX];

	if (!sc_need(r, &p, word, "on or off"))
		return false;
	r->cur->reading = sc_is(word, "on");
	return true;
}

bool sc_verb_shutdown(struct sc_run *r, const char *p)
{
	if (!has_stream(r))
		return false;
	mt_stream_shutdown(r->cur->s);
	sc_turn(r);
	return true;
}

bool sc_verb_close(struct sc_run *r, const char *p)
{
	if (!has_stream(r))
		return false;
	mt_stream_detach(r->cur->s);
	r->cur->s = NULL;
	sc_turn(r);
	return true;
}

bool sc_verb_abort(struct sc_run *r, const char *p)
{
	if (!has_stream(r))
		return false;
	mt_stream_abort(r->cur->s, MT_ABORT_CANCELLED);
	r->cur->s = NULL;
	sc_turn(r);
	return true;
}

bool sc_verb_state(struct sc_run *r, const char *p)
{
	const char *got = sc_state(r, r->cur);
	char word[SC_WORD_MAX];

	if (!sc_need(r, &p, word, "the state"))
		return false;
	for (char *c = word; *c; c++)
		*c = (char)(*c == '_' ? '-' : *c | 32);
	return sc_is(word, got) || sc_fail(r, "the state is %s, not %s", got, word);
}

/* ---- events ---- */

static const char *const reasons[MT_CLOSE_N_REASONS] = {
	[MT_CLOSE_OK] = "ok",
	[MT_CLOSE_RESET] = "reset",
	[MT_CLOSE_REFUSED] = "refused",
	[MT_CLOSE_CONNECT_TIMEOUT] = "connect-timeout",
	[MT_CLOSE_TIMEOUT] = "timeout",
	[MT_CLOSE_UNREACHABLE] = "unreachable",
	[MT_CLOSE_NO_SOURCE_PORT] = "no-source-port",
	[MT_CLOSE_NO_MEMORY] = "no-memory",
	[MT_CLOSE_LOCAL] = "local",
	[MT_CLOSE_HANDSHAKE] = "handshake",
};

/* These must be named by the script, in their order; the others may be. */
static bool strict(const struct sc_event *e)
{
	return e->kind != SC_EV_READABLE && e->kind != SC_EV_WRITABLE;
}

static const char *name_of(const struct sc_event *e)
{
	return e->kind == SC_EV_CLOSED ? reasons[e->reason] : sc_event_name(e->kind);
}

/* `event none`: nothing that must be named is left. `event reset`: closed for this reason. */
bool sc_verb_event(struct sc_run *r, const char *p)
{
	char word[SC_WORD_MAX];

	if (!sc_need(r, &p, word, "the event"))
		return false;
	for (uint32_t i = r->next_event; i < r->n_events; i++) {
		const struct sc_event *e = &r->events[i];

		if (sc_is(name_of(e), word)) {
			r->next_event = i + 1;
			return true;
		}
		if (strict(e))
			return sc_fail(r, "the application was told `%s` (port %u), not `%s`",
				name_of(e), e->port, word);
	}
	return sc_is(word, "none") || sc_fail(r, "the application was not told `%s`", word);
}

/* ---- counters ---- */

static struct sc_base *base_of(struct sc_run *r, const char *name)
{
	for (uint32_t i = 0; i < r->n_base; i++)
		if (sc_is(r->base[i].name, name))
			return &r->base[i];
	if (r->n_base == MT_ARRAY_LEN(r->base))
		return NULL;
	snprintf(r->base[r->n_base].name, sizeof(r->base[0].name), "%s", name);
	r->base[r->n_base].value = 0;
	return &r->base[r->n_base++];
}

/* `counter NAME +N`: it has grown by N since it was last looked at, or since the begin. */
bool sc_verb_counter(struct sc_run *r, const char *p)
{
	char name[SC_WORD_MAX];
	struct sc_base *b;
	uint64_t now;
	int64_t by;

	if (!sc_need(r, &p, name, "the counter") || !sc_number(r, &p, "by how much", &by))
		return false;
	now = sc_counter(r, name);
	b = base_of(r, name);
	if (now == UINT64_MAX || !b)
		return sc_fail(r, "`%s` is no counter, or there are too many", name);
	if (now - b->value != (uint64_t)by)
		return sc_fail(r, "%s grew by %llu, not by %lld", name,
			(unsigned long long)(now - b->value), (long long)by);
	b->value = now;
	return true;
}

static bool find_info(struct sc_run *r, const char *name, int64_t *v)
{
	struct mt_tcp_info i = {0};
	const struct sc_flow *f = r->cur;
	bool live = sc_info(r, f, &i);
	const struct {
		const char *name;
		uint64_t v;
		bool needs;
	} all[] = {{"cwnd", i.snd_cwnd, true}, {"snd_wnd", i.snd_wnd, true},
		{"rcv_wnd", i.rcv_wnd, true}, {"srtt_us", i.srtt_us, true},
		{"rto_ms", i.rto_ms, true}, {"retransmits", i.retransmits, true},
		{"rx_bytes", i.rx_bytes, true}, {"tx_bytes", i.tx_bytes, true},
		{"ooo_bytes", i.ooo_bytes, true}, {"read", f->read, false}};

	for (size_t k = 0; k < MT_ARRAY_LEN(all); k++)
		if (sc_is(all[k].name, name) && (live || !all[k].needs)) {
			*v = (int64_t)all[k].v;
			return true;
		}
	return sc_fail(r, "nothing is known of `%s`", name);
}

/* `info cwnd 10000`, `info rto_ms 200..220`, `info read 500`. */
bool sc_verb_info(struct sc_run *r, const char *p)
{
	char name[SC_WORD_MAX], word[SC_WORD_MAX];
	int64_t v = 0, lo, hi;

	if (!sc_need(r, &p, name, "what") || !sc_need(r, &p, word, "the number") ||
		!sc_range(r, word, &lo, &hi) || !find_info(r, name, &v))
		return false;
	return (v >= lo && v <= hi) || sc_fail(r, "%s is %lld, not %s", name, (long long)v, word);
}

bool sc_end(struct sc_run *r)
{
	for (uint32_t i = 0; i < r->n_flows; i++)
		if (r->flows[i].data_wrong)
			sc_fail(r, "the application read bytes that the peer had not sent there");
	for (uint32_t i = r->next_event; i < r->n_events && !r->failed; i++)
		if (strict(&r->events[i]))
			sc_fail(r, "the application was told `%s`, which no line names",
				name_of(&r->events[i]));
	return !r->failed;
}
