/* SPDX-License-Identifier: Apache-2.0 */
#include "codec.h"
#include "options.h"
#include "packets.h"
#include "print_error.h"

#include "mt_log.h"
#include "mt_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
	"usage: meltemi [--json] codec test [--all] [--port PORT] FILE [SAMPLES|-]...\n"
	"\n"
	"Checks a codec file, and reads messages by it: the file's own samples, and SAMPLES. "
	"Prints\n"
	"where places are in each message, its id, metadata and status, and what Meltemi writes\n"
	"in place of a server. Needs neither a daemon nor privileges.\n"
	"\n"
	"SAMPLES is a capture (pcap or pcapng), or text: pairs of hexadecimal digits, or a dump "
	"of\n"
	"xxd, hexdump -C, tcpdump -X or Wireshark. In text an empty line ends a stream of "
	"messages,\n"
	"`client:` or `server:` before the first digits is the sender, and # starts a comment.\n"
	"\n"
	"      --port PORT  of servers: other connections of captures are left out\n"
	"      --all        all messages, and all bytes of places; otherwise the first 50\n"
	"      --json       the same as JSON\n"
	"\n"
	"Exit status: 0 each message was read, 1 the file has mistakes, or a message contradicts\n"
	"it or is incomplete, 2 bad usage, or an input cannot be read.\n";

/* ---- inputs ---------------------------------------------------------------------------------- */

/* A path may be no text. */
static void name_of(char *to, size_t size, const char *path)
{
	(void)mt_escape(to, size, strcmp(path, "-") == 0 ? "standard input" : path);
}

static bool slurp(const char *name, int fd, size_t max, char **data, size_t *n)
{
	size_t room = 0;
	ssize_t got = 1;

	*n = 0;
	while (got > 0 && *n <= max) {
		if (*n == room) {
			char *more = realloc(*data, room = room ? 2 * room : 65536);

			if (!more) {
				print_error("%s: no memory", name);
				return false;
			}
			*data = more;
		}
		got = read(fd, *data + *n, room - *n);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			*n += (size_t)got;
	}
	if (got < 0)
		print_error("%s: cannot be read: %s", name, strerror(errno));
	else if (*n > max)
		print_error("%s: more than %zu MiB: capture fewer packets, or filter them", name,
			max >> 20);
	else if (*n == 0)
		print_error("%s is empty", name);
	else
		return true;
	return false;
}

/* Reads a file, a pipe or standard input. False after a message. The caller frees *data. */
static bool read_input(const char *path, const char *name, size_t max, char **data, size_t *n)
{
	bool standard = strcmp(path, "-") == 0, ok;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

	*data = NULL;
	if (fd < 0) {
		print_error("%s: cannot be opened: %s", name, strerror(errno));
		return false;
	}
	ok = slurp(name, fd, max, data, n);
	if (!standard)
		close(fd);
	if (!ok) {
		free(*data);
		*data = NULL;
	}
	return ok;
}

/* ---- the file -------------------------------------------------------------------------------- */

static void print_mistakes(const struct codec_test *t, struct mt_diags *diags)
{
	json_t *list, *j;

	if (!t->json) {
		mt_diags_print(diags, stderr);
		return;
	}
	mt_diags_sort(diags);
	list = json_array();
	for (uint32_t i = 0; i < diags->n; i++) {
		const struct mt_diag *d = &diags->items[i];

		json_array_append_new(list,
			json_pack("{s:s, s:i, s:s, s:s?, s:s?, s:s?}", "file", t->file, "line",
				(int)d->origin.line, "severity", mt_diag_severity_str(d->severity),
				"path", d->path, "message", d->message, "remedy", d->remedy));
	}
	j = json_pack("{s:s, s:o}", "file", t->file, "errors", list);
	screen_json(j);
}

/* Compiles the file. Returns -1 to go on, else the exit code. */
static int compile(struct codec_test *t)
{
	struct mt_diags diags;
	char *text;
	size_t n;

	if (!read_input(t->path, t->file, MT_SOURCE_FILE_MAX, &text, &n))
		return EXIT_USAGE;
	mt_diags_init(&diags);
	t->table = mt_codecfile_read(&t->region, &diags, t->file, text, n, &t->view);
	free(text);
	if (!t->table) {
		print_mistakes(t, &diags);
		if (!diags.n)
			print_error("%s: no memory", t->file);
	}
	mt_diags_fini(&diags);
	if (!t->table)
		return EXIT_REFUSED;
	t->places = calloc(t->view.n_places + 1, sizeof(*t->places));
	t->found = calloc(t->view.n_places + 1, sizeof(*t->found));
	t->meta = calloc(1, sizeof(*t->meta));
	if (!t->places || !t->found || !t->meta) {
		print_error("no memory");
		return EXIT_REFUSED;
	}
	for (uint32_t i = 0; i < t->view.n_places; i++)
		t->places[i] = t->view.places[i].at;
	return -1;
}

static void own_samples(struct codec_test *t)
{
	for (uint32_t i = 0; i < t->view.n_samples; i++) {
		const struct mt_codecfile_sample *k = &t->view.samples[i];
		struct stream s = {.from = k->from == MT_DIR_DOWN ? STREAM_CLIENT : STREAM_SERVER,
			.whole = true,
			.bytes = (uint8_t *)(uintptr_t)k->bytes,
			.n = k->n};

		snprintf(s.name, sizeof(s.name), "line %u", k->line);
		codec_read(t, t->file, &s);
	}
}

/* ---- samples --------------------------------------------------------------------------------- */

static void capture(struct codec_test *t, const char *name, struct streams *s)
{
	if (s->why[0])
		codec_problem(t, name, "the capture is damaged: %s", s->why);
	if (s->truncated)
		codec_problem(t, name,
			"%u packets were cut while they were captured (tcpdump -s 0)",
			s->truncated);
	if (s->fragments)
		codec_problem(t, name, "%u IP fragments are left out", s->fragments);
	if (!s->n)
		codec_problem(t, name, "no bytes of TCP connections%s; %u packets are others",
			t->port ? " of this port" : "", s->others);
}

/* False: the input cannot be read. */
static bool samples(struct codec_test *t, const char *path)
{
	struct streams s = {0};
	char name[1024];
	bool ok = true;
	char *data;
	size_t n;

	name_of(name, sizeof(name), path);
	if (!read_input(path, name, CODEC_INPUT_MAX, &data, &n))
		return false;
	if (packets_is((const uint8_t *)data, n)) {
		(void)streams_capture(&s, (const uint8_t *)data, n, t->port);
		capture(t, name, &s);
	} else if (!streams_text(&s, data, n)) {
		print_error("%s: %s; write pairs of hexadecimal digits, or give a pcap or pcapng "
			    "capture",
			name, s.why);
		ok = false;
	} else if (!s.n) {
		print_error("%s has no bytes", name);
		ok = false;
	}
	for (uint32_t i = 0; ok && i < s.n; i++)
		codec_read(t, name, &s.of[i]);
	streams_free(&s);
	free(data);
	return ok;
}

/* ---- the command ----------------------------------------------------------------------------- */

static void begin(struct codec_test *t)
{
	json_t *file = codec_file(t);

	if (t->json) {
		fputs("{\n  \"file\": ", stdout);
		json_dumpf(file, stdout, JSON_COMPACT);
		fputs(",\n  \"messages\": [", stdout);
	} else {
		codec_page_file(t, file);
	}
	json_decref(file);
}

static void end(const struct codec_test *t)
{
	json_t *kinds;

	if (!t->json) {
		codec_page_end(t);
		return;
	}
	kinds = json_object();
	for (uint32_t k = 0; k < MT_MSG_N_KINDS; k++)
		if (t->kinds[k])
			json_object_set_new(kinds, mt_codecfile_kind((enum mt_msg_kind)k),
				json_integer(t->kinds[k]));
	fputs("\n  ],\n  \"counts\": ", stdout);
	json_dumpf(kinds, stdout, JSON_COMPACT);
	printf(",\n  \"read\": %u,\n  \"refused\": %u,\n  \"problems\": %u,\n  \"not_shown\": "
	       "%u\n}\n",
		t->messages, t->refused, t->problems, t->messages + t->problems - t->shown);
	json_decref(kinds);
}

static int test(struct codec_test *t, int n, char **paths)
{
	int code = compile(t);

	if (code >= 0)
		return code;
	begin(t);
	if (n == 0)
		own_samples(t);
	for (int i = 0; i < n; i++)
		if (!samples(t, paths[i]))
			code = EXIT_USAGE;
	end(t);
	/* The compiler has verified that its samples are refused only if they are to be. */
	if (code < 0)
		code = (t->refused && n) || t->problems ? EXIT_REFUSED : EXIT_DONE;
	(void)screen_broken(&code);
	return code;
}

static bool read_port(void *arg, const char *text)
{
	struct codec_test *t = arg;
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || *text < '0' || *text > '9' || v == 0 || v > UINT16_MAX) {
		print_error("--port: \"%s\" is not a port (write 1 to 65535)", text);
		return false;
	}
	t->port = (uint32_t)v;
	return true;
}

int codec_run(int argc, char **argv, bool json)
{
	struct codec_test t = {.json = json};
	const struct option_row options[] = {{"port", .take = read_port}, {"all", .flag = &t.all},
		{"json", .flag = &t.json}, {NULL}};
	int code = options_read(options, &t, true, usage, argc, argv);

	if (code >= 0)
		return code;
	if (argc - optind < 2 || strcmp(argv[optind], "test") != 0)
		return options_wrong(usage);
	t.path = argv[optind + 1];
	name_of(t.file, sizeof(t.file), t.path);
	mt_region_init(&t.region, 0);
	code = test(&t, argc - optind - 2, argv + optind + 2);
	mt_region_fini(&t.region);
	free(t.places);
	free(t.found);
	free(t.meta);
	return code;
}
