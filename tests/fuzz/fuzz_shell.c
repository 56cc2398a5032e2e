/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's shell against a hostile daemon. The first byte chooses what reads the answers (low
 * four bits). With bit 7 the rest is what the daemon sends as it is. Otherwise NUL bytes separate
 * bodies, each sent after its head; a first byte of 1 to 4 is the exit code. What the shell writes
 * for people is discarded; a capture is read again. One reader takes the rest as a Node document.
 */
#include "fuzz.h"

#include "nic_node.h"
#include "pcapng.h"
#include "polled.h"
#include "segment.h"
#include "top.h"
#include "words.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INSISTS 8

/* ---- the connection, and what is written for people ---------------------------------------------------- */

static struct {
	const uint8_t *at, *end; /* of the input */
	bool raw;
	char head[32];
	size_t head_at, head_len;
	const uint8_t *body, *body_end;
	/* Requests so far; at which the operator interrupts, and INSISTS later once more; 0: never. */
	uint32_t asked, interrupt_at, stopped_at;
} daemon_says;

static void interrupt(void);

static ssize_t fake_send(int fd, const void *p, size_t n, int flags)
{
	const uint8_t *nul;
	size_t left = (size_t)(daemon_says.end - daemon_says.at);
	int code = 0;

	daemon_says.asked++;
	if (!daemon_says.stopped_at && memmem(p, n, "capture stop", 12))
		daemon_says.stopped_at = daemon_says.asked;
	if (daemon_says.interrupt_at &&
		(daemon_says.asked == daemon_says.interrupt_at ||
			daemon_says.asked == daemon_says.interrupt_at + INSISTS))
		interrupt();
	if (daemon_says.raw || !left)
		return (ssize_t)n;
	nul = memchr(daemon_says.at, '\0', left);
	daemon_says.body = daemon_says.at;
	daemon_says.body_end = nul ? nul : daemon_says.end;
	daemon_says.at = nul ? nul + 1 : daemon_says.end;
	if (daemon_says.body < daemon_says.body_end && *daemon_says.body <= 4)
		code = *daemon_says.body++;
	daemon_says.head_at = 0;
	daemon_says.head_len = (size_t)snprintf(daemon_says.head, sizeof(daemon_says.head),
		"meltemi %d %zu\n", code, (size_t)(daemon_says.body_end - daemon_says.body));
	return (ssize_t)n;
}

static ssize_t take(void *p, size_t n, const uint8_t **at, const uint8_t *end)
{
	n = MT_MIN(n, (size_t)(end - *at));
	memcpy(p, *at, n);
	*at += n;
	return (ssize_t)n;
}

static ssize_t fake_recv(int fd, void *p, size_t n, int flags)
{
	if (daemon_says.raw)
		return take(p, n, &daemon_says.at, daemon_says.end);
	if (daemon_says.head_at == daemon_says.head_len)
		return take(p, n, &daemon_says.body, daemon_says.body_end);
	n = MT_MIN(n, daemon_says.head_len - daemon_says.head_at);
	memcpy(p, daemon_says.head + daemon_says.head_at, n);
	daemon_says.head_at += n;
	return (ssize_t)n;
}

/* No second connection; the first one has no descriptor. */
static int no_socket(void)
{
	errno = ENOENT;
	return -1;
}

static int quiet_poll(const struct pollfd *p, nfds_t n, int ms)
{
	return 0;
}

static int no_close(int fd)
{
	return 0;
}

static int no_signals(const struct sigaction *act)
{
	return 0;
}

static int no_sleep(const struct timespec *ts, struct timespec *rest)
{
	return 0;
}

static FILE *nowhere(void)
{
	static FILE *f;

	if (!f)
		f = fopen("/dev/null", "w");
	MT_ASSERT(f);
	return f;
}

#define send		       fake_send
#define recv		       fake_recv
#define socket(a, b, c)	       no_socket()
#define close		       no_close
#define poll		       quiet_poll
#define nanosleep	       no_sleep
#define sigaction(sig, act, o) no_signals(act)
#define puts(text)	       fputs(text, nowhere())
#undef stdout
#define stdout nowhere()
#undef stderr
#define stderr nowhere()
#include "client.c"
#define before before_polling
#include "polled.c"
#undef before
#include "capture.c"
#undef close

static void interrupt(void)
{
	on_interrupt(SIGINT);
}

static struct client client_of(void)
{
	return (struct client){.path = "/nonexistent", .fd = 1};
}

/* ---- who reads the answers ------------------------------------------------------------------------------ */

static void ask(void)
{
	struct client c = client_of();
	char *body;

	for (int i = 0; i < 8 && c.fd >= 0; i++) {
		int code = client_ask(&c, "show version", &body);

		MT_ASSERT(body || code == EXIT_UNREACHABLE);
		MT_ASSERT(!body || strlen(body) <= ANSWER_MAX);
		if (body)
			screen_disarm(&body, 1);
		free(body);
	}
}

static void follow_steps(void)
{
	struct client c = client_of();

	(void)follow(&c);
}

/* Blocks that follow each other, each with its length at both ends. */
static void check_pcapng(const char *p, size_t size)
{
	size_t at = 0;

	while (at < size) {
		uint32_t head[2], again;

		MT_ASSERT(size - at >= 12);
		memcpy(head, p + at, sizeof(head));
		MT_ASSERT(head[1] % 4 == 0 && head[1] >= 12 && head[1] <= size - at);
		memcpy(&again, p + at + head[1] - 4, sizeof(again));
		MT_ASSERT(again == head[1]);
		if (head[0] == 6) {
			uint32_t fixed[5];

			MT_ASSERT(head[1] >= 12 + sizeof(fixed));
			memcpy(fixed, p + at + 8, sizeof(fixed));
			MT_ASSERT(fixed[0] < PCAPNG_INTERFACES && fixed[3] <= fixed[4]);
			MT_ASSERT(fixed[3] <= SEGMENT_MAX && fixed[3] + 32 <= head[1]);
		}
		at += head[1];
	}
}

static void capture_packets(void)
{
	static struct segment_flows flows;
	struct client c = client_of();
	struct capture w = {.c = &c, .path = "x", .flows = &flows};
	char *text = NULL;
	size_t size = 0;

	memset(&flows, 0, sizeof(flows));
	w.bytes = malloc(SEGMENT_HEAD + SEGMENT_MAX + 4);
	w.out = open_memstream(&text, &size);
	MT_ASSERT(w.bytes && w.out);
	pcapng_begin(&w.file, w.out, "meltemi capture x");
	(void)read_all(&w);
	/* Whatever the daemon sends, an interrupt stops the capture, and a second one ends it. */
	if (daemon_says.interrupt_at && daemon_says.asked > daemon_says.interrupt_at) {
		MT_ASSERT(daemon_says.stopped_at &&
			  daemon_says.stopped_at <= daemon_says.interrupt_at + 1);
		MT_ASSERT(daemon_says.asked <= daemon_says.interrupt_at + INSISTS + 1);
	}
	pcapng_end(&w.file, 1, w.lost);
	fclose(w.out);
	check_pcapng(text, size);
	free(text);
	free(w.bytes);
}

static bool open_screen(void)
{
	static bool tried, there;
	FILE *in;

	if (tried)
		return there;
	tried = true;
	in = fopen("/dev/null", "r");
	there = in && newterm("vt100", nowhere(), in) != NULL;
	return there;
}

static void look(void)
{
	struct client c = client_of();
	struct top t = {.client = &c, .view = &top_views[0]};

	MT_ASSERT(open_screen());
	for (int i = 0; i < top_n_views && c.fd >= 0; i++) {
		t.view = &top_views[i];
		for (int k = 0; k < 2; k++) {
			top_ask(&t);
			t.answers[TOP_TABLE].seconds = t.answers[TOP_WORKERS].seconds = 1;
			t.column = k;
			top_draw(&t);
			MT_ASSERT(t.n_rows == 0 || t.row < t.n_rows);
			t.row += 3;
		}
		if (t.n_rows && t.view->below >= 0) {
			const char *text =
				json_string_value(json_object_get(t.sorted[0], t.view->narrows));

			snprintf(t.narrow[1], sizeof(t.narrow[1]), "%s", text ? text : "");
			t.depth = 1;
			t.view = &top_views[t.view->below];
			top_forget(&t);
			top_ask(&t);
			top_draw(&t);
			t.depth = 0;
		}
		top_forget(&t);
	}
	top_free(&t);
}

static void complete(void)
{
	struct client c = client_of();
	struct words w = words_ask(&c, "show ", 5, "p");

	for (size_t i = 0; i < w.n; i++) {
		const char *help, *word = words_at(&w, i, &help);

		MT_ASSERT(word && help);
	}
	(void)words_wanted(&w);
	(void)words_more(&w);
	words_free(&w);
}

/* A port is added, or nothing: all other bytes stay, except for "[]" of an empty list. */
static void add_port(void)
{
	const struct nic_port port = {"p", "0000:3b:00.0", "ice", {NULL}, 0};
	const char *text = (const char *)daemon_says.at;
	size_t len = (size_t)(daemon_says.end - daemon_says.at), head = 0, tail = 0, size;
	struct mt_err e;
	char *out = nic_node_add(text, len, &port, &e);

	size = out ? strlen(out) : 0;
	while (head < len && head < size && text[head] == out[head])
		head++;
	while (tail < len - head && tail < size - head &&
		text[len - 1 - tail] == out[size - 1 - tail])
		tail++;
	MT_ASSERT(!out || (size > len && head + tail + 2 >= len));
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(void) = {
		ask, capture_packets, look, complete, follow_steps, add_port};

	if (size < 2)
		return 0;
	memset(&daemon_says, 0, sizeof(daemon_says));
	daemon_says.raw = data[0] & 0x80;
	daemon_says.at = data + 2;
	daemon_says.end = data + size;
	daemon_says.body = daemon_says.body_end = data + size;
	daemon_says.interrupt_at = data[1];
	readers[(data[0] & 0xf) % MT_ARRAY_LEN(readers)]();
	return 0;
}
