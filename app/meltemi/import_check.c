/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs meltemid to check the inputs, and replaces temporary paths in its output by the user's names
 * for them.
 */
#include "daemon_path.h"
#include "import.h"
#include "print_error.h"

#include "mt_file.h"
#include "mt_region.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- meltemid -------------------------------------------------------------------------------- */

/* Starts meltemid. Returns its pid, with its output in *out; -1 after a message. */
static pid_t start(const struct import *m, FILE **out)
{
	char node[PATH_MAX], told[PATH_MAX];
	const char *argv[IMPORT_ARGS + 4] = {"meltemid", "-c", node};
	pid_t pid;

	memcpy(argv + 3, m->args, sizeof(m->args));
	snprintf(node, sizeof(node), "%s/node.yaml", m->dir);
	snprintf(told, sizeof(told), "%s/told", m->dir);
	pid = daemon_start(NULL, argv, told, out);
	if (pid < 0)
		print_error("meltemid cannot be started: %s", strerror(errno));
	return pid;
}

/*
 * Waits for meltemid's exit status; -1 if there is none. Sends it SIGTERM if a signal has asked
 * this program to end.
 */
static int wait_for(pid_t pid)
{
	int status = -1;

	do {
		if (import_stopped())
			kill(pid, SIGTERM);
		if (waitpid(pid, &status, 0) == pid)
			break;
	} while (errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Reports that meltemid gave no answer, with what it printed on stderr. */
static int no_answer(const struct import *m, int status)
{
	char path[PATH_MAX], *text = NULL;
	struct mt_err e;
	size_t len;

	snprintf(path, sizeof(path), "%s/told", m->dir);
	if (status == 127) {
		print_error("meltemid, which checks documents, is neither next to this program "
			    "nor in PATH");
		return EXIT_UNREACHABLE;
	}
	if (import_stopped())
		return EXIT_REFUSED;
	print_error("meltemid gave no answer (exit status %d)", status);
	if (mt_file_read(path, MT_FILE_SMALL, 0, &text, &len, &e) == 0)
		fputs(text, stderr);
	free(text);
	return EXIT_UNREACHABLE;
}

/* ---- paths ----------------------------------------------------------------------------------- */

/*
 * Finds the temporary path that starts at `s`, and the user's name for it. Returns its length; 0:
 * there is none.
 */
static size_t known_name(const struct import *m, const char *s, const char **name)
{
	size_t dir = strlen(m->dir), len;

	if (strncmp(s, m->dir, dir) != 0)
		return 0;
	s += dir;
	*name = m->out ? m->out : "node.yaml";
	if (strncmp(s, "/node.yaml", 10) == 0)
		return dir + 10;
	for (uint32_t i = 0; strncmp(s, "/in/", 4) == 0 && i < m->n; i++) {
		len = strlen(m->inputs[i].name);
		*name = strcmp(m->inputs[i].arg, "-") == 0 ? "stdin" : m->inputs[i].arg;
		if (len && strncmp(s + 4, m->inputs[i].name, len) == 0)
			return dir + 4 + len;
	}
	return 0;
}

/*
 * A copy with the user's names for paths, which the caller frees. NULL: there is no such path, or
 * no memory.
 */
static char *renamed(const struct import *m, const char *s)
{
	char *text = NULL;
	const char *name;
	size_t size, len;
	FILE *f;

	if (!strstr(s, m->dir))
		return NULL;
	f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	while (*s) {
		len = known_name(m, s, &name);
		if (len) {
			size_t end = strlen(name);

			/* "mesh/" is the same directory as "mesh". */
			while (end > 1 && name[end - 1] == '/' && s[len] == '/')
				end--;
			fwrite(name, 1, end, f);
			s += len;
		} else {
			fputc(*s++, f);
		}
	}
	return fclose(f) == 0 ? text : NULL;
}

static void rename_all(const struct import *m, json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;
	char *text;

	if (json_is_array(j))
		json_array_foreach(j, i, value) rename_all(m, value);
	if (json_is_object(j))
		json_object_foreach(j, key, value) rename_all(m, value);
	if (!json_is_string(j))
		return;
	text = renamed(m, json_string_value(j));
	if (text)
		json_string_set(j, text);
	free(text);
}

/* ---- the result ------------------------------------------------------------------------------ */

/*
 * Moves Node documents of the inputs from the objects to "nodes": they are reported but not
 * checked. Removes the Node document in the file `ours`.
 */
static void take_nodes(struct import *m, const char *ours)
{
	json_t *objects = json_object_get(m->report, "objects"), *row, *nodes = json_array();
	size_t i = 0;

	while ((row = json_array_get(objects, i)) != NULL) {
		if (strcmp(text_in(row, "group"), "meltemi.io") != 0 ||
			strcmp(text_in(row, "kind"), "Node") != 0) {
			i++;
			continue;
		}
		if (strcmp(text_in(row, "file"), ours) != 0)
			json_array_append(nodes, row);
		json_array_remove(objects, i);
	}
	json_object_set_new(m->report, "nodes", nodes);
}

static bool is_in_trouble(const struct import *m)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(m->report, "objects"), i, row)
	{
		const char *status = text_in(row, "status");

		if (strcmp(status, "refused") == 0 || strcmp(status, "last-good") == 0)
			return true;
	}
	return json_array_size(json_object_get(m->report, "files")) > 0;
}

/*
 * Prints the errors among the diagnostics, without warnings; all lines if none is marked as an
 * error.
 */
static int unusable(const char *error)
{
	static const char mark[] = ": error: ";

	print_error("the Node document could not be used:");
	for (const char *line = error; *line;) {
		size_t len = strcspn(line, "\n");

		if (memmem(line, len, mark, strlen(mark)) || !strstr(error, mark))
			fprintf(stderr, "%.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
	return EXIT_USAGE;
}

/*
 * Reports that no document was found: for each file why it could not be read, or that there is
 * none.
 */
static int nothing(const struct import *m)
{
	const json_t *files = json_object_get(m->report, "files"), *row;
	size_t i;

	print_error("no document is in the named files and directories (*.yaml, *.yml, *.json)");
	json_array_foreach(files, i, row)
		print_error("%s: %s", text_in(row, "file"), text_in(row, "text"));
	return EXIT_USAGE;
}

static int take(struct import *m, int status)
{
	const char *error;
	char file[PATH_MAX];

	if (!json_is_object(m->report) || status < 0 || status > 2)
		return no_answer(m, status);
	snprintf(file, sizeof(file), "%s/node.yaml", m->dir);
	take_nodes(m, file);
	rename_all(m, m->report);
	error = json_string_value(json_object_get(m->report, "error"));
	if (error)
		return unusable(error);
	m->trouble = is_in_trouble(m);
	return json_array_size(json_object_get(m->report, "objects")) ? EXIT_DONE : nothing(m);
}

/* The text of a Node with the inputs as sources, which the caller frees. NULL: no memory. */
static char *node_of_inputs(const struct import *m, const char *state)
{
	const char **sources = calloc(m->n + 1, sizeof(*sources));
	uint32_t n = 0;
	struct mt_region r;
	char *text = NULL;

	mt_region_init(&r, 0);
	if (sources)
		sources[n++] = mt_region_printf(&r, "%s/in/" IMPORT_FILES, m->dir);
	for (uint32_t i = 0; sources && i < m->n; i++)
		if (m->inputs[i].directory)
			sources[n++] = mt_region_printf(&r, "%s/in/%s", m->dir, m->inputs[i].name);
	if (sources && !r.failed)
		text = import_node(m, sources, n, state);
	free(sources);
	mt_region_fini(&r);
	return text;
}

/*
 * Starts meltemid on a Node that reads the inputs. Returns its pid, or -1 after an error message,
 * with the exit code in *code.
 */
static pid_t ask(struct import *m, FILE **out, int *code)
{
	char state[PATH_MAX], path[PATH_MAX], *text;
	struct mt_err e;

	*code = EXIT_UNREACHABLE;
	snprintf(state, sizeof(state), "%s/state", m->dir);
	snprintf(path, sizeof(path), "%s/node.yaml", m->dir);
	text = node_of_inputs(m, state);
	if (!text || mt_file_replace(path, text, strlen(text), 0600, &e)) {
		print_error("%s", text ? e.text : "no memory");
		free(text);
		*code = EXIT_REFUSED;
		return -1;
	}
	free(text);
	return start(m, out);
}

int import_check(struct import *m)
{
	FILE *out;
	int code;
	pid_t pid;

	m->args[0] = "--check";
	m->args[1] = "--json";
	pid = ask(m, &out, &code);
	if (pid < 0)
		return code;
	m->report = out ? json_loadf(out, 0, NULL) : NULL;
	if (out)
		fclose(out);
	return take(m, wait_for(pid));
}

/* Copies all lines, with the names by which the user knows the files. */
static void print_all(const struct import *m, FILE *from, FILE *to)
{
	char *line = NULL, *text;
	size_t size = 0;

	while (getline(&line, &size, from) > 0) {
		text = renamed(m, line);
		fputs(text ? text : line, to);
		free(text);
	}
	free(line);
}

int import_analyse(struct import *m)
{
	char path[PATH_MAX], *text = NULL;
	FILE *out, *told, *page;
	size_t size;
	int code, status;
	pid_t pid = ask(m, &out, &code);

	if (pid < 0)
		return code;
	page = open_memstream(&text, &size);
	if (out && page)
		print_all(m, out, page);
	if (out)
		fclose(out);
	if (page)
		fclose(page);
	status = wait_for(pid);
	if (status < 0 || status > 2 || !text) {
		free(text);
		return no_answer(m, status);
	}
	snprintf(path, sizeof(path), "%s/told", m->dir);
	told = fopen(path, "re");
	if (told) {
		print_all(m, told, stderr);
		fclose(told);
	}
	fputs(text, stdout);
	free(text);
	return status;
}
