/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries during the measurement: the control thread with its real sockets (lib/ctl), and on the
 * same thread a scraper and `meltemi top`, which send queries when a round is started. Commands run
 * on workers as if these ran by themselves, so their cost is part of the workers' loop iterations.
 */
#include "path.h"

#include "mt_ctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT_TRIES 10
#define WAIT_MS	   1
#define GIVE_UP_S  120 /* for one answer; also enough under callgrind */

struct path_watch {
	const struct path_node *b;
	struct mt_ctl *ctl;
	char dir[40], socket[64];
	struct sockaddr_in http;
	struct mt_worker *workers[MT_WORKERS_MAX];
	struct mt_port *ports[2];
	pthread_t thread;
	sem_t wanted;
	uint32_t asked;	   /* written by the main thread */
	uint32_t answered; /* written by the control thread */
	bool stop;
};

/*
 * The queries of `top` each second: the panes above its table (app/meltemi/top_data.c), and the
 * table.
 */
static const char *const panes[] = {"show version", "show workers", "show stages"};
static const char *const tables[] = {
	[PATH_WATCH_SERVICES] = "show services",
	[PATH_WATCH_CLUSTERS] = "show clusters",
	[PATH_WATCH_CONNECTIONS] = "show connections",
	[PATH_WATCH_EXCHANGES] = "show exchanges",
};

/* ---- a client, served by the same thread ---------------------------------------------------- */

static int open_client(struct path_watch *w, bool http)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(http ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	MT_ASSERT(fd >= 0);
	memcpy(un.sun_path, w->socket, sizeof(w->socket));
	rc = http ? connect(fd, (struct sockaddr *)&w->http, sizeof(w->http))
		  : connect(fd, (struct sockaddr *)&un, sizeof(un));
	if (rc)
		bench_die("the control thread's sockets do not answer", NULL);
	return fd;
}

/* Sends a line and reads the answer; `whole` returns true when it is complete. */
static void ask(struct path_watch *w, int fd, const char *line, struct mt_text_buf *answer,
	bool (*whole)(const struct mt_text_buf *answer, bool ended))
{
	uint64_t until = mt_clock_now(&w->b->clock) + GIVE_UP_S * MT_SEC;
	struct pollfd p[] = {
		{.fd = fd, .events = POLLIN}, {.fd = mt_ctl_fd(w->ctl), .events = POLLIN}};
	char bytes[32768];
	ssize_t n = 1;

	answer->len = 0;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		bench_die("a question is not taken", NULL);
	while (!whole(answer, n == 0)) {
		if (n == 0 || mt_clock_now(&w->b->clock) > until)
			bench_die("a question has no answer", NULL);
		mt_ctl_turn(w->ctl, mt_clock_now(&w->b->clock));
		(void)poll(p, MT_ARRAY_LEN(p), WAIT_MS);
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n > 0)
			mt_text_bytes(answer, bytes, (size_t)n);
	}
}

static bool whole_page(const struct mt_text_buf *answer, bool ended)
{
	return ended && answer->len > 12 && strncmp(answer->p, "HTTP/1.1 200", 12) == 0;
}

/* "meltemi <exit code> <bytes>", a line break, then that many bytes. */
static bool whole_answer(const struct mt_text_buf *answer, bool ended)
{
	unsigned int code;
	size_t len;
	int head;

	if (!answer->len || !strchr(answer->p, '\n') ||
		sscanf(answer->p, "meltemi %u %zu\n%n", &code, &len, &head) != 2)
		return false;
	if (code)
		bench_die("a question of top is refused", NULL);
	return answer->len == (size_t)(strchr(answer->p, '\n') + 1 - answer->p) + len;
}

static void ask_command(
	struct path_watch *w, int fd, const char *command, struct mt_text_buf *answer)
{
	char line[64];

	snprintf(line, sizeof(line), "--json %s\n", command);
	ask(w, fd, line, answer, whole_answer);
}

static void *control(void *arg)
{
	static const char get[] =
		"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	struct path_watch *w = arg;
	struct mt_text_buf answer = {0};
	int top = open_client(w, false), scraper;

	for (;;) {
		while (sem_wait(&w->wanted) != 0)
			;
		if (__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE))
			break;
		scraper = open_client(w, true);
		ask(w, scraper, get, &answer, whole_page);
		close(scraper);
		for (size_t i = 0; i < MT_ARRAY_LEN(panes); i++)
			ask_command(w, top, panes[i], &answer);
		ask_command(w, top, tables[w->b->o.watch], &answer);
		__atomic_store_n(&w->answered, w->answered + 1, __ATOMIC_RELEASE);
	}
	close(top);
	mt_text_fini(&answer);
	return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static uint16_t free_port(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);

	if (fd < 0 || bind(fd, (struct sockaddr *)&in, len) ||
		getsockname(fd, (struct sockaddr *)&in, &len))
		bench_die("no port for /metrics", NULL);
	close(fd);
	return ntohs(in.sin_port);
}

/* Another program may take the port first. */
static void open_ctl(struct path_watch *w, const struct path_node *b)
{
	struct mt_ctl_env env = {.node = "bench",
		.socket = w->socket,
		.conf = b->conf,
		.net = b->net,
		.clock = &b->clock,
		.ports = w->ports,
		.n_ports = 2,
		.workers = w->workers,
		.n_workers = (uint16_t)b->o.workers};
	struct mt_err e;

	mt_addr_parse("127.0.0.1", &env.http_addr);
	for (int i = 0; i < PORT_TRIES && !w->ctl; i++) {
		env.http_port = free_port();
		w->ctl = mt_ctl_create(&env, mt_clock_now(&b->clock), &e);
	}
	if (!w->ctl)
		bench_die("the control thread", &e);
	mt_ctl_set_state(w->ctl, MT_CTL_SERVING);
	w->http = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons(env.http_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

struct path_watch *path_watch_start(const struct path_node *b)
{
	struct path_watch *w = calloc(1, sizeof(*w));

	MT_ASSERT(w);
	w->b = b;
	strcpy(w->dir, "/tmp/meltemi-bench-XXXXXX");
	MT_ASSERT(mkdtemp(w->dir));
	snprintf(w->socket, sizeof(w->socket), "%s/socket", w->dir);
	for (uint32_t i = 0; i < b->o.workers; i++) {
		w->workers[i] = b->lanes[i].worker;
		mt_worker_launching(w->workers[i]);
	}
	for (int i = 0; i < 2; i++)
		w->ports[i] = b->wire[i].meltemi;
	open_ctl(w, b);
	if (sem_init(&w->wanted, 0, 0) || pthread_create(&w->thread, NULL, control, w))
		bench_die("no thread", NULL);
	return w;
}

void path_watch_stop(struct path_watch *w)
{
	if (!w)
		return;
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	sem_post(&w->wanted);
	pthread_join(w->thread, NULL);
	for (uint32_t i = 0; i < w->b->o.workers; i++)
		mt_worker_not_launched(w->workers[i]);
	mt_ctl_destroy(w->ctl);
	sem_destroy(&w->wanted);
	rmdir(w->dir);
	free(w);
}

void path_watch_ask(struct path_watch *w)
{
	w->asked++;
	sem_post(&w->wanted);
}

uint32_t path_watch_rounds(const struct path_watch *w)
{
	return __atomic_load_n(&w->answered, __ATOMIC_ACQUIRE);
}

bool path_watch_owed(const struct path_watch *w)
{
	return w->asked != path_watch_rounds(w);
}
