/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts a stream into messages, as a connection of the daemon does. Where a capture starts within a
 * connection, or after a gap, the next message is looked for at the starts of segments.
 */
#include "codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STARTS 64 /* starts of segments that are tried after a gap */

struct reader {
	struct codec_test *t;
	const char *input;
	const struct stream *s;
	uint32_t at, end; /* the part up to the next gap */
	uint32_t cut;	  /* index of the next cut after `at` */
	bool named;	  /* the gap at `end` was printed */
	bool lost;	  /* it is not known whether a message starts at `at` */
};

struct attempt {
	enum mt_decode rc;
	enum mt_dir dir;
	struct mt_msg msg;
	char why[256]; /* it is refused, or none */
};

/* ---- output ---------------------------------------------------------------------------------- */

static void show(struct codec_test *t, json_t *m)
{
	if (t->all || t->shown < CODEC_SHOWN) {
		if (t->json) {
			fputs(t->shown ? ",\n    " : "\n    ", stdout);
			json_dumpf(m, stdout, JSON_COMPACT);
		} else {
			codec_page_message(m);
		}
		t->shown++;
	}
	json_decref(m);
}

static void problem(struct reader *r, uint32_t at, const char *fmt, ...) mt_printf(3, 4);
static void problem(struct reader *r, uint32_t at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	show(r->t, json_pack("{s:s, s:s, s:I, s:o}", "input", r->input, "stream", r->s->name,
			   "offset", (json_int_t)at, "problem", json_vsprintf(fmt, ap)));
	va_end(ap);
	r->t->problems++;
}

void codec_problem(struct codec_test *t, const char *input, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	show(t, json_pack("{s:s, s:o}", "input", input, "problem", json_vsprintf(fmt, ap)));
	va_end(ap);
	t->problems++;
}

static void message(struct reader *r, const struct attempt *a)
{
	struct codec_test *t = r->t;

	t->messages++;
	t->kinds[a->msg.kind]++;
	t->refused += a->msg.refuse != 0;
	if (t->all || t->shown < CODEC_SHOWN) {
		json_t *m = codec_message(t, a->dir, &a->msg, r->s->bytes + r->at);

		json_object_set_new(m, "input", json_string(r->input));
		json_object_set_new(m, "stream", json_string(r->s->name));
		json_object_set_new(m, "offset", json_integer(r->at));
		if (a->msg.refuse)
			json_object_set_new(m, "cause", json_string(a->why));
		show(t, m);
	}
}

/* ---- attempts -------------------------------------------------------------------------------- */

static struct attempt attempt_from(struct reader *r, uint32_t at, enum mt_dir dir)
{
	struct mt_codecfile_seen seen = {.view = &r->t->view,
		.table = r->t->table,
		.found = r->t->found,
		.bytes = r->s->bytes + at};
	struct attempt a = {.dir = dir};

	a.rc = mt_codec_table_first(r->t->table, dir, r->s->bytes + at, r->end - at, r->t->places,
		r->t->view.n_places, r->t->found, &seen.msg, &seen.why);
	a.msg = seen.msg;
	mt_codecfile_why(&seen, a.why, sizeof(a.why));
	return a;
}

/*
 * Reads a message at `at`. Of a sender that is not known the client is tried first, and the better
 * result counts.
 */
static struct attempt attempt(struct reader *r, uint32_t at)
{
	struct attempt client, server;

	if (r->s->from != STREAM_EITHER)
		return attempt_from(r, at, r->s->from == STREAM_CLIENT ? MT_DIR_DOWN : MT_DIR_UP);
	client = attempt_from(r, at, MT_DIR_DOWN);
	if (client.rc == MT_DECODE_DONE)
		return client;
	server = attempt_from(r, at, MT_DIR_UP);
	if (server.rc == MT_DECODE_DONE ||
		(server.rc == MT_DECODE_MORE && client.rc == MT_DECODE_BAD))
		return server;
	return attempt_from(r, at, MT_DIR_DOWN);
}

/* Finds a start of a segment where a message starts. False: none is found. */
static bool resume(struct reader *r)
{
	uint32_t tried = 0;

	if (attempt(r, r->at).rc == MT_DECODE_DONE)
		return true;
	for (uint32_t i = r->cut; i < r->s->n_cuts && r->s->cuts[i].at < r->end; i++) {
		uint32_t at = r->s->cuts[i].at;

		if (tried++ == STARTS)
			break;
		if (at == r->at || attempt(r, at).rc != MT_DECODE_DONE)
			continue;
		problem(r, r->at, "%u bytes are left out, up to the next segment with a message",
			at - r->at);
		r->at = at;
		return true;
	}
	return false;
}

/* ---- streams --------------------------------------------------------------------------------- */

/* Finds the end of the part that starts at `at`, and its gap. */
static const struct stream_cut *next_gap(struct reader *r)
{
	uint32_t i = r->cut;

	while (i < r->s->n_cuts && (!r->s->cuts[i].gap || r->s->cuts[i].at <= r->at))
		i++;
	r->end = i < r->s->n_cuts ? r->s->cuts[i].at : r->s->n;
	return i < r->s->n_cuts ? &r->s->cuts[i] : NULL;
}

static void incomplete(struct reader *r, const struct attempt *a, const struct stream_cut *gap)
{
	char whole[32] = "", cause[64] = "the input ends";

	if (a->msg.len)
		snprintf(whole, sizeof(whole), "of its %u ", a->msg.len);
	if (gap)
		snprintf(cause, sizeof(cause), "%u bytes are missing in the capture", gap->gap);
	problem(r, r->at, "an incomplete message of the %s: %u %sbytes are here, then %s",
		a->dir == MT_DIR_DOWN ? "client" : "server", r->end - r->at, whole, cause);
	r->named = true;
}

static void bad(struct reader *r, const struct attempt *a)
{
	struct attempt other;

	if (r->s->from != STREAM_EITHER) {
		problem(r, r->at,
			"not a message of the %s: %s; Meltemi ends the connection here, %u bytes "
			"are not read",
			a->dir == MT_DIR_DOWN ? "client" : "server", a->why, r->s->n - r->at);
		return;
	}
	other = attempt_from(r, r->at, MT_DIR_UP);
	problem(r, r->at,
		"not a message of the client (%s) or of the server (%s); Meltemi ends the "
		"connection here, %u bytes are not read",
		a->why, other.why, r->s->n - r->at);
}

/* Reads up to a gap or the end. False: the stream cannot go on. */
static bool part(struct reader *r, const struct stream_cut *gap)
{
	if (r->lost && !resume(r)) {
		problem(r, r->at, "no message starts here, nor at a start of the next segments");
		return true;
	}
	while (r->at < r->end) {
		struct attempt a = attempt(r, r->at);

		if (a.rc == MT_DECODE_BAD) {
			bad(r, &a);
			return false;
		}
		if (a.rc != MT_DECODE_DONE) {
			incomplete(r, &a, gap);
			return true;
		}
		message(r, &a);
		r->at += a.msg.len;
	}
	return true;
}

void codec_read(struct codec_test *t, const char *input, const struct stream *s)
{
	struct reader r = {.t = t, .input = input, .s = s, .lost = !s->whole};

	if (s->n_cuts && s->cuts[0].at == 0 && s->cuts[0].gap) {
		problem(&r, 0, "the first %u bytes of the connection are missing", s->cuts[0].gap);
		r.lost = true;
	}
	while (r.at < s->n) {
		const struct stream_cut *gap = next_gap(&r);

		r.named = false;
		if (!part(&r, gap))
			return;
		r.at = r.end;
		if (gap && !r.named)
			problem(&r, r.at, "%u bytes are missing in the capture", gap->gap);
		r.lost = gap != NULL;
		while (r.cut < s->n_cuts && s->cuts[r.cut].at <= r.at)
			r.cut++;
	}
}
