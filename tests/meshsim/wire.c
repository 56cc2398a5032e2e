/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PREFIX 5

struct bytes {
	uint8_t *v;
	size_t n, room;
};

struct conn {
	struct mt_list node, calls;
	struct wire *w;
	int fd;
	nghttp2_session *h2;
	struct bytes out; /* on its way to the socket */
};

struct wire_call {
	struct mt_list node;
	struct conn *conn;
	int32_t id;
	char path[96];
	struct bytes in, out;
	bool open, ended;
	char status[12], words[96];
	void *tag;
};

static void put(struct bytes *b, const void *data, size_t len)
{
	if (b->n + len > b->room) {
		b->room = 2 * (b->n + len) + 256;
		b->v = realloc(b->v, b->room);
		if (!b->v)
			abort();
	}
	if (len)
		memcpy(b->v + b->n, data, len);
	b->n += len;
}

static void take(struct bytes *b, size_t len)
{
	if (!len)
		return;
	memmove(b->v, b->v + len, b->n - len);
	b->n -= len;
}

static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
		NGHTTP2_NV_FLAG_NONE};
}

/* ---- calls ----------------------------------------------------------------------------------------- */

static void free_call(struct wire_call *c)
{
	if (c->open)
		c->conn->w->events->closed(c->conn->w->arg, c);
	mt_list_del(&c->node);
	free(c->in.v);
	free(c->out.v);
	free(c);
}

static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
	nghttp2_data_source *source, void *arg)
{
	struct wire_call *c = source->ptr;
	size_t n = MT_MIN(len, c->out.n);
	nghttp2_nv trailers[2] = {
		header("grpc-status", c->status), header("grpc-message", c->words)};

	if (!n && !c->ended)
		return NGHTTP2_ERR_DEFERRED;
	if (n)
		memcpy(buf, c->out.v, n);
	take(&c->out, n);
	if (c->ended && !c->out.n) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(h2, id, trailers, 2);
	}
	return (ssize_t)n;
}

void wire_say(struct wire_call *c, const uint8_t *data, size_t len)
{
	uint8_t prefix[PREFIX] = {
		0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	put(&c->out, prefix, PREFIX);
	put(&c->out, data, len);
	nghttp2_session_resume_data(c->conn->h2, c->id);
}

void wire_end(struct wire_call *c, uint32_t status, const char *words)
{
	if (c->ended)
		return;
	c->ended = true;
	snprintf(c->status, sizeof(c->status), "%u", status);
	snprintf(c->words, sizeof(c->words), "%s", words);
	nghttp2_session_resume_data(c->conn->h2, c->id);
}

void *wire_tag(const struct wire_call *c)
{
	return c->tag;
}

void wire_set_tag(struct wire_call *c, void *tag)
{
	c->tag = tag;
}

/* ---- HTTP/2 ---------------------------------------------------------------------------------------- */

static int on_begin(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct conn *k = arg;
	struct wire_call *c;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->conn = k;
	c->id = frame->hd.stream_id;
	mt_list_init(&c->node);
	mt_list_add_tail(&k->calls, &c->node);
	nghttp2_session_set_stream_user_data(h2, c->id, c);
	return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
	struct wire_call *c = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);

	if (c && strcmp((const char *)name, ":path") == 0)
		snprintf(c->path, sizeof(c->path), "%s", value);
	return 0;
}

static void answer(struct conn *k, struct wire_call *c)
{
	nghttp2_data_provider body = {.source.ptr = c, .read_callback = read_body};
	nghttp2_nv ok[] = {header(":status", "200"), header("content-type", "application/grpc")};

	nghttp2_submit_response(k->h2, c->id, ok, 2, &body);
	k->w->calls++;
	if (k->w->refuse) {
		wire_end(c, k->w->refuse, "not now");
		return;
	}
	c->open = true;
	k->w->events->opened(k->w->arg, c, c->path);
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct wire_call *c = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);

	if (c && frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		answer(arg, c);
	return 0;
}

static int on_data(
	nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
	struct wire_call *c = nghttp2_session_get_stream_user_data(h2, id);
	struct conn *k = arg;

	if (!c)
		return 0;
	put(&c->in, data, len);
	while (c->open && c->in.n >= PREFIX) {
		const uint8_t *p = c->in.v;
		size_t n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];

		if (c->in.n < PREFIX + n)
			break;
		k->w->events->message(k->w->arg, c, p + PREFIX, n);
		take(&c->in, PREFIX + n);
	}
	return 0;
}

static int on_close(nghttp2_session *h2, int32_t id, uint32_t error, void *arg)
{
	struct wire_call *c = nghttp2_session_get_stream_user_data(h2, id);

	if (c)
		free_call(c);
	return 0;
}

static nghttp2_session *new_session(struct conn *k)
{
	nghttp2_session_callbacks *cb;
	nghttp2_session *h2;

	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_server_new(&h2, cb, k);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(h2, 0, NULL, 0);
	return h2;
}

/* ---- sockets --------------------------------------------------------------------------------------- */

static void close_conn(struct conn *k)
{
	struct mt_list *n;

	while ((n = mt_list_first(&k->calls)) != NULL)
		free_call(mt_list_entry(n, struct wire_call, node));
	mt_list_del(&k->node);
	nghttp2_session_del(k->h2);
	close(k->fd);
	free(k->out.v);
	free(k);
}

static bool accept_all(struct wire *w)
{
	bool any = false;
	int fd;

	while (w->listener >= 0 &&
		(fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *k;

		w->accepted++;
		any = true;
		if (w->slam) {
			close(fd);
			continue;
		}
		k = calloc(1, sizeof(*k));
		if (!k)
			abort();
		k->w = w;
		k->fd = fd;
		mt_list_init(&k->node);
		mt_list_init(&k->calls);
		mt_list_add_tail(&w->conns, &k->node);
		k->h2 = new_session(k);
	}
	return any;
}

/* -1: closed, 0: nothing, 1: something. */
static int receive(struct conn *k)
{
	static uint8_t buf[65536];
	ssize_t n = recv(k->fd, buf, sizeof(buf), 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0 || nghttp2_session_mem_recv(k->h2, buf, (size_t)n) < 0)
		return -1;
	return 1;
}

static int transmit(struct conn *k)
{
	struct wire *w = k->w;
	const uint8_t *data;
	size_t len;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(k->h2, &data)) > 0)
		put(&k->out, data, (size_t)n);
	if (n < 0)
		return -1;
	len = w->cut < 0 ? k->out.n : MT_MIN(k->out.n, (size_t)w->cut);
	n = len ? send(k->fd, k->out.v, len, MSG_NOSIGNAL) : 0;
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	take(&k->out, (size_t)n);
	w->bytes += (uint64_t)n;
	if (w->cut >= 0) {
		w->cut -= n;
		if (w->cut == 0) {
			w->cut = -1;
			return -1;
		}
	}
	return n > 0;
}

bool wire_turn(struct wire *w)
{
	bool any = accept_all(w);
	struct mt_list *n, *tmp;

	if (w->silent)
		return false;
	mt_list_foreach_safe (n, tmp, &w->conns) {
		struct conn *k = mt_list_entry(n, struct conn, node);
		int in = receive(k), out = in < 0 ? 0 : transmit(k);

		any |= in || out;
		if (in < 0 || out < 0)
			close_conn(k);
	}
	return any;
}

void wire_init(struct wire *w, const char *path, const struct wire_events *events, void *arg)
{
	*w = (struct wire){.listener = -1, .events = events, .arg = arg, .cut = -1};
	snprintf(w->path, sizeof(w->path), "%s", path);
	mt_list_init(&w->conns);
}

void wire_up(struct wire *w)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (w->listener >= 0)
		return;
	(void)unlink(w->path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", w->path);
	w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->listener < 0 || bind(w->listener, (struct sockaddr *)&a, sizeof(a)) ||
		listen(w->listener, 16)) {
		perror(w->path);
		abort();
	}
}

void wire_hang_up(struct wire *w)
{
	struct mt_list *n;

	while ((n = mt_list_first(&w->conns)) != NULL)
		close_conn(mt_list_entry(n, struct conn, node));
}

void wire_down(struct wire *w)
{
	wire_hang_up(w);
	if (w->listener >= 0)
		close(w->listener);
	w->listener = -1;
	(void)unlink(w->path);
}

void wire_fini(struct wire *w)
{
	wire_down(w);
}
