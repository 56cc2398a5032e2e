/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host, the journal, and the documents. Of documents only those that the daemon reads are read, and only as
 * YAML: what they say gets into the archive as data, so that comments and what cannot be read stay out. Files
 * that they name (keys, certificates, tokens) are never opened.
 */
#include "support.h"

#include "mt_yaml.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define NODE_DEFAULT  "/etc/meltemi/node.yaml"
#define DOCUMENTS_MAX 500
#define DIRECTORIES   16

/* All of it, to max bytes; malloc'd, NULL with errno. */
static char *take(int fd, size_t max)
{
	size_t n = 0, room = 1 << 16;
	char *p = malloc(room + 1);

	while (p && n < max) {
		ssize_t got = read(fd, p + n, room - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
		if (n == room) {
			char *more = realloc(p, 2 * room + 1);

			if (!more)
				break;
			p = more;
			room *= 2;
		}
	}
	if (p)
		p[n] = '\0';
	return p;
}

static char *read_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text;

	if (fd < 0)
		return NULL;
	text = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? take(fd, SUPPORT_ITEM_MAX) : NULL;
	close(fd);
	return text;
}

/* What a program prints, without a shell in between. */
static char *output_of(const char *const argv[])
{
	char *text;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return NULL;
	pid = fork();
	if (pid == 0) {
		int nothing = open("/dev/null", O_RDWR);

		dup2(nothing, 0);
		dup2(ends[1], 1);
		dup2(nothing, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(ends[1]);
	text = pid > 0 ? take(ends[0], SUPPORT_ITEM_MAX) : NULL;
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return text;
}

static void keep(struct support *s, const char *what, const char *name, char *text, const char *why)
{
	struct item *it = support_add(s, what, "%s", name);

	if (text && *text)
		support_text(s, it, text, false);
	else
		support_left_out(it, "%s", why);
	free(text);
}

void support_host(struct support *s)
{
	static const char *const files[][2] = {{"/etc/os-release", "host/os-release"},
		{"/proc/version", "host/kernel"}, {"/proc/cmdline", "host/kernel-arguments"},
		{"/proc/cpuinfo", "host/cpuinfo"}, {"/proc/meminfo", "host/meminfo"},
		{"/proc/interrupts", "host/interrupts"}, {"/proc/net/dev", "host/interfaces"}};
	static const char *const journal[] = {
		"journalctl", "-u", "meltemid", "-n", "5000", "--no-pager", "-q", NULL};

	for (size_t i = 0; i < MT_ARRAY_LEN(files); i++)
		keep(s, "of the host's kernel", files[i][1], read_file(files[i][0]),
			"there is no such file");
	keep(s, "the end of the journal", "log.txt", output_of(journal),
		"no journal of meltemid here, or no right to read it");
}

/* ---- documents ------------------------------------------------------------------------------ */

static json_t *as_json(const struct mt_ynode *n)
{
	json_t *j;

	if (n->type == MT_Y_SCALAR)
		return json_string(n->text ? n->text : "");
	j = n->type == MT_Y_MAP ? json_object() : json_array();
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		if (n->type == MT_Y_MAP)
			json_object_set_new(j, k->key ? k->key : "", as_json(k));
		else
			json_array_append_new(j, as_json(k));
	}
	return j;
}

static void add_root(void *list, const struct mt_ynode *root)
{
	json_array_append_new(list, as_json(root));
}

/* All documents of a file as JSON; NULL: it is not there, or no YAML. */
static json_t *documents_of(const char *path)
{
	char *text = read_file(path);
	struct mt_region region;
	struct mt_diags diags;
	json_t *list = json_array();
	int rc = -ENOENT;

	if (text) {
		mt_region_init(&region, 256u << 20);
		mt_diags_init(&diags);
		rc = mt_yaml_parse(&region, &diags, path, text, strlen(text), add_root, list);
		mt_diags_fini(&diags);
		mt_region_fini(&region);
	}
	free(text);
	if (rc == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *add_document(struct support *s, const char *path)
{
	struct item *it;
	const char *base = strrchr(path, '/');

	it = support_add(s, "a document, as data: without comments", "documents/%03u/%.80s.json",
		s->n, base ? base + 1 : path);
	redact_name(s->redact, "file", base ? base + 1 : path);
	it->json = documents_of(path);
	if (!it->json)
		support_left_out(it, "%s is not there, or is no YAML", path);
	return it->json;
}

static int is_document(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return d->d_name[0] != '.' && dot &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static void add_directory(struct support *s, const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, is_document, alphasort);
	char path[4096];

	for (int i = 0; i < n; i++) {
		if (i < DOCUMENTS_MAX && (size_t)snprintf(path, sizeof(path), "%s/%s", dir,
						 list[i]->d_name) < sizeof(path))
			(void)add_document(s, path);
		free(list[i]);
	}
	if (n > DOCUMENTS_MAX)
		support_left_out(
			support_add(s, "", "documents/others"), "%d of %s", n - DOCUMENTS_MAX, dir);
	if (n >= 0)
		free(list);
}

/* The daemon's answer, while it is still JSON; NULL: there is none. */
static const json_t *answer(const struct support *s, const char *name)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (strcmp(s->items[i].name, name) == 0)
			return s->items[i].json;
	return NULL;
}

/* ---- metrics -------------------------------------------------------------------------------- */

/* GET, to the end; the body, malloc'd. */
static char *get(const char *host, const char *port, const char *path)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	const struct timeval limit = {.tv_sec = 5};
	struct addrinfo *ai;
	char request[256], *text = NULL, *body = NULL;
	int fd, n = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n",
			path);

	if (getaddrinfo(host, port, &hints, &ai) != 0)
		return NULL;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
		write(fd, request, (size_t)n) == n)
		text = take(fd, SUPPORT_ITEM_MAX);
	if (fd >= 0)
		close(fd);
	freeaddrinfo(ai);
	if (text && strstr(text, " 200 ") && strstr(text, "\r\n\r\n"))
		body = strdup(strstr(text, "\r\n\r\n") + 4);
	free(text);
	return body;
}

/* By spec.admin.http of the Node document: the socket has no metrics of its own. */
static void metrics(struct support *s, const json_t *node)
{
	const char *http = json_string_value(json_object_get(
		json_object_get(json_object_get(json_array_get(node, 0), "spec"), "admin"),
		"http"));
	char host[256] = "", port[8] = "";

	if (http && sscanf(http, "[%255[^]]]:%7[0-9]", host, port) != 2)
		(void)sscanf(http, "%255[^:]:%7[0-9]", host, port);
	keep(s, "/metrics", "metrics.txt", *port ? get(host, port, "/metrics") : NULL,
		"no answer by spec.admin.http");
}

void support_documents(struct support *s)
{
	const json_t *config = answer(s, "show/config.json");
	const char *said = json_string_value(json_object_get(config, "node_file"));
	const json_t *dirs = json_object_get(config, "directories"), *sources, *node, *row;
	char path[4096], copies[DIRECTORIES][4096];
	uint32_t n = 0;
	size_t i;

	snprintf(path, sizeof(path), "%s",
		s->node_file ? s->node_file
		: said	     ? said
			     : NODE_DEFAULT);
	/* Items move when others are added, so names are copied. */
	json_array_foreach(dirs, i, row) if (n < DIRECTORIES)
		snprintf(copies[n++], sizeof(copies[0]), "%s", json_string_value(row));
	node = add_document(s, path);
	sources = json_object_get(json_object_get(json_array_get(node, 0), "spec"), "sources");
	if (!dirs)
		json_array_foreach(sources, i, row)
		{
			const char *dir = json_string_value(json_object_get(row, "directory"));

			if (dir && n < DIRECTORIES)
				snprintf(copies[n++], sizeof(copies[0]), "%s", dir);
		}
	metrics(s, node);
	for (uint32_t k = 0; k < n; k++)
		add_directory(s, copies[k]);
}
