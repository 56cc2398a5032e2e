/* SPDX-License-Identifier: Apache-2.0 */
/* `capture FILE ...`: writes the packets and messages that the daemon copies, as pcapng. */
#include "pcapng.h"
#include "polled.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: capture FILE|- [packets|messages [client|endpoint]] [EXPRESSION] [count N]\n"
	"       [seconds N] [snaplen N]\n"
	"FILE is written as pcapng; `-`: to standard output, for `| tshark -r -`.\n";

struct capture {
	struct client *c;
	const char *path; /* "-": stdout */
	json_int_t id;
	FILE *out;
	struct pcapng file;
	struct segment_flows *flows;
	uint8_t *bytes; /* of one packet, with space for headers before them */
	uint64_t written, lost, missed;
	char why[128]; /* why the capture ended */
	int error;     /* of the first write that failed */
	bool shows;    /* show progress */
	time_t shown;
};

static uint64_t number(const json_t *row, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(row, name));

	return v > 0 ? (uint64_t)v : 0;
}

static const char *text_of(const json_t *row, const char *name)
{
	return json_string_value(json_object_get(row, name));
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* Decodes the bytes into `to`, which has space for SEGMENT_MAX; returns their number. */
static uint32_t decode(const json_t *row, uint8_t *to)
{
	const char *text = text_of(row, "data");
	size_t len = text ? strlen(text) : 0;
	int n;

	if (len == 0 || len % 4 || len / 4 * 3 > SEGMENT_MAX + 3)
		return 0;
	n = EVP_DecodeBlock(to, (const unsigned char *)text, (int)len);
	if (n < 0)
		return 0;
	n -= (text[len - 1] == '=') + (text[len - 2] == '=');
	return (uint32_t)n;
}

static void write_packet(struct capture *w, const json_t *row, bool out)
{
	uint32_t snap = decode(row, w->bytes);
	const char *port = text_of(row, "port");
	uint32_t i = pcapng_interface(&w->file, port ? port : "port");

	pcapng_packet(&w->file, i,
		&(struct pcapng_packet){.ns = number(row, "ns"),
			.direction = out ? PCAPNG_OUT : PCAPNG_IN,
			.bytes = w->bytes,
			.snap = snap,
			.len = MT_MAX(snap, (uint32_t)number(row, "len")),
			.comment = text_of(row, "comment")});
}

static bool ends_of(const json_t *row, struct segment_ends *e)
{
	const char *src = text_of(row, "src"), *dst = text_of(row, "dst");

	e->sport = (uint16_t)number(row, "sport");
	e->dport = (uint16_t)number(row, "dport");
	return src && dst && mt_addr_parse(src, &e->src) == 0 && mt_addr_parse(dst, &e->dst) == 0;
}

/* Writes a message. `at`: request, forwarded, reply or answer. */
static void write_message(struct capture *w, const json_t *row, const char *at)
{
	bool client = strcmp(at, "request") == 0 || strcmp(at, "answer") == 0;
	bool out = strcmp(at, "forwarded") == 0 || strcmp(at, "answer") == 0;
	uint32_t snap = decode(row, w->bytes + SEGMENT_HEAD), n, whole, len, i;
	const char *known = text_of(row, "comment");
	uint8_t head[SEGMENT_HEAD];
	struct segment_ends e;
	char comment[1400];

	if (!ends_of(row, &e))
		return;
	len = MT_MAX(snap, (uint32_t)number(row, "len"));
	snap = MT_MIN(snap, (uint32_t)(SEGMENT_MAX - SEGMENT_HEAD));
	n = segment_head(w->flows, &e, w->bytes + SEGMENT_HEAD, snap, len, head, &whole);
	memcpy(w->bytes + SEGMENT_HEAD - n, head, n);
	snprintf(comment, sizeof(comment), "%s %s bytes=%u", at, known ? known : "", len);
	i = pcapng_interface(&w->file, client ? "client" : "endpoint");
	pcapng_packet(&w->file, i,
		&(struct pcapng_packet){.ns = number(row, "ns"),
			.direction = out ? PCAPNG_OUT : PCAPNG_IN,
			.bytes = w->bytes + SEGMENT_HEAD - n,
			.snap = n + snap,
			.len = whole,
			.comment = comment});
}

static void write_rows(struct capture *w, const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *at = text_of(row, "at");

		if (!at)
			continue;
		if (strcmp(at, "rx") == 0 || strcmp(at, "tx") == 0)
			write_packet(w, row, *at == 't');
		else
			write_message(w, row, at);
		w->written++;
	}
	if (fflush(w->out) != 0 && !w->error)
		w->error = errno;
}

/* ---- requests to the daemon ----------------------------------------------------------------- */

static void show_progress(struct capture *w)
{
	time_t now = time(NULL);

	if (!w->shows || now == w->shown)
		return;
	w->shown = now;
	fprintf(stderr, "\r%llu captured, %llu lost ", (unsigned long long)w->written,
		(unsigned long long)w->lost);
}

/*
 * Writes what has been captured since the last call. False if that was all, or if the daemon does
 * not answer (*code). *at_once: there is more to read.
 */
static bool read_some(struct capture *w, bool *at_once, int *code)
{
	const char *why;
	char line[64];
	json_t *j;
	bool more;

	snprintf(line, sizeof(line), "--json capture read %lld", (long long)w->id);
	j = poll_ask(w->c, line, code);
	if (!j)
		return false;
	write_rows(w, json_object_get(j, "packets"));
	w->lost = number(j, "lost");
	w->missed = number(j, "missed");
	why = text_of(j, "ended_because");
	if (why)
		snprintf(w->why, sizeof(w->why), "%s", why);
	more = json_is_true(json_object_get(j, "more"));
	*at_once = json_is_true(json_object_get(j, "at_once"));
	json_decref(j);
	show_progress(w);
	return more;
}

static void stop(struct capture *w)
{
	char *body;

	(void)client_try(w->c, "--json capture stop", &body);
	free(body);
}

/* True if the operator has interrupted. Pauses first, unless `at_once`: more data is ready. */
static bool is_interrupted(bool at_once)
{
	return at_once ? poll_interrupts() > 0 : !poll_wait();
}

/*
 * Reads until the capture ends. An interrupt stops it, and what has arrived by then is still
 * written. A second interrupt ends it at once, whatever the daemon still sends.
 */
static int read_all(struct capture *w)
{
	bool at_once = false, stopped = false, more = true;
	int code = EXIT_DONE;

	poll_begin();
	while (more) {
		more = read_some(w, &at_once, &code);
		if (w->error || poll_interrupts() > 1)
			break;
		if (more && !stopped && is_interrupted(at_once)) {
			stopped = true;
			stop(w);
		}
	}
	poll_end();
	if (more)
		stop(w);
	return code;
}

/* ---- the file ------------------------------------------------------------------------------- */

static FILE *open_out(const char *path)
{
	struct stat st;
	int fd;

	if (strcmp(path, "-") == 0)
		return fdopen(dup(STDOUT_FILENO), "wb");
	/* Only the user may read captured data, also in a file that existed before. */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		(void)fchmod(fd, 0600);
	return fd < 0 ? NULL : fdopen(fd, "wb");
}

static void tell(const struct capture *w)
{
	fprintf(stderr, "%s%s: %llu captured, %llu lost", w->shows ? "\r" : "",
		strcmp(w->path, "-") == 0 ? "standard output" : w->path,
		(unsigned long long)w->written, (unsigned long long)w->lost);
	if (w->missed)
		fprintf(stderr, ", %llu exchanges not followed (too many at once)",
			(unsigned long long)w->missed);
	fprintf(stderr, "%s%s\n", w->why[0] ? "; " : "", w->why);
}

/*
 * The exit code: `code`, or EXIT_REFUSED if not everything was written. A pipe whose reader has
 * closed it is not an error.
 */
static int finish(struct capture *w, int code)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (!ferror(w->out))
		pcapng_end(&w->file, (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec, w->lost);
	if (fflush(w->out) != 0 && !w->error)
		w->error = errno;
	if (fclose(w->out) != 0 && !w->error)
		w->error = errno;
	tell(w);
	if (!w->error || (w->error == EPIPE && strcmp(w->path, "-") == 0))
		return code;
	fprintf(stderr, "meltemi: %s: %s\n", w->path, strerror(w->error));
	return EXIT_REFUSED;
}

static int write_down(struct capture *w, const char *asked)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	char comment[LINE_MAX_BYTES + 64];
	int code;

	w->out = open_out(w->path);
	if (!w->out) {
		fprintf(stderr, "meltemi: %s: %s\n", w->path, strerror(errno));
		stop(w);
		return EXIT_REFUSED;
	}
	sigaction(SIGPIPE, &ignore, &before);
	snprintf(comment, sizeof(comment), "meltemi capture %s", asked);
	pcapng_begin(&w->file, w->out, comment);
	fflush(w->out);
	code = finish(w, read_all(w));
	sigaction(SIGPIPE, &before, NULL);
	return code;
}

static int start(struct capture *w, const char *asked)
{
	char line[LINE_MAX_BYTES + 64];
	int code;
	json_t *j;

	snprintf(line, sizeof(line), "--json capture start %s", asked);
	j = poll_ask(w->c, line, &code);
	if (!j)
		return code;
	w->id = json_integer_value(json_object_get(j, "id"));
	if (json_is_string(json_object_get(j, "note")))
		fprintf(stderr, "meltemi: %s\n", json_string_value(json_object_get(j, "note")));
	json_decref(j);
	w->flows = calloc(1, sizeof(*w->flows));
	w->bytes = malloc(SEGMENT_HEAD + SEGMENT_MAX + 4);
	code = EXIT_REFUSED;
	if (w->flows && w->bytes)
		code = write_down(w, asked);
	else
		stop(w);
	free(w->flows);
	free(w->bytes);
	return code;
}

int capture_run(struct client *c, const char *words)
{
	struct capture w = {.c = c, .shows = isatty(STDERR_FILENO)};
	char path[LINE_MAX_BYTES];
	size_t n = strcspn(words, " ");

	if (n == 0 || n >= sizeof(path)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	memcpy(path, words, n);
	path[n] = '\0';
	if (strcmp(path, "--help") == 0 || strcmp(path, "-h") == 0) {
		fputs(usage, stdout);
		return EXIT_DONE;
	}
	if (path[0] == '-' && path[1]) {
		fprintf(stderr,
			"meltemi: %s: no option of capture; a file of that name is ./%s\n%s", path,
			path, usage);
		return EXIT_USAGE;
	}
	if (strcmp(path, "-") == 0 && isatty(STDOUT_FILENO)) {
		fputs("meltemi: pcapng is not for a terminal; `meltemi capture - ... | tshark -r "
		      "-` "
		      "reads it as it comes\n",
			stderr);
		return EXIT_USAGE;
	}
	w.path = path;
	return start(&w, words + n + (words[n] == ' '));
}
