/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
	int fd;
	bool wants_out;
	struct queue in, out;
};

static void drop(struct peer *p)
{
	close(p->fd);
	free(p->in.bytes);
	free(p->out.bytes);
	free(p);
}

/* Answers every whole request that has arrived. */
static bool answer(struct peer *p, enum proto proto, struct message *reply)
{
	uint64_t id;

	for (;;) {
		uint32_t have = p->in.tail - p->in.head;
		uint32_t len = frame_length(proto, p->in.bytes + p->in.head, have, &id);

		if (len == UINT32_MAX)
			return false;
		if (!len || len > have)
			break;
		p->in.head += len;
		message_set_id(reply, id);
		queue_put(&p->out, reply->bytes, reply->len);
	}
	if (p->in.head == p->in.tail)
		p->in.head = p->in.tail = 0;
	return queue_write(&p->out, p->fd);
}

static void serve(int ep, struct peer *p, uint32_t events, enum proto proto, struct message *reply)
{
	bool wants_out;

	if (((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !queue_read(&p->in, p->fd)) ||
		!answer(p, proto, reply)) {
		drop(p);
		return;
	}
	wants_out = p->out.head != p->out.tail;
	if (wants_out != p->wants_out) {
		struct epoll_event ev = {
			.events = EPOLLIN | (wants_out ? EPOLLOUT : 0u), .data.ptr = p};

		p->wants_out = wants_out;
		epoll_ctl(ep, EPOLL_CTL_MOD, p->fd, &ev);
	}
}

static void accept_one(int ep, int listener)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};

	p->fd = accept(listener, NULL, NULL);
	if (p->fd < 0) {
		free(p);
		return;
	}
	nodelay(p->fd);
	epoll_ctl(ep, EPOLL_CTL_ADD, p->fd, &ev);
}

int load_server(const struct load_options *o)
{
	struct message reply = message_make(o->proto, false, o->size);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(o->port)};
	struct epoll_event events[256], ev = {.events = EPOLLIN};
	int ep = epoll_create1(0), on = 1, n;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 1024)) {
		perror("load server");
		return 1;
	}
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	printf("{\"ready\": true}\n");
	fflush(stdout);
	for (;;) {
		n = epoll_wait(ep, events, 256, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				serve(ep, events[i].data.ptr, events[i].events, o->proto, &reply);
			else
				accept_one(ep, listener);
		}
	}
}
