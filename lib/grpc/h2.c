/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 by nghttp2: callbacks of the session, and transfer of bytes from and to the pipe. */
#include "mt_grpc_h2_priv.h"

#include <errno.h>
#include <string.h>

#define READ_SIZE	  (16u << 10) /* a whole TLS record, so that no part of it stays unread */
#define READS		  16	      /* maximum for one event */
#define STREAM_WINDOW	  (1u << 20)
#define CONNECTION_WINDOW (4u << 20)
#define PING_MOST	  (3600 * MT_SEC)

static struct mt_grpc_stream *stream_of(nghttp2_session *h2, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h2, id);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
	struct mt_grpc_stream *s = stream_of(h2, frame->hd.stream_id);

	/* nghttp2 terminates both with a NUL and has validated their characters. */
	if (s && frame->hd.type == NGHTTP2_HEADERS)
		mt_grpc_stream_header(s, (const char *)name, (const char *)value, len);
	return 0;
}

static int on_data(
	nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
	struct mt_grpc_stream *s = stream_of(h2, id);

	if (s)
		mt_grpc_stream_body(s, data, len);
	return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	struct mt_grpc_stream *s = stream_of(h2, id);

	if (s)
		mt_grpc_stream_over(s, error);
	return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct mt_grpc_stream *s = stream_of(h2, frame->hd.stream_id);
	struct mt_grpc *g = arg;

	if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
		g->spoke = true;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		g->going_away = true;
		/* The server received too many pings: halve their rate (gRPC A8, "server-side"). */
		if (frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM)
			g->conf.ping_after_ns = MT_MIN(2 * g->conf.ping_after_ns, PING_MOST);
	}
	/* The call ends when the server's side ends, even if our send queue is not empty. */
	if (s && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
		(frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
		mt_grpc_stream_over(s, NGHTTP2_NO_ERROR);
	return 0;
}

/* Stores an error that nghttp2 reports; nghttp2 itself continues or ends the session. */
static int on_error(nghttp2_session *h2, int code, const char *words, size_t len, void *arg)
{
	struct mt_grpc *g = arg;

	mt_err(&g->complaint, 0, "the server breaks HTTP/2: %.*s", (int)MT_MIN(len, (size_t)200),
		words);
	return 0;
}

static ssize_t take(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
	nghttp2_data_source *source, void *arg)
{
	struct mt_grpc_stream *s = stream_of(h2, id);
	bool end = false;
	size_t n;

	if (!s) /* cancelled; its RST_STREAM is queued */
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = mt_grpc_stream_take(s, buf, len, &end);
	if (end)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return n || end ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

/* ---- session --------------------------------------------------------------------------------- */

static int make_session(struct mt_grpc *g)
{
	nghttp2_session_callbacks *cb;
	int rc = nghttp2_session_callbacks_new(&cb);

	if (rc)
		return rc;
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_error_callback2(cb, on_error);
	rc = nghttp2_session_client_new(&g->h2, cb, g);
	nghttp2_session_callbacks_del(cb);
	return rc;
}

int mt_h2_start(struct mt_grpc *g)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
	};
	int rc = make_session(g);

	g->spoke = false;
	mt_err(&g->complaint, 0, "the server breaks HTTP/2");
	if (rc == 0)
		rc = nghttp2_submit_settings(
			g->h2, NGHTTP2_FLAG_NONE, settings, MT_ARRAY_LEN(settings));
	if (rc == 0)
		rc = nghttp2_session_set_local_window_size(
			g->h2, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
	if (rc)
		return mt_err(&g->why, -ENOMEM, "HTTP/2: %s", nghttp2_strerror(rc));
	return mt_h2_flush(g);
}

void mt_h2_stop(struct mt_grpc *g)
{
	nghttp2_session_del(g->h2);
	g->h2 = NULL;
}

int mt_h2_read(struct mt_grpc *g)
{
	uint8_t buf[READ_SIZE];

	for (int i = 0; i < READS; i++) {
		ssize_t n = mt_pipe_read(&g->pipe, buf, sizeof(buf), &g->why);

		if (n <= 0)
			return (int)n;
		g->heard = g->now;
		g->pinged = 0;
		n = nghttp2_session_mem_recv(g->h2, buf, (size_t)n);
		if (n < 0)
			return mt_err(&g->why, -EPROTO, "the server breaks HTTP/2: %s",
				nghttp2_strerror((int)n));
	}
	return 0;
}

/*
 * Sends until the pipe is full. The unsent rest is nghttp2's memory, which is valid until its next
 * mem_send().
 */
int mt_h2_flush(struct mt_grpc *g)
{
	for (;;) {
		const uint8_t *data = g->unsent;
		ssize_t n = (ssize_t)g->n_unsent;

		if (!n)
			n = nghttp2_session_mem_send(g->h2, &data);
		if (n < 0)
			return mt_err(&g->why, -EPROTO, "HTTP/2: %s", nghttp2_strerror((int)n));
		if (n == 0)
			break;
		g->unsent = data;
		g->n_unsent = (size_t)n;
		n = mt_pipe_write(&g->pipe, data, g->n_unsent, &g->why);
		if (n < 0)
			return (int)n;
		g->unsent += n;
		g->n_unsent -= (size_t)n;
		if (g->n_unsent) {
			mt_pipe_want_write(&g->pipe, true);
			return 0;
		}
	}
	mt_pipe_want_write(&g->pipe, false);
	return 0;
}

int mt_h2_ping(struct mt_grpc *g)
{
	int rc = nghttp2_submit_ping(g->h2, NGHTTP2_FLAG_NONE, NULL);

	if (rc)
		return mt_err(&g->why, -ENOMEM, "HTTP/2: %s", nghttp2_strerror(rc));
	return mt_h2_flush(g);
}

bool mt_h2_is_over(struct mt_grpc *g)
{
	bool nothing_left = !nghttp2_session_want_read(g->h2) &&
			    !nghttp2_session_want_write(g->h2) && !g->n_unsent;

	if (nothing_left && !g->going_away)
		g->why = g->complaint;
	else
		mt_err(&g->why, 0, "the server closed the connection in order");
	return nothing_left || (g->going_away && mt_list_empty(&g->streams));
}

/* ---- streams --------------------------------------------------------------------------------- */

static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
		NGHTTP2_NV_FLAG_NONE};
}

int32_t mt_h2_open(struct mt_grpc *g, struct mt_grpc_stream *s, const char *path)
{
	nghttp2_data_provider body = {.read_callback = take};
	nghttp2_nv headers[8 + MT_GRPC_HEADERS];
	size_t n = 0;

	headers[n++] = header(":method", "POST");
	headers[n++] = header(":scheme", g->conf.tls ? "https" : "http");
	headers[n++] = header(":path", path);
	headers[n++] = header(":authority", g->authority);
	headers[n++] = header("content-type", "application/grpc");
	headers[n++] = header("te", "trailers");
	headers[n++] = header("user-agent", "meltemi/" MT_VERSION);
	for (uint32_t i = 0; i < g->conf.n_headers && i < MT_GRPC_HEADERS; i++)
		headers[n++] = header(g->conf.headers[i].name, g->conf.headers[i].value);
	return nghttp2_submit_request(g->h2, NULL, headers, n, &body, s);
}
