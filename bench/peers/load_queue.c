/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define READ_AT_ONCE (256u << 10)

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void nodelay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Room for `len` bytes more: what is left moves to the front, or the queue doubles. */
static void make_room(struct queue *q, uint32_t len)
{
	if (q->size - q->tail >= len)
		return;
	if (q->head) {
		memmove(q->bytes, q->bytes + q->head, q->tail - q->head);
		q->tail -= q->head;
		q->head = 0;
	}
	while (q->size - q->tail < len) {
		q->size = q->size ? q->size * 2 : 65536;
		q->bytes = realloc(q->bytes, q->size);
		if (!q->bytes)
			abort();
	}
}

void queue_put(struct queue *q, const void *bytes, uint32_t len)
{
	make_room(q, len);
	memcpy(q->bytes + q->tail, bytes, len);
	q->tail += len;
}

bool queue_read(struct queue *q, int fd)
{
	ssize_t n;

	make_room(q, READ_AT_ONCE);
	n = recv(fd, q->bytes + q->tail, q->size - q->tail, MSG_DONTWAIT);
	if (n > 0)
		q->tail += (uint32_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

bool queue_write(struct queue *q, int fd)
{
	ssize_t n;

	if (q->head == q->tail)
		return true;
	n = send(fd, q->bytes + q->head, q->tail - q->head, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		q->head += (uint32_t)n;
	if (q->head == q->tail)
		q->head = q->tail = 0;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}
