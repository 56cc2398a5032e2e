/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `close connection`: closes a connection by its id, or those that an expression of `show
 * connections` selects. Each worker gets a request with its connections, and closes some of them in
 * one loop iteration; the same request then continues.
 */
#include "ask.h"
#include "names.h"
#include "tune.h"
#include "view.h"

#include <inttypes.h>
#include <stdio.h>

#define CLOSE_MAX 100u /* connections of one command */
_Static_assert(CLOSE_MAX <= MT_ASK_ROWS, "a request has room for them");

struct target {
	uint32_t worker, index, born_ms;
};

struct closing {
	struct target of[CLOSE_MAX];
	uint32_t n;
	uint64_t matched; /* more than n if there are too many */
	bool at_once;
	uint32_t closed, draining; /* so far */
	json_t *rows, *silent;
};

char *mt_conn_id(uint16_t worker, uint32_t index, uint32_t born_ms, char buf[MT_CONN_ID])
{
	snprintf(buf, MT_CONN_ID, "%u-%u-%u", worker, index, born_ms);
	return buf;
}

static bool parse_id(const char *text, struct target *t)
{
	char again[MT_CONN_ID];

	if (sscanf(text, "%" SCNu32 "-%" SCNu32 "-%" SCNu32, &t->worker, &t->index, &t->born_ms) !=
			3 ||
		t->worker > UINT16_MAX)
		return false;
	/* sscanf() ignores what follows, and numbers that are too large. */
	return strcmp(mt_conn_id((uint16_t)t->worker, t->index, t->born_ms, again), text) == 0;
}

static void add_silent(struct closing *k, uint16_t worker)
{
	json_t *other;
	size_t i;

	json_array_foreach(k->silent, i, other)
	{
		if (json_integer_value(other) == worker)
			return;
	}
	json_array_append_new(k->silent, json_integer(worker));
}

/* Selects by an expression. NULL, or the error. */
static json_t *select_rows(
	struct mt_ctl *c, const struct mt_request *r, uint32_t n_words, struct closing *k)
{
	/* Counts all that match, not only those that the answer has room for. */
	struct mt_ctl_view view = {.limit = UINT32_MAX, .count = true};
	struct mt_request shown = {.who = r->who, .view = &view};
	json_t *all, *row;
	size_t i;

	mt_ctl_join_words(r->args + 1, n_words - 1, view.where, sizeof(view.where));
	if (!*view.where)
		return mt_ctl_error("where needs an expression, like `where src=192.0.2.3`");
	all = mt_show_connections(c, &shown);
	if (!all || json_object_get(all, "error"))
		return all ? all : mt_ctl_error("no memory");
	k->matched = (uint64_t)json_integer_value(json_object_get(all, "matched"));
	json_array_foreach(json_object_get(all, "connections"), i,
		row) if (k->n < CLOSE_MAX && parse_id(json_string_value(json_object_get(row, "id")),
						     &k->of[k->n])) k->n++;
	json_array_foreach(json_object_get(all, "workers_without_answer"), i, row)
		add_silent(k, (uint16_t)json_integer_value(row));
	json_decref(all);
	return NULL;
}

static void add_row(struct closing *k, const struct target *t, const struct mt_ask_close *done)
{
	static const char *const words[] = {
		[MT_CONN_LEFT] = "left open: it is opening, in a handshake, or a health check",
		[MT_CONN_DRAINS] = "drains",
		[MT_CONN_CLOSED] = "closed"};
	char local[MT_ADDR_STRLEN], remote[MT_ADDR_STRLEN], id[MT_CONN_ID];

	if (!done->there)
		return;
	k->closed += done->done == MT_CONN_CLOSED;
	k->draining += done->done == MT_CONN_DRAINS;
	mt_json_add(k->rows, MT_M("id", mt_conn_id((uint16_t)t->worker, t->index, t->born_ms, id)),
		MT_M("side", done->accepted ? "client" : "server"),
		MT_M("local", mt_addr_port_str(&done->tuple.local, done->tuple.lport, local)),
		MT_M("remote", mt_addr_port_str(&done->tuple.remote, done->tuple.rport, remote)),
		MT_M("result", words[done->done]));
}

/* Number of the connections, from the first on, that the worker has handled. */
static uint32_t run_to_end(struct mt_ctl *c, uint16_t w, const struct mt_ask *a)
{
	uint32_t done = 0;

	for (bool ok = mt_ask_run(c, w); ok; ok = a->more && mt_ask_more(c, w))
		done = a->idx;
	return done;
}

static void close_on(struct mt_ctl *c, uint16_t w, struct closing *k)
{
	struct mt_ask *a = mt_ask_for(c, w, MT_ASK_CLOSE);
	const struct target *of[CLOSE_MAX];
	uint32_t n = 0, done;

	for (uint32_t i = 0; i < k->n; i++)
		if (k->of[i].worker == w)
			of[n++] = &k->of[i];
	for (uint32_t i = 0; a && i < n; i++)
		a->closes[a->n++] = (struct mt_ask_close){
			.index = of[i]->index, .born_ms = of[i]->born_ms, .at_once = k->at_once};
	done = a && n ? run_to_end(c, w, a) : 0;
	for (uint32_t i = 0; i < done; i++)
		add_row(k, of[i], &a->closes[i]);
	if (done < n)
		add_silent(k, w);
}

static json_t *answer_of(struct mt_ctl *c, const struct mt_request *r, struct closing *k)
{
	const json_t *first = json_array_get(k->rows, 0);
	size_t n = json_array_size(k->rows);
	char words[256];
	json_t *j;

	if (n == 1)
		snprintf(words, sizeof(words), "connection %s (%s %s): %s",
			json_string_value(json_object_get(first, "id")),
			json_string_value(json_object_get(first, "side")),
			json_string_value(json_object_get(first, "remote")),
			json_string_value(json_object_get(first, "result")));
	else
		snprintf(words, sizeof(words), "connections: %u closed, %u draining", k->closed,
			k->draining);
	if (k->closed + k->draining)
		mt_ctl_acted(c, r->who, "close", words);
	j = mt_json_object(MT_M("close", words), MT_M("matched", k->matched),
		MT_M("connections", json_incref(k->rows)));
	if (j && k->matched > k->n)
		mt_json_set(j, MT_M("note", "only the first 100 were closed: repeat the command"));
	if (j && json_array_size(k->silent))
		json_object_set(j, "workers_without_answer", k->silent);
	mt_render_absent(j, "note workers_without_answer");
	return j;
}

/* The connections of the command's n words; NULL, or the error. */
static json_t *select_by(
	struct mt_ctl *c, const struct mt_request *r, uint32_t n, struct closing *k)
{
	if (strcmp(r->args[0], "where") == 0)
		return select_rows(c, r, n, k);
	if (n > 1 || !parse_id(r->args[0], &k->of[0]))
		return mt_ctl_error("usage: close connection ID|where EXPRESSION [now]; `show "
				    "connections` has the ids");
	k->n = 1;
	k->matched = 1;
	return NULL;
}

json_t *mt_run_close(struct mt_ctl *c, const struct mt_request *r)
{
	uint32_t n = r->n_args;
	struct closing k = {.rows = json_array(), .silent = json_array()};
	json_t *j;

	if (n > 1 && strcmp(r->args[n - 1], "now") == 0)
		n--;
	k.at_once = n < r->n_args;
	j = select_by(c, r, n, &k);
	for (uint16_t w = 0; !j && w < c->env.n_workers; w++)
		close_on(c, w, &k);
	if (!j && (json_array_size(k.rows) || json_array_size(k.silent) ||
			  strcmp(r->args[0], "where") == 0))
		j = answer_of(c, r, &k);
	else if (!j)
		j = mt_ctl_error(
			"there is no connection %s; `show connections` has the ids", r->args[0]);
	json_decref(k.rows);
	json_decref(k.silent);
	return j;
}

void mt_offer_close(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	struct mt_request shown = {.who = r->who};
	json_t *all, *row;
	size_t i;

	if (r->n_args)
		mt_offer(o, "now", "do not wait for outstanding calls");
	if (r->n_args && strcmp(r->args[0], "where") == 0)
		mt_offer_connections(c, &shown, o);
	if (r->n_args)
		return;
	mt_offer(o, "where", "those that match an expression, at most 100 at once");
	all = mt_show_connections(c, &shown);
	json_array_foreach(json_object_get(all, "connections"), i, row)
		mt_offer(o, json_string_value(json_object_get(row, "id")),
			json_string_value(json_object_get(row, "remote")));
	json_decref(all);
}
