/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_server.h"
#include "mt_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- answers -------------------------------------------------------------------------------------- */

static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
		NGHTTP2_NV_FLAG_NONE};
}

static void put(struct server *s, const void *data, size_t len)
{
	if (s->have + len > s->room) {
		s->room = (s->have + len) * 2;
		s->body = realloc(s->body, s->room);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s->body);
	}
	memcpy(s->body + s->have, data, len);
	s->have += len;
}

static ssize_t read_body(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
	nghttp2_data_source *source, void *arg)
{
	struct server *s = arg;
	nghttp2_nv status = header("grpc-status", "0");
	size_t n = s->on_end && !s->ended ? 0 : MT_MIN(len, s->have - s->sent);
	bool end = s->manner == NO_STATUS || (s->ended && s->sent + n == s->have);

	if (n)
		memcpy(buf, s->body + s->sent, n);
	s->sent += n;
	if (!n && !end)
		return NGHTTP2_ERR_DEFERRED;
	if (end)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (end && s->manner == ECHO) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(h2, id, &status, 1);
	}
	return (ssize_t)n;
}

static void respond(struct server *s, int32_t id)
{
	nghttp2_data_provider body = {.read_callback = read_body};
	nghttp2_nv ok[] = {header(":status", "200"), header("content-type", "application/grpc")};

	nghttp2_submit_response(s->h2, id, ok, 2, &body);
}

static void answer(struct server *s, int32_t id)
{
	nghttp2_nv refusal[] = {header(":status", "200"),
		header("content-type", "application/grpc+proto"), header("grpc-status", "7"),
		header("grpc-message", "not%20for%20you%0a%zz"),
		/* google.rpc.Help, and RetryInfo of 1.5 s */
		header("grpc-status-details-bin",
			"CAgSBGJ1c3kaJQojdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkhlbHAaNgoodHlwZS"
			"5nb29"
			"nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIARCAyrXuAQ")};
	nghttp2_nv page[] = {header(":status", "404"), header("content-type", "text/html"),
		header("retry-after", "120")};

	switch (s->manner) {
	case REFUSE:
		nghttp2_submit_response(s->h2, id, refusal, MT_ARRAY_LEN(refusal), NULL);
		return;
	case NOT_FOUND:
		nghttp2_submit_response(s->h2, id, page, MT_ARRAY_LEN(page), NULL);
		return;
	case RESET:
		nghttp2_submit_rst_stream(s->h2, 0, id, NGHTTP2_ENHANCE_YOUR_CALM);
		return;
	case HUGE_MESSAGE:
		put(s, "\0\x40\0\0\0abc", 8);
		break;
	case COMPRESSED:
		put(s, "\1\0\0\0\1a", 6);
		break;
	case HALF_MESSAGE:
		put(s,
			"\0\0\0\0\x0a"
			"abc",
			8);
		break;
	case GOODBYE:
		nghttp2_submit_goaway(s->h2, 0, id, NGHTTP2_NO_ERROR, NULL, 0);
		break;
	default:
		break;
	}
	respond(s, id);
}

/* ---- session -------------------------------------------------------------------------------------- */

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct server *s = arg;

	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		s->streams++;
		s->stream = frame->hd.stream_id;
		s->have = s->sent = 0;
		s->ended = false;
		answer(s, frame->hd.stream_id);
	}
	if (frame->hd.type == NGHTTP2_DATA && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		s->ended = true;
		if (s->on_end && s->manner == ECHO)
			s->on_end(s);
		nghttp2_session_resume_data(h2, frame->hd.stream_id);
	}
	return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
	struct server *s = arg;

	if (strcmp((const char *)name, "authorization") == 0)
		snprintf(s->authorization, sizeof(s->authorization), "%s", value);
	return 0;
}

static int on_data(
	nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
	struct server *s = arg;

	if (s->manner == ECHO || s->manner == GOODBYE) {
		put(s, data, len);
		nghttp2_session_resume_data(h2, id);
	}
	return 0;
}

static void make_session(struct server *s)
{
	nghttp2_session_callbacks *cb;

	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_server_new(&s->h2, cb, s);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(s->h2, 0, NULL, 0);
}

/* ---- sockets -------------------------------------------------------------------------------------- */

void server_start(struct server *s, enum manner manner, SSL_CTX *tls)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	*s = (struct server){.manner = manner, .tls = tls, .fd = -1};
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CU_ASSERT_FATAL(bind(s->listener, (struct sockaddr *)&a, len) == 0);
	CU_ASSERT_FATAL(listen(s->listener, 8) == 0);
	CU_ASSERT_FATAL(getsockname(s->listener, (struct sockaddr *)&a, &len) == 0);
	s->port = ntohs(a.sin_port);
}

void server_tell(struct server *s, const void *message, size_t len)
{
	put(s,
		(uint8_t[]){0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
			(uint8_t)len},
		5);
	put(s, message, len);
	nghttp2_session_resume_data(s->h2, s->stream);
}

void server_hang_up(struct server *s)
{
	nghttp2_session_del(s->h2);
	SSL_free(s->ssl);
	if (s->fd >= 0)
		close(s->fd);
	s->h2 = NULL;
	s->ssl = NULL;
	s->fd = -1;
}

void server_stop(struct server *s)
{
	server_hang_up(s);
	close(s->listener);
	SSL_CTX_free(s->tls);
	free(s->body);
}

static void accept_one(struct server *s)
{
	s->fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);
	if (s->fd < 0)
		return;
	s->accepted++;
	if (s->tls) {
		s->ssl = SSL_new(s->tls);
		SSL_set_fd(s->ssl, s->fd);
		SSL_set_accept_state(s->ssl);
	}
	if (s->manner == GARBAGE)
		CU_ASSERT(write(s->fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28);
	if (s->manner != SILENT && s->manner != GARBAGE)
		make_session(s);
}

/* -1: nothing now; 0: closed. */
static ssize_t receive(struct server *s, void *buf, size_t len)
{
	int n;

	if (!s->ssl)
		return recv(s->fd, buf, len, 0);
	n = SSL_read(s->ssl, buf, (int)len);
	if (n > 0)
		return n;
	return SSL_get_error(s->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static void flush(struct server *s)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(s->h2, &data)) > 0)
		for (ssize_t at = 0, w; at < n; at += w) {
			w = s->ssl ? SSL_write(s->ssl, data + at, (int)(n - at))
				   : send(s->fd, data + at, (size_t)(n - at), MSG_NOSIGNAL);
			if (w > 0)
				continue;
			if (s->ssl || errno != EAGAIN)
				return;
			w = 0;
		}
}

void server_turn(struct server *s)
{
	static uint8_t buf[65536];
	ssize_t n;

	if (s->fd < 0)
		accept_one(s);
	if (s->fd < 0)
		return;
	n = receive(s, buf, sizeof(buf));
	if (n == 0) {
		server_hang_up(s);
		return;
	}
	if (!s->h2)
		return;
	if (n > 0)
		(void)nghttp2_session_mem_recv(s->h2, buf, (size_t)n);
	if (!s->ssl || SSL_is_init_finished(s->ssl))
		flush(s);
	if (s->manner == HALF_MESSAGE && s->sent)
		server_hang_up(s);
}
