/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Node document to start with: what is necessary, and comments with settings that may be useful
 * because of what was found.
 */
#include "import.h"
#include "print_error.h"

#include "mt_file.h"
#include "mt_quoted.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEAVE_DAYS 30
#define PROPOSED   50 /* objects, and hosts; longer proposals would not be read */

/* Writes the host's name, which is often used as the name of the Node. */
static void put_name(FILE *f)
{
	char name[64] = "";

	(void)gethostname(name, sizeof(name) - 1);
	for (char *p = name; *p; p++)
		*p = isalnum((unsigned char)*p) || *p == '.' ? (char)tolower((unsigned char)*p)
							     : '-';
	mt_put_quoted(f, isalnum((unsigned char)name[0]) ? name : "node-1");
}

/* ---- proposals ------------------------------------------------------------------------------- */

/*
 * True for a name as an API server accepts it (RFC 1123). An object with another one is not
 * proposed, because its author may have chosen the name for what readers make of it.
 */
static bool is_name(const char *s)
{
	size_t len = strlen(s);

	for (const char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '.')
			return false;
	return len && len <= 253 && isalnum((unsigned char)s[0]) &&
	       isalnum((unsigned char)s[len - 1]);
}

/* Gateways are served by nodes whose labels match. */
static void propose_labels(const struct import *m, FILE *f)
{
	json_t *row;
	size_t i;
	uint32_t n = 0;

	json_array_foreach(json_object_get(m->report, "objects"), i, row) n +=
		strcmp(text_in(row, "kind"), "Gateway") == 0 &&
		strcmp(text_in(row, "status"), "no-effect") == 0;
	if (n)
		fprintf(f,
			"  # Gateways that are for other nodes: %u. This one opens those with a "
			"selector that matches its labels.\n  # labels: {istio: ingressgateway}\n",
			n);
}

static bool has(const json_t *list, const char *word)
{
	json_t *row;
	size_t i;

	json_array_foreach(list, i, row) if (strcmp(json_string_value(row), word) == 0) return true;
	return false;
}

/* Hosts whose own sidecars enforce policies: they may require a client certificate. */
static json_t *hosts_of_proxies(const struct import *m)
{
	json_t *all = json_array(), *row, *host;
	size_t i, k;

	json_array_foreach(json_object_get(m->report, "objects"), i, row)
	{
		if (strcmp(text_in(row, "status"), "elsewhere") != 0)
			continue;
		json_array_foreach(json_object_get(row, "touches"), k,
			host) if (json_array_size(all) < PROPOSED &&
				  !has(all, json_string_value(host))) json_array_append(all, host);
	}
	return all;
}

static bool makes_hosts(const json_t *row)
{
	const char *kind = text_in(row, "kind");

	return strcmp(kind, "ServiceEntry") == 0 || strcmp(kind, "Service") == 0;
}

/* The namespaces of these hosts. */
static json_t *namespaces_of(const struct import *m, const json_t *hosts)
{
	json_t *all = json_array(), *row, *host;
	size_t i, k;

	json_array_foreach(json_object_get(m->report, "objects"), i, row)
	{
		const char *ns = text_in(row, "namespace");

		if (!makes_hosts(row) || has(all, ns) || !is_name(ns))
			continue;
		json_array_foreach(json_object_get(row, "touches"), k,
			host) if (has(hosts, json_string_value(host)) && !has(all, ns))
			json_array_append_new(all, json_string(ns));
	}
	return all;
}

static void propose_lend(const struct import *m, FILE *f)
{
	json_t *hosts = hosts_of_proxies(m), *to = namespaces_of(m, hosts), *ns;
	size_t i;

	if (json_array_size(to)) {
		fprintf(f,
			"  # The endpoints of %zu of the services have proxies of their own, which "
			"may require certificates (PeerAuthentication).\n  # List the clients that "
			"may call them with this node's certificate (spec.identity).\n  # mesh:\n  "
			"#   nodeIdentityUse: {clients: [10.0.0.0/8], to: [",
			json_array_size(hosts));
		json_array_foreach(to, i, ns)
		{
			fputs(i ? ", " : "", f);
			mt_put_quoted(f, json_string_value(ns));
		}
		fputs("]}\n", f);
	}
	json_decref(hosts);
	json_decref(to);
}

static void put_leave(const json_t *row, const char *until, FILE *f)
{
	fputs("  # - {kind: ", f);
	fputs(text_in(row, "kind"), f);
	fputs(", namespace: ", f);
	mt_put_quoted(f, text_in(row, "namespace"));
	fputs(", name: ", f);
	mt_put_quoted(f, text_in(row, "name"));
	fprintf(f, ", hash: \"%s\", until: \"%s\", because: \"the reason\"}\n",
		text_in(row, "hash"), until);
}

/*
 * Proposes to exempt objects that fail closed. They have a hash, which is of their present
 * contents.
 */
static void propose_unenforced(const struct import *m, FILE *f)
{
	time_t day = time(NULL) + (time_t)LEAVE_DAYS * 86400;
	char until[16];
	struct tm tm;
	json_t *row;
	uint32_t n = 0;
	size_t i;

	gmtime_r(&day, &tm);
	strftime(until, sizeof(until), "%Y-%m-%d", &tm);
	json_array_foreach(json_object_get(m->report, "objects"), i, row)
	{
		if (!*text_in(row, "hash") || n == PROPOSED ||
			!is_name(text_in(row, "namespace")) || !is_name(text_in(row, "name")))
			continue;
		if (n++ == 0)
			fputs("  # What protects and cannot be evaluated here closes what it "
			      "selects. "
			      "An object that may be passed over is named, as it\n"
			      "  # is now and until a day: it protects nothing here meanwhile.\n"
			      "  # unenforced:\n",
				f);
		put_leave(row, until, f);
	}
}

/* ---- the document ---------------------------------------------------------------------------- */

char *import_node(const struct import *m, const char *const *sources, uint32_t n, const char *state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fputs("apiVersion: meltemi.io/v1\nkind: Node\nmetadata:\n  name: ", f);
	put_name(f);
	fputc('\n', f);
	propose_labels(m, f);
	fputs("spec:\n"
	      "  workers: 1\n"
	      "  idle: adaptive\n"
	      "  memory: {hugepages: auto, mb: 512}\n"
	      "  ports:\n"
	      "  # The network port that Meltemi owns, and its own address there; services have "
	      "theirs.\n"
	      "  - {name: p0, device: ",
		f);
	mt_put_quoted(f, m->device);
	fputs(", addresses: [", f);
	mt_put_quoted(f, m->address);
	fputs("]}\n  sources:\n", f);
	for (uint32_t i = 0; i < n; i++) {
		fputs("  - directory: ", f);
		mt_put_quoted(f, sources[i]);
		fputc('\n', f);
	}
	fputs("  stateDirectory: ", f);
	mt_put_quoted(f, state);
	fputs("\n  admin: {socket: " SOCKET_DEFAULT ", http: \"127.0.0.1:15000\"}\n", f);
	propose_lend(m, f);
	propose_unenforced(m, f);
	return fclose(f) == 0 ? text : NULL;
}

/* An absolute path, because the Node may be read from another directory. The caller frees it. */
static char *absolute(const char *path)
{
	char *text = realpath(path, NULL), here[PATH_MAX];

	/* realpath() fails for a directory that --save will create. */
	if (!text && *path == '/')
		text = strdup(path);
	else if (!text && (!getcwd(here, sizeof(here)) || asprintf(&text, "%s/%s", here, path) < 0))
		text = NULL;
	return text;
}

bool import_node_make(struct import *m)
{
	const char **sources = calloc(m->n + 1, sizeof(*sources));
	const char *copies = m->save ? m->save : "documents";
	uint32_t n = 0;
	bool ok = sources, streams = false;

	for (uint32_t i = 0; ok && i < m->n; i++) {
		streams |= !m->inputs[i].directory;
		if (m->inputs[i].directory)
			ok = (sources[n++] = absolute(m->inputs[i].arg)) != NULL;
	}
	if (ok && streams)
		ok = (sources[n++] = absolute(copies)) != NULL;
	m->node = ok ? import_node(m, sources, n, "/var/lib/meltemi") : NULL;
	for (uint32_t i = 0; sources && i < n; i++)
		free((char *)(uintptr_t)sources[i]);
	free(sources);
	if (!m->node)
		print_error("no memory");
	return m->node;
}

/* ---- files ----------------------------------------------------------------------------------- */

bool import_may_write(const struct import *m, const char *path)
{
	struct stat st;

	if (m->force || lstat(path, &st))
		return true;
	print_error("%s exists already: name another file, or give --force", path);
	return false;
}

bool import_write(
	const struct import *m, const char *path, const char *text, size_t len, mode_t mode)
{
	struct mt_err e;
	int fd = m->force ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	/*
	 * Without --force no existing file is replaced: after this test the file is new, or open()
	 * has failed for another reason.
	 */
	if (!m->force && fd < 0 && errno == EEXIST)
		return import_may_write(m, path);
	if (fd >= 0)
		close(fd);
	if (mt_file_replace(path, text, len, mode, &e) == 0)
		return true;
	print_error("%s", e.text);
	if (fd >= 0)
		(void)unlink(path);
	return false;
}
