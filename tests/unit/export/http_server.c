/* SPDX-License-Identifier: Apache-2.0 */
#include "http_server.h"

#include "mt_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void web_start(struct web *w)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);

	memset(w, 0, sizeof(*w));
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	w->fd = -1;
	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(w->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(w->listener, 8), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(w->listener, (struct sockaddr *)&at, &len), 0);
	w->port = ntohs(at.sin_port);
}

static void hang_up(struct web *w)
{
	const struct linger now = {.l_onoff = 1};

	if (w->fd >= 0 && w->resets)
		setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	SSL_free(w->ssl);
	w->ssl = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->have = w->flood_at = 0;
	w->floods = false;
}

void web_stop(struct web *w)
{
	hang_up(w);
	close(w->listener);
	SSL_CTX_free(w->tls);
}

static const char *next_answer(struct web *w)
{
	uint32_t i = w->requests++;

	return w->answers[MT_MIN(i, (uint32_t)MT_ARRAY_LEN(w->answers) - 1)];
}

static void send_answer(struct web *w, const char *text)
{
	size_t len = strlen(text);

	if (w->ssl) {
		CU_ASSERT(SSL_write(w->ssl, text, (int)len) == (int)len);
	} else {
		CU_ASSERT(write(w->fd, text, len) == (ssize_t)len);
	}
}

static void note_name(struct web *w)
{
	const unsigned char *alpn = NULL;
	unsigned int len = 0;
	const char *name = w->ssl ? SSL_get_servername(w->ssl, TLSEXT_NAMETYPE_host_name) : NULL;

	snprintf(w->name, sizeof(w->name), "%s", name ? name : "");
	if (w->ssl)
		SSL_get0_alpn_selected(w->ssl, &alpn, &len);
	snprintf(w->alpn, sizeof(w->alpn), "%.*s", (int)len, len ? (const char *)alpn : "");
}

/* Answers a request that is there whole. */
static void answer(struct web *w)
{
	char *end = memmem(w->in, w->have, "\r\n\r\n", 4);
	const char *text, *length;
	size_t head, body;

	if (!end)
		return;
	head = (size_t)(end - w->in) + 4;
	CU_ASSERT_FATAL(head < sizeof(w->head));
	memcpy(w->head, w->in, head);
	w->head[head] = '\0';
	length = strstr(w->head, "Content-Length: ");
	body = length ? strtoul(length + 16, NULL, 10) : 0;
	CU_ASSERT_FATAL(body < sizeof(w->body));
	if (w->have < head + body)
		return;
	memcpy(w->body, w->in + head, body);
	w->body_len = body;
	w->have = 0;
	note_name(w);
	text = next_answer(w);
	if (text && *text)
		send_answer(w, text);
	w->floods = w->flood != NULL;
	if (text && !*text)
		hang_up(w);
}

static void flood(struct web *w)
{
	size_t len = strlen(w->flood);

	for (int i = 0; i < 1000; i++) {
		ssize_t n = write(w->fd, w->flood + w->flood_at, len - w->flood_at);

		if (n < 0)
			return;
		w->flood_at = (w->flood_at + (size_t)n) % len;
	}
}

static bool accept_one(struct web *w)
{
	w->fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (w->fd < 0)
		return false;
	w->accepted++;
	if (!w->tls)
		return true;
	w->ssl = SSL_new(w->tls);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w->ssl);
	SSL_set_fd(w->ssl, w->fd);
	SSL_set_accept_state(w->ssl);
	return true;
}

/* As read(). */
static ssize_t receive(struct web *w, void *to, size_t size)
{
	int n;

	if (!w->ssl)
		return read(w->fd, to, size);
	ERR_clear_error();
	n = SSL_read(w->ssl, to, (int)size);
	if (n > 0)
		return n;
	errno = EAGAIN;
	return SSL_get_error(w->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

void web_turn(struct web *w)
{
	ssize_t n;

	if (w->fd < 0 && !accept_one(w))
		return;
	n = receive(w, w->in + w->have, sizeof(w->in) - w->have);
	if (n > 0) {
		w->have += (size_t)n;
		answer(w);
	} else if (n == 0 || errno != EAGAIN) {
		hang_up(w);
	}
	if (w->floods)
		flood(w);
}
