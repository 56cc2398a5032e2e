/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "doctor.h"
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: meltemi [-s SOCKET] support [-o FILE] [--node FILE]\n\nWrites one "
	"archive for a bug report: versions, the host, findings, every `show`, "
	"metrics,\ndocuments, the end of the log. Passwords, tokens and keys are masked; MANIFEST "
	"in the\narchive lists its contents. Without a daemon it contains the rest.\n\n  -o, "
	"--output FILE    the archive; default: meltemi-support-DATE.tar.gz here\n      "
	"--node FILE      the Node document, if no daemon runs; default:\n                       "
	"/etc/meltemi/node.yaml\n\nExit status: 0 written, 1 it could not be written, 2 bad "
	"usage.\n";

struct item *support_add(struct support *s, const char *what, const char *fmt, ...)
{
	struct item *it;
	va_list ap;

	if (s->n == s->room) {
		s->room = MT_MAX(64u, 2 * s->room);
		s->items = realloc(s->items, s->room * sizeof(*s->items));
		if (!s->items) {
			fprintf(stderr, "meltemi: no memory\n");
			exit(EXIT_REFUSED);
		}
	}
	it = &s->items[s->n++];
	*it = (struct item){.what = what};
	va_start(ap, fmt);
	vsnprintf(it->name, sizeof(it->name), fmt, ap);
	va_end(ap);
	return it;
}

void support_left_out(struct item *it, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(it->why, sizeof(it->why), fmt, ap);
	va_end(ap);
}

void support_text(struct support *s, struct item *it, const char *text, bool tail)
{
	size_t len = strlen(text), keep = MT_MIN(len, (size_t)SUPPORT_ITEM_MAX);

	if (s->bytes + keep > SUPPORT_ALL_MAX) {
		support_left_out(
			it, "the archive would be larger than %u MB", SUPPORT_ALL_MAX >> 20);
		return;
	}
	it->cut = keep < len;
	it->text = strndup(tail ? text + len - keep : text, keep);
	s->bytes += keep;
}

/* ---- the manifest --------------------------------------------------------------------------- */

/* Converts items to the text that is written, without what must not leave the host. */
static void make_harmless(struct support *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->items[i].json)
			redact_learn(s->redact, s->items[i].json);
	for (uint32_t i = 0; i < s->n; i++) {
		struct item *it = &s->items[i];
		json_t *j = it->json ? redact_json(s->redact, it->json) : NULL;
		char *text = it->text ? redact_text(s->redact, it->text) : NULL;
		char *name = redact_text(s->redact, it->name);

		snprintf(it->name, sizeof(it->name), "%s", name);
		free(name);
		if (j)
			text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
		json_decref(j);
		json_decref(it->json);
		free(it->text);
		it->json = NULL;
		it->text = text;
		if (!it->text && !*it->why)
			support_left_out(it, "no memory, or an empty answer");
	}
}

static char *manifest_of(const struct support *s)
{
	char *text = NULL, now[64];
	time_t t = time(NULL);
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime(&t));
	fprintf(out,
		"Collected by `meltemi support` at %s\n\nmeltemi %s; the daemon %s\nmasked values: "
		"%u (passwords, tokens, credentials in URLs, private keys, values of\nmetadata "
		"that documents set; each is <redacted>)\nnever read: files of keys and "
		"certificates, captures, traces\n\n",
		now, MT_VERSION, s->daemon ? "answered" : "did not answer: its data is not here",
		redact_masked(s->redact));
	for (uint32_t i = 0; i < s->n; i++) {
		const struct item *it = &s->items[i];

		if (it->text)
			fprintf(out, "%-36s %9zu bytes%s  %s\n", it->name, strlen(it->text),
				it->cut ? ", cut" : "", it->what);
		else
			fprintf(out, "%-36s  left out: %s\n", it->name, it->why);
	}
	fclose(out);
	return text;
}

/* ---- the command ---------------------------------------------------------------------------- */

static void say(const struct support *s, const char *words)
{
	if (s->progress)
		fprintf(stderr, "%s ...\n", words);
}

static void gather(struct support *s, const char *socket)
{
	s->client.path = socket;
	say(s, "querying the daemon");
	support_daemon(s);
	if (!s->daemon)
		fprintf(stderr, "meltemi: %s: no daemon answers; its data is not in the archive\n",
			socket);
	say(s, "examining the host");
	support_add(s, "meltemi doctor", "doctor.json")->json = doctor_findings(socket);
	support_host(s);
	say(s, "reading documents");
	support_documents(s);
	say(s, "taking out what is secret");
	make_harmless(s);
}

static void release(struct support *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		free(s->items[i].text);
	free(s->items);
	redact_free(s->redact);
	client_close(&s->client);
}

int support_run(int argc, char **argv, const char *socket)
{
	struct support s = {.client = {.fd = -1}, .progress = isatty(STDERR_FILENO)};
	const char *output = NULL;
	const struct option_row options[] = {
		{"output", 'o', .text = &output}, {"node", .text = &s.node_file}, {NULL}};
	int code = options_read(options, NULL, true, usage, argc, argv);
	char why[256], name[64], *manifest;
	time_t t = time(NULL);

	if (code < 0 && optind < argc)
		code = options_wrong(usage);
	if (code >= 0)
		return code;
	strftime(name, sizeof(name), "meltemi-support-%Y%m%d-%H%M%S.tar.gz", localtime(&t));
	output = output ? output : name;
	s.redact = redact_new();
	gather(&s, socket);
	manifest = manifest_of(&s);
	code = EXIT_REFUSED;
	if (manifest && support_pack(&s, output, manifest, why)) {
		printf("%s: %u files; read MANIFEST in it before you send it\n", output, s.n + 1);
		code = EXIT_DONE;
	} else {
		fprintf(stderr, "meltemi: %s: %s\n", output, manifest ? why : "no memory");
	}
	free(manifest);
	release(&s);
	return code;
}
