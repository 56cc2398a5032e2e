/* SPDX-License-Identifier: Apache-2.0 */
/* Traces of exchanges: started, recorded, kept or dropped. */
#include "mt_trace_priv.h"

#include <string.h>

#define LOOK_FOR_FREE 32 /* slots examined for a free one */

const struct mt_trace_point_row mt_trace_points[MT_TRACE_N_POINTS] = {
#define MT_TRACE_POINT(n, r, w) {#n, r, w},
#include "trace_points.def"
#undef MT_TRACE_POINT
};

struct mt_trace *mt_trace_new(const struct mt_trace_conf *conf)
{
	struct mt_trace *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->conf = *conf;
	t->capture = conf->capture;
	t->left = conf->count;
	t->turn = 1;
	return t;
}

void mt_trace_free(struct mt_trace *t)
{
	free(t);
}

bool mt_trace_take(struct mt_trace *t, uint32_t *at, struct mt_trace_journey *out)
{
	while (*at < MT_TRACE_JOURNEYS) {
		struct mt_trace_journey *j = &t->journeys[(*at)++];
		ptrdiff_t moved = (char *)out - (char *)j;

		if (__atomic_load_n(&j->state, __ATOMIC_ACQUIRE) != MT_JOURNEY_KEPT)
			continue;
		memcpy(out, j, sizeof(*out));
		for (uint32_t f = 0; f < MT_EXPR_N_FIELDS; f++)
			if (mt_expr_fields[f].type == MT_EXPR_TEXT &&
				(out->values.known >> f & 1) && out->values.v[f].text.p)
				out->values.v[f].text.p += moved;
		__atomic_store_n(&j->state, MT_JOURNEY_FREE, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

static struct mt_trace_journey *find_free(struct mt_trace *t)
{
	for (uint32_t i = 0; i < LOOK_FOR_FREE; i++) {
		struct mt_trace_journey *j = &t->journeys[t->next++ % MT_TRACE_JOURNEYS];

		if (__atomic_load_n(&j->state, __ATOMIC_ACQUIRE) == MT_JOURNEY_FREE)
			return j;
	}
	mt_count(&t->stats.missed, 0);
	return NULL;
}

struct mt_trace_journey *mt_trace_make(struct mt_trace *t, const struct mt_expr_values *v)
{
	struct mt_trace_journey *j = find_free(t);

	if (!j)
		return NULL;
	memset(j, 0, offsetof(struct mt_trace_journey, pool));
	__atomic_store_n(&j->state, MT_JOURNEY_LIVE, __ATOMIC_RELAXED);
	j->began = j->last = mt_trace_tsc();
	j->wall = t->wall;
	j->turn = t->turn;
	for (uint32_t f = 0; f < MT_EXPR_N_FIELDS; f++) {
		if (!(v->known >> f & 1))
			continue;
		if (mt_expr_fields[f].type == MT_EXPR_TEXT)
			mt_trace_know(j, f, v->v[f].text);
		else
			j->values.v[f] = v->v[f];
	}
	j->values.known |= v->known;
	return j;
}

/*
 * Whether the exchange may still be selected. If a connection is followed, any exchange may come to
 * use it.
 */
static enum mt_tri may_be(const struct mt_trace *t, const struct mt_expr_values *v)
{
	return t->conf.connection ? MT_TRI_MAYBE : mt_expr_eval(&t->conf.expr, v);
}

uint16_t mt_trace_begin(struct mt_trace *t, uint64_t key, const struct mt_expr_values *v)
{
	struct mt_trace_journey *j;

	if (!t->conf.exchanges)
		return 0;
	mt_count(&t->stats.looked_at, 0);
	if (t->left == 0 || may_be(t, v) == MT_TRI_NO)
		return 0;
	j = mt_trace_make(t, v);
	if (!j)
		return 0;
	j->key = key;
	if (t->capture)
		mt_capture_begin(t, j);
	return (uint16_t)(j - t->journeys + 1);
}

struct mt_trace_journey *mt_trace_journey(struct mt_trace *t, uint16_t number, uint64_t key)
{
	struct mt_trace_journey *j;

	if (!t || number == 0 || number > MT_TRACE_JOURNEYS)
		return NULL;
	j = &t->journeys[number - 1];
	/* Tracing may have ended and started again since the exchange got its number. */
	if (__atomic_load_n(&j->state, __ATOMIC_RELAXED) != MT_JOURNEY_LIVE || j->key != key ||
		j->ended)
		return NULL;
	return j;
}

void mt_trace_know(struct mt_trace_journey *j, enum mt_expr_field field, struct mt_slice text)
{
	uint32_t room = (uint32_t)(sizeof(j->pool) - j->n_pool);
	uint32_t n = MT_MIN(text.len, MT_MIN(room, (uint32_t)MT_TRACE_VALUE));
	char *to = j->pool + j->n_pool;

	if (!text.p) {
		mt_expr_set_text(&j->values, field, (struct mt_slice){NULL, 0});
		return;
	}
	memcpy(to, text.p, n);
	j->n_pool = (uint16_t)(j->n_pool + n);
	mt_expr_set_text(&j->values, field, (struct mt_slice){(const uint8_t *)to, n});
}

void mt_trace_know_str(struct mt_trace_journey *j, enum mt_expr_field field, const char *text)
{
	mt_trace_know(j, field,
		(struct mt_slice){(const uint8_t *)text, text ? (uint32_t)strlen(text) : 0});
}

static void forget(struct mt_trace *t, struct mt_trace_journey *j)
{
	mt_count(&t->stats.forgotten, 0);
	__atomic_store_n(&j->state, MT_JOURNEY_FREE, __ATOMIC_RELAXED);
}

bool mt_trace_go_on(struct mt_trace *t, struct mt_trace_journey *j)
{
	if (may_be(t, &j->values) != MT_TRI_NO)
		return true;
	forget(t, j);
	return false;
}

/* Writes the texts one after another; each gets at least its share of the space. */
static void put_texts(struct mt_trace_step *s, const char *const *texts, uint8_t n)
{
	uint32_t at = 0;

	s->n_texts = n;
	for (uint8_t i = 0; i < n; i++) {
		uint32_t rest = (uint32_t)(n - i - 1);
		uint32_t room = MT_TRACE_TEXT - at - MT_MIN(rest * 48, MT_TRACE_TEXT / 2);
		const char *text = texts[i] ? texts[i] : "-";
		uint32_t len = (uint32_t)strnlen(text, room - 1);

		memcpy(s->text + at, text, len);
		s->text[at + len] = '\0';
		at += len + 1;
	}
}

/* Adds the next step, written at `tsc`; NULL: full. */
struct mt_trace_step *mt_trace_add(
	struct mt_trace_journey *j, enum mt_trace_point point, uint64_t tsc, uint32_t cycles)
{
	struct mt_trace_step *s;

	if (j->n_steps == MT_TRACE_STEPS) {
		j->lost++;
		return NULL;
	}
	s = &j->steps[j->n_steps++];
	s->tsc = tsc;
	s->cycles = cycles;
	s->point = point;
	s->n_texts = s->n_numbers = 0;
	return s;
}

void mt_trace_fill(struct mt_trace_step *s, const char *const *texts, uint8_t n_texts,
	const uint64_t *numbers, uint8_t n_numbers)
{
	if (!s)
		return;
	put_texts(s, texts, n_texts);
	s->n_numbers = MT_MIN(n_numbers, (uint8_t)MT_TRACE_NUMBERS);
	for (uint8_t i = 0; i < s->n_numbers; i++)
		s->numbers[i] = numbers[i];
}

void mt_trace_step(struct mt_trace *t, struct mt_trace_journey *j, enum mt_trace_point point,
	const char *const *texts, uint8_t n_texts, const uint64_t *numbers, uint8_t n_numbers)
{
	uint64_t now = mt_trace_tsc();
	uint64_t took = now - j->last;

	mt_trace_fill(mt_trace_add(j, point, now, took > UINT32_MAX ? UINT32_MAX : (uint32_t)took),
		texts, n_texts, numbers, n_numbers);
	j->turn = t->turn;
	j->last = mt_trace_tsc(); /* without the time to record the step */
}

void mt_trace_end(struct mt_trace *t, struct mt_trace_journey *j)
{
	if (j->ended)
		return;
	j->ended = true;
	t->ended[t->n_ended++] = (uint16_t)(j - t->journeys);
}

/* Text fields that no trace point set compare as absent. */
static void know_the_rest(struct mt_trace_journey *j)
{
	for (uint32_t f = 0; f < MT_EXPR_N_FIELDS; f++)
		if (!(j->values.known >> f & 1) && mt_expr_fields[f].type == MT_EXPR_TEXT)
			mt_expr_set_text(&j->values, f, (struct mt_slice){NULL, 0});
}

void mt_trace_over(struct mt_trace *t, struct mt_trace_journey *j, const struct mt_record *r)
{
	const uint64_t took = r->took / MT_USEC;

	mt_trace_know_str(j, MT_EXPR_status, r->state);
	mt_expr_set_number(&j->values, MT_EXPR_bytes, r->bytes_in + r->bytes_out);
	mt_expr_set_number(&j->values, MT_EXPR_took, r->took);
	know_the_rest(j);
	mt_trace_step(t, j, MT_TRACE_end, &r->state, 1, &took, 1);
	mt_trace_end(t, j);
}

/* ---- end of a loop iteration ---------------------------------------------------------------- */

void mt_trace_keep(struct mt_trace *t, struct mt_trace_journey *j)
{
	if (t->left == 0) {
		forget(t, j);
		return;
	}
	if (t->capture) {
		mt_capture_keep(t, j);
		forget(t, j);
		return;
	}
	t->left--;
	mt_count(&t->stats.kept, 0);
	__atomic_store_n(&j->state, MT_JOURNEY_KEPT, __ATOMIC_RELEASE);
}

void mt_trace_settle(struct mt_trace *t)
{
	if (t->conf.packets)
		mt_trace_packets(t);
	if (t->capture)
		mt_trace_decide_packets(t);
	for (uint16_t i = 0; i < t->n_ended; i++) {
		struct mt_trace_journey *j = &t->journeys[t->ended[i]];

		if (t->conf.connection ? j->followed
				       : mt_expr_eval(&t->conf.expr, &j->values) == MT_TRI_YES)
			mt_trace_keep(t, j);
		else
			forget(t, j);
	}
	if (t->capture)
		mt_capture_publish(t->capture);
	t->n_ended = t->n_watches = 0;
	t->turn_notes = t->n_notes;
	t->turn++;
}
