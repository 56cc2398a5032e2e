/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a node on the control thread: the wanted outputs, and the end of old ones. mt-log gets
 * each change as a new list. An old output ends in steps: mt-log takes a list without it, its sink
 * writes what it has, its memory is freed.
 */
#include "mt_alog_priv.h"

#include "mt_outcome.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- start and end -------------------------------------------------------------------------- */

/* Frees an output. Its sink has ended, hangs, or was never made. */
static void output_free(struct mt_alog_output *o)
{
	if (!o)
		return;
	mt_alog_sink_free(o->sink);
	mt_alog_net_free(o->net);
	mt_alog_format_free(o->format);
	mt_alog_filter_free(o->filter);
	mt_alog_place_fini(&o->place);
	free(o->document);
	free(o->text);
	free(o->filter_text);
	free(o);
}

void mt_alog_free(struct mt_alog *l)
{
	if (!l)
		return;
	MT_ASSERT(!l->running);
	for (uint32_t i = 0; i < l->now.n; i++)
		output_free(l->now.v[i]);
	for (uint32_t i = 0; l->memory && i < l->workers; i++)
		free(l->memory[i]);
	mt_alog_totals_fini(l);
	free(l->trial);
	free(l->memory);
	free(l->rings);
	free(l->list);
	free(l->next);
	if (l->event >= 0)
		close(l->event);
	free(l);
}

static bool make_rings(struct mt_alog *l)
{
	l->rings = aligned_alloc(64, sizeof(*l->rings) * l->workers);
	l->memory = calloc(l->workers, sizeof(*l->memory));
	for (uint32_t i = 0; l->rings && l->memory && i < l->workers; i++) {
		/* Only pages that are used become resident. */
		l->memory[i] = calloc(1, MT_BYTE_RING_SIZE);
		if (!l->memory[i])
			return false;
		mt_byte_ring_init(&l->rings[i], l->memory[i], MT_BYTE_RING_SIZE);
	}
	return l->rings && l->memory;
}

struct mt_alog *mt_alog_new(uint32_t workers, struct mt_err *e)
{
	struct mt_alog *l = calloc(1, sizeof(*l));

	MT_ASSERT(workers <= MT_ALOG_WORKERS);
	if (!l) {
		(void)mt_err(e, -ENOMEM, "access log: no memory");
		return NULL;
	}
	l->workers = workers;
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->trial = calloc(1, mt_alog_trial_size());
	if (l->event >= 0 && l->trial && make_rings(l))
		return l;
	(void)mt_err(e, -ENOMEM, "access log: no memory for the rings of %u workers", workers);
	mt_alog_free(l);
	return NULL;
}

void mt_alog_use_export(struct mt_alog *l, struct mt_export *x)
{
	l->export = x;
}

struct mt_byte_ring *mt_alog_ring(struct mt_alog *l, uint32_t worker)
{
	return &l->rings[worker];
}

/* ---- outputs -------------------------------------------------------------------------------- */

/* Lines that each output lost because a ring was full, or mt-log ended before them. */
static uint64_t lost_in_rings(const struct mt_alog *l)
{
	uint64_t n = mt_count_read(&l->unrendered);

	for (uint32_t i = 0; i < l->workers; i++)
		n += mt_count_read(&l->rings[i].lost);
	return n;
}

uint64_t mt_alog_lost_ring(const struct mt_alog *l, const struct mt_alog_output *o)
{
	return o->stopping ? o->lost_ring : lost_in_rings(l) - o->lost_before;
}

static void collector_path(const struct mt_alog_collector *c, char to[PATH_MAX])
{
	snprintf(to, PATH_MAX, "provider %s", c->name);
}

/* The place as people read it. */
static void path_of(const struct mt_alog_output *o, char to[PATH_MAX])
{
	const struct mt_alog_place *p = &o->place;

	if (o->net)
		collector_path(&o->net->collector, to);
	else if (p->path)
		snprintf(to, PATH_MAX, "%s/%s", p->directory, p->path);
	else
		snprintf(to, PATH_MAX, "/dev/std%s", p->fd == STDOUT_FILENO ? "out" : "err");
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_place(const struct mt_alog_output *o, const struct mt_alog_want *w)
{
	const struct mt_alog_place *a = &o->place, *b = &w->place;

	if (o->net || w->collector)
		return o->net && w->collector && mt_alog_net_is(o->net, w->collector);
	return same_text(a->path, b->path) && same_text(a->directory, b->directory) &&
	       a->fd == b->fd;
}

static bool same_format(const struct mt_alog_output *o, const struct mt_alog_spec *s)
{
	return o->encoding == s->encoding && o->omit_empty == s->omit_empty &&
	       !o->text == !s->text && o->len == s->len &&
	       (!o->text || memcmp(o->text, s->text, o->len) == 0);
}

static struct mt_alog_output *find(const struct mt_alog_list *in, const struct mt_alog_want *w)
{
	for (uint32_t i = 0; i < in->n; i++)
		if (same_place(in->v[i], w) && same_format(in->v[i], &w->spec) &&
			same_text(in->v[i]->filter_text, w->filter) &&
			in->v[i]->draw.skips == w->draw.skips && in->v[i]->draw.own == w->draw.own)
			return in->v[i];
	return NULL;
}

static bool copy_place(const struct mt_alog_place *from, struct mt_alog_place *to)
{
	*to = (struct mt_alog_place){.fd = from->fd};
	if (!from->path)
		return true;
	to->path = strdup(from->path);
	to->directory = strdup(from->directory);
	if (to->path && to->directory)
		return true;
	mt_alog_place_fini(to);
	return false;
}

static int start_net(struct mt_alog *l, struct mt_alog_output *o, const struct mt_alog_collector *c,
	struct mt_err *e)
{
	char path[PATH_MAX];
	int rc, total;

	collector_path(c, path);
	total = mt_alog_total_of(l, path);
	if (total < 0)
		return mt_err(e, -ENOMEM, "no memory");
	o->total = (uint32_t)total;
	o->net = mt_alog_net_new(l->export, c, &rc, e);
	return rc;
}

static int start_sink(struct mt_alog *l, struct mt_alog_output *o, struct mt_err *e)
{
	struct mt_alog_place place;
	char path[PATH_MAX];
	int total;

	path_of(o, path);
	total = mt_alog_total_of(l, path);
	if (total < 0 || !copy_place(&o->place, &place))
		return mt_err(e, -ENOMEM, "no memory");
	o->total = (uint32_t)total;
	o->sink = mt_alog_sink_new(&place, e);
	return o->sink ? 0 : -ENOMEM;
}

static bool copy_texts(const struct mt_alog_want *w, struct mt_alog_output *o)
{
	o->document = strdup(w->document);
	if (w->spec.text)
		o->text = strndup(w->spec.text, w->spec.len);
	if (w->filter)
		o->filter_text = strdup(w->filter);
	return o->document && !o->text == !w->spec.text && !o->filter_text == !w->filter;
}

/* Compiles format and filter. */
static bool compile(const struct mt_alog_want *w, struct mt_alog_output *o, struct mt_err *e)
{
	o->format = mt_alog_compile(&w->spec, e);
	if (o->format && w->filter) {
		o->filter = mt_alog_filter_new(w->filter, e);
		o->filter_id = mt_alog_filter_id(w->filter);
	}
	return o->format && !o->filter == !w->filter;
}

static struct mt_alog_output *output_new(
	struct mt_alog *l, const struct mt_alog_want *w, int *rc, struct mt_err *e)
{
	struct mt_alog_output *o = calloc(1, sizeof(*o));

	*rc = -ENOMEM;
	if (!o || !copy_place(&w->place, &o->place) || !copy_texts(w, o)) {
		(void)mt_err(e, *rc, "no memory");
		output_free(o);
		return NULL;
	}
	o->len = w->spec.len;
	o->encoding = w->spec.encoding;
	o->omit_empty = w->spec.omit_empty;
	o->draw = w->draw;
	o->number = ++l->outputs;
	o->lost_before = lost_in_rings(l);
	*rc = !compile(w, o, e) ? -EINVAL
	      : w->collector	? start_net(l, o, w->collector, e)
				: start_sink(l, o, e);
	if (*rc == 0)
		return o;
	output_free(o);
	return NULL;
}

static bool contains(const struct mt_alog_list *in, const struct mt_alog_output *o)
{
	for (uint32_t i = 0; i < in->n; i++)
		if (in->v[i] == o)
			return true;
	return false;
}

/* Ends the outputs of `from` that are not in `kept`, once mt-log has the list `until`. */
static void retire_others(struct mt_alog *l, const struct mt_alog_list *from,
	const struct mt_alog_list *kept, uint64_t until)
{
	for (uint32_t i = 0; i < from->n; i++) {
		struct mt_alog_output *o = from->v[i];

		if (contains(kept, o))
			continue;
		o->until = until;
		o->next = l->past;
		l->past = o;
	}
}

static int fill(struct mt_alog *l, const struct mt_alog_want *wanted, uint32_t n,
	struct mt_alog_list *to, struct mt_err *e)
{
	for (uint32_t i = 0; i < n; i++) {
		struct mt_alog_output *o = find(&l->now, &wanted[i]);
		int rc = 0;

		if (o && !contains(to, o)) {
			to->v[to->n++] = o;
			continue;
		}
		o = output_new(l, &wanted[i], &rc, e);
		if (!o)
			return rc;
		to->v[to->n++] = o;
	}
	return 0;
}

/* Gives mt-log the list. One that it has not taken yet is replaced. */
static int publish(struct mt_alog *l, const struct mt_alog_list *list)
{
	struct mt_alog_list *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *list;
	free(__atomic_exchange_n(&l->next, copy, __ATOMIC_ACQ_REL));
	if (!l->running) {
		int rc = mt_alog_thread_start(l);

		if (rc) {
			free(__atomic_exchange_n(&l->next, NULL, __ATOMIC_ACQ_REL));
			return rc;
		}
	}
	mt_alog_wake(l);
	return 0;
}

/* Texts and targets of kept outputs may have changed. */
static void update_all(struct mt_alog_list *list, const struct mt_alog_want *wanted)
{
	for (uint32_t i = 0; i < list->n; i++) {
		char *document = strdup(wanted[i].document);

		if (list->v[i]->net)
			mt_alog_net_move(list->v[i]->net, wanted[i].collector->target);
		if (!document)
			continue;
		free(list->v[i]->document);
		list->v[i]->document = document;
	}
}

static bool same_outputs(const struct mt_alog_list *a, const struct mt_alog_list *b)
{
	return a->n == b->n && memcmp(a->v, b->v, a->n * sizeof(a->v[0])) == 0 &&
	       memcmp(a->keys, b->keys, a->n * sizeof(a->keys[0])) == 0 &&
	       memcmp(a->general, b->general, a->n * sizeof(a->general[0])) == 0 &&
	       memcmp(a->unserved, b->unserved, a->n * sizeof(a->unserved[0])) == 0;
}

/* Which calls each output gets. */
static void set_scopes(struct mt_alog_list *list, const struct mt_alog_want *wanted)
{
	for (uint32_t i = 0; i < list->n; i++) {
		list->keys[i] = wanted[i].key;
		list->general[i] = wanted[i].general;
		list->unserved[i] = wanted[i].unserved;
	}
}

int mt_alog_set(struct mt_alog *l, const struct mt_alog_want *wanted, uint32_t n, struct mt_err *e)
{
	struct mt_alog_list to = {.version = l->now.version + 1};
	int rc;

	if (n > MT_ALOG_OUTPUTS)
		return mt_err(
			e, -EINVAL, "%u access logs are too many: at most %u", n, MT_ALOG_OUTPUTS);
	if (l->stopped || (!n && !l->now.n))
		return 0;
	rc = fill(l, wanted, n, &to, e);
	if (rc == 0)
		set_scopes(&to, wanted);
	if (rc == 0 && same_outputs(&to, &l->now)) {
		update_all(&l->now, wanted);
		return 0;
	}
	if (rc == 0) {
		rc = publish(l, &to);
		if (rc)
			(void)mt_err(e, rc, "access log: %s", strerror(-rc));
	}
	if (rc) {
		/* mt-log never gets the new outputs. */
		retire_others(l, &to, &l->now, 0);
		return rc;
	}
	update_all(&to, wanted);
	retire_others(l, &l->now, &to, to.version);
	l->now = to;
	return 0;
}

/* Takes the next step to the end of an output. True: it is freed. */
static bool end(struct mt_alog *l, struct mt_alog_output *o)
{
	if (!o->stopping) {
		if (__atomic_load_n(&l->adopted, __ATOMIC_ACQUIRE) < o->until)
			return false;
		mt_alog_output_stop(o, MT_ALOG_STOP);
		o->lost_ring = mt_alog_lost_ring(l, o);
		o->stopping = true;
	}
	if (!mt_alog_output_may_join(o))
		return false;
	mt_alog_output_join(o);
	mt_alog_total_add(l, o);
	output_free(o);
	return true;
}

void mt_alog_turn(struct mt_alog *l)
{
	struct mt_alog_output **at = &l->past;

	while (*at) {
		struct mt_alog_output *next = (*at)->next;

		if (end(l, *at))
			*at = next;
		else
			at = &(*at)->next;
	}
}

void mt_alog_reopen(struct mt_alog *l)
{
	for (uint32_t i = 0; i < l->now.n; i++)
		mt_alog_output_reopen(l->now.v[i]);
}

/* ---- counters ------------------------------------------------------------------------------- */

bool mt_alog_output(const struct mt_alog *l, uint32_t i, struct mt_alog_output_stats *to)
{
	const struct mt_alog_output *o = i < l->now.n ? l->now.v[i] : NULL;

	if (!o)
		return false;
	to->number = o->number;
	to->document = o->document;
	path_of(o, to->path);
	to->is_sent = o->net != NULL;
	to->what = o->net && o->net->collector.service == MT_ALOG_SPANS ? "spans" : "lines";
	mt_alog_output_stats_of(o, &to->sink);
	to->lost_ring = mt_alog_lost_ring(l, o);
	to->wanted = to->sink.wanted + to->lost_ring;
	return true;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

void mt_alog_marks(const struct mt_alog *l, struct mt_alog_marks *m)
{
	m->set = true;
	for (uint32_t i = 0; i < l->workers; i++)
		m->at[i] = mt_byte_ring_head(&l->rings[i]);
}

bool mt_alog_passed(const struct mt_alog *l, const struct mt_alog_marks *m)
{
	for (uint32_t i = 0; i < l->workers; i++)
		if (!mt_byte_ring_passed(&l->rings[i], m->at[i]))
			return false;
	return true;
}

/* ---- stop ----------------------------------------------------------------------------------- */

static void end_sinks(struct mt_alog *l, uint64_t ns)
{
	for (uint32_t i = 0; i < l->now.n; i++)
		mt_alog_output_stop(l->now.v[i], ns);
	for (struct mt_alog_output *o = l->past; o; o = o->next)
		if (!o->stopping)
			mt_alog_output_stop(o, ns);
	for (uint32_t i = 0; i < l->now.n; i++)
		mt_alog_output_join(l->now.v[i]);
}

void mt_alog_stop(struct mt_alog *l, uint64_t ns)
{
	uint64_t until = mt_alog_monotonic() + ns, now;

	if (l->stopped)
		return;
	l->stopped = true;
	if (l->running) {
		/* Lines first have to be rendered: a quarter of the time is for that. */
		l->deadline = until - ns * 3 / 4;
		__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
		mt_alog_wake(l);
		pthread_join(l->thread, NULL);
		l->running = false;
	}
	now = mt_alog_monotonic();
	end_sinks(l, until > now ? until - now : 0);
	while (l->past) {
		struct mt_alog_output *o = l->past;

		l->past = o->next;
		mt_alog_output_join(o);
		mt_alog_total_add(l, o);
		output_free(o);
	}
}
