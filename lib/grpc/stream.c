/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC stream: messages in both directions, and its final status (gRPC over HTTP/2, "Responses").
 */
#include "mt_grpc_h2_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static void free_stream(struct mt_grpc_stream *s)
{
	mt_list_del(&s->node);
	mt_grpc_in_fini(&s->in);
	free(s->out);
	free(s);
}

/*
 * Removes the stream from the list before the callbacks, which may do anything with the channel
 * except free it.
 */
static void end(struct mt_grpc_stream *s, int status, const char *words)
{
	char kept[MT_GRPC_WORDS];

	mt_list_del(&s->node);
	snprintf(kept, sizeof(kept), "%s", words);
	if (s->retry_told && s->events->retry)
		s->events->retry(s->arg, s->retry);
	s->events->end(s->arg, status, kept);
	free_stream(s);
}

/* Detaches the stream from HTTP/2, which drops its later frames, and resets our side. */
static void forget(struct mt_grpc_stream *s, uint32_t h2_error)
{
	struct mt_grpc *g = s->g;

	(void)nghttp2_session_set_stream_user_data(g->h2, s->id, NULL);
	(void)nghttp2_submit_rst_stream(g->h2, NGHTTP2_FLAG_NONE, s->id, h2_error);
	mt_pipe_want_write(&g->pipe, true);
}

/* ---- interface for callers ------------------------------------------------------------------- */

struct mt_grpc_stream *mt_grpc_open(
	struct mt_grpc *g, const char *path, const struct mt_grpc_stream_events *events, void *arg)
{
	struct mt_grpc_stream *s;

	if (g->state != MT_GRPC_UP || g->going_away)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->g = g;
	s->events = events;
	s->arg = arg;
	s->in.max = g->conf.max_message;
	s->grpc_status = -1;
	s->id = mt_h2_open(g, s, path);
	mt_list_init(&s->node);
	if (s->id < 0) {
		free_stream(s);
		return NULL;
	}
	mt_list_add_tail(&g->streams, &s->node);
	mt_pipe_want_write(&g->pipe, true);
	return s;
}

static int make_room(struct mt_grpc_stream *s, size_t more)
{
	size_t room = s->room ? s->room : 1024;
	uint8_t *out;

	if (s->sent) {
		memmove(s->out, s->out + s->sent, s->have - s->sent);
		s->have -= s->sent;
		s->sent = 0;
	}
	while (room < s->have + more)
		room *= 2;
	if (room == s->room)
		return 0;
	out = realloc(s->out, room);
	if (!out)
		return -ENOMEM;
	s->out = out;
	s->room = room;
	return 0;
}

static void wake(struct mt_grpc_stream *s)
{
	(void)nghttp2_session_resume_data(s->g->h2, s->id);
	mt_pipe_want_write(&s->g->pipe, true);
}

int mt_grpc_send(struct mt_grpc_stream *s, const uint8_t *data, size_t len)
{
	/* Limits the queue for a server that sends responses but does not read our requests. */
	if (s->have - s->sent + MT_GRPC_PREFIX + len > s->g->conf.max_message)
		return -ENOBUFS;
	if (make_room(s, MT_GRPC_PREFIX + len))
		return -ENOMEM;
	mt_grpc_prefix(s->out + s->have, len);
	memcpy(s->out + s->have + MT_GRPC_PREFIX, data, len);
	s->have += MT_GRPC_PREFIX + len;
	wake(s);
	return 0;
}

void mt_grpc_finish(struct mt_grpc_stream *s)
{
	s->finished = true;
	wake(s);
}

void mt_grpc_cancel(struct mt_grpc_stream *s)
{
	forget(s, NGHTTP2_CANCEL);
	free_stream(s);
}

void mt_grpc_end_streams(struct mt_grpc *g, const char *why)
{
	struct mt_list *n;

	while ((n = mt_list_first(&g->streams)) != NULL)
		end(mt_list_entry(n, struct mt_grpc_stream, node), MT_GRPC_UNAVAILABLE, why);
}

/* ---- interface for HTTP/2 -------------------------------------------------------------------- */

size_t mt_grpc_stream_take(struct mt_grpc_stream *s, uint8_t *buf, size_t len, bool *last)
{
	size_t n = MT_MIN(len, s->have - s->sent);

	if (n)
		memcpy(buf, s->out + s->sent, n);
	s->sent += n;
	*last = s->finished && s->sent == s->have;
	return n;
}

/* Ends the stream after a message that cannot be accepted; the connection stays. */
static void refuse(struct mt_grpc_stream *s, int rc)
{
	char words[MT_GRPC_WORDS];

	snprintf(words, sizeof(words), "%s",
		rc == -EPROTO ? "the server sends compressed messages, which were not requested"
			      : "no memory for the server's message");
	if (rc == -EMSGSIZE)
		snprintf(words, sizeof(words),
			"the server announces a message of %zu bytes; %zu are allowed", s->in.want,
			s->in.max);
	forget(s, NGHTTP2_CANCEL);
	end(s, rc == -EPROTO ? MT_GRPC_INTERNAL : MT_GRPC_RESOURCE_EXHAUSTED, words);
}

/*
 * Argument of deliver(). The message callback may cancel and free the stream, so its id is kept
 * apart.
 */
struct delivery {
	struct mt_grpc *g;
	struct mt_grpc_stream *s;
	int32_t id;
};

static bool deliver(void *arg, const uint8_t *data, size_t len)
{
	struct delivery *d = arg;

	d->s->events->message(d->s->arg, data, len);
	return nghttp2_session_get_stream_user_data(d->g->h2, d->id) == d->s;
}

void mt_grpc_stream_body(struct mt_grpc_stream *s, const uint8_t *data, size_t len)
{
	struct delivery d = {s->g, s, s->id};
	int rc;

	if (s->http_status != 200 || !s->is_grpc)
		return; /* an HTTP error page: the status is enough */
	rc = mt_grpc_in_feed(&s->in, data, len, deliver, &d);
	if (rc)
		refuse(s, rc);
}

/* Decodes percent-encoding, such as "%20" (gRPC over HTTP/2, "Status-Message"). */
static void decode_words(char *out, size_t size, const char *in)
{
	size_t n = 0;

	while (*in && n + 1 < size) {
		unsigned int byte;

		if (in[0] == '%' && sscanf(in + 1, "%2x", &byte) == 1 && in[1] && in[2]) {
			out[n++] = byte ? (char)byte : '?';
			in += 3;
		} else {
			out[n++] = *in++;
		}
	}
	out[n] = '\0';
}

void mt_grpc_stream_header(
	struct mt_grpc_stream *s, const char *name, const char *value, size_t len)
{
	if (strcmp(name, ":status") == 0)
		s->http_status = atoi(value);
	else if (strcmp(name, "content-type") == 0)
		s->is_grpc = strncasecmp(value, "application/grpc", 16) == 0;
	else if (strcmp(name, "grpc-status") == 0)
		s->grpc_status = atoi(value);
	else if (strcmp(name, "grpc-message") == 0)
		decode_words(s->words, sizeof(s->words), value);
	else if (strcmp(name, "grpc-status-details-bin") == 0)
		s->retry_told = mt_grpc_retry_details(value, len, &s->retry);
	else if (strcmp(name, "retry-after") == 0 && s->http_status != 200)
		s->retry_told = mt_grpc_retry_after(value, time(NULL), &s->retry);
}

void mt_grpc_stream_over(struct mt_grpc_stream *s, uint32_t h2_error)
{
	char words[MT_GRPC_WORDS];

	forget(s, NGHTTP2_NO_ERROR);
	if (s->grpc_status >= 0) {
		end(s, s->grpc_status, s->words);
		return;
	}
	if (s->http_status && (s->http_status != 200 || !s->is_grpc))
		snprintf(words, sizeof(words), "the server answers with HTTP status %d%s",
			s->http_status, s->is_grpc ? "" : ", not with gRPC");
	else if (h2_error)
		snprintf(words, sizeof(words), "the server reset the stream: %s",
			nghttp2_http2_strerror(h2_error));
	else
		snprintf(words, sizeof(words), "the server ended the stream without a status");
	end(s,
		s->http_status == 401 || s->http_status == 403 ? MT_GRPC_UNAUTHENTICATED
							       : MT_GRPC_UNAVAILABLE,
		words);
}
