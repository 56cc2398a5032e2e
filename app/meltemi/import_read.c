/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the inputs readable for meltemid: copies streams and files into one directory, and makes a
 * link to each directory. Each of these is a source of its own, because meltemid follows no link
 * that leads out of a source.
 */
#include "import.h"
#include "print_error.h"

#include "mt_file.h"
#include "mt_source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *name_of(const struct import_input *in)
{
	return strcmp(in->arg, "-") == 0 ? "standard input" : in->arg;
}

/* ---- streams --------------------------------------------------------------------------------- */

static bool too_long(const struct import_input *in)
{
	print_error("%s: more than %u MiB: get kinds or namespaces one by one, into files of a "
		    "directory "
		    "(`kubectl get KIND -A -o yaml > DIR/KIND.yaml`), and import that",
		name_of(in), MT_SOURCE_FILE_MAX >> 20);
	return false;
}

/*
 * Reads a stream to its end, or reports an error: also if it is longer than meltemid allows, and
 * then without reading the rest.
 */
static bool read_stream(const struct import_input *in, int fd, char **text, size_t *len)
{
	size_t room = MT_SOURCE_FILE_MAX + 1, n = 0;
	char *buf = malloc(room);
	ssize_t got = buf ? 1 : -1;

	while (n < room && got > 0) {
		got = read(fd, buf + n, room - n);
		if (import_stopped())
			break;
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			n += (size_t)got;
	}
	*text = buf;
	*len = n;
	if (import_stopped())
		return false;
	if (n > MT_SOURCE_FILE_MAX)
		return too_long(in);
	if (got < 0)
		print_error("%s: cannot be read: %s", name_of(in), strerror(errno));
	else if (strspn(buf, " \t\r\n") >= n)
		print_error("%s is empty: did the command that should fill it fail?", name_of(in));
	else
		return true;
	return false;
}

/* The name must tell JSON from YAML, because only JSON may be indented by tabs. */
static const char *suffix_of(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && isspace((unsigned char)text[i]))
		i++;
	return i < len && text[i] == '{' ? ".json" : ".yaml";
}

static bool put_copy(struct import *m, struct import_input *in, uint32_t i, const char *suffix,
	const char *text, size_t len)
{
	char path[PATH_MAX];
	struct mt_err e;

	snprintf(in->name, sizeof(in->name), IMPORT_FILES "/%03u%s", i, suffix);
	snprintf(path, sizeof(path), "%s/in/%s", m->dir, in->name);
	if (mt_file_replace(path, text, len, 0600, &e) == 0)
		return true;
	print_error("%s", e.text);
	return false;
}

static bool copy_stream(struct import *m, struct import_input *in, uint32_t i, int fd)
{
	char *text = NULL;
	size_t len = 0;
	bool ok = read_stream(in, fd, &text, &len) &&
		  put_copy(m, in, i, suffix_of(text, len), text, len);

	/* The text may contain Secrets. */
	if (text)
		explicit_bzero(text, len);
	free(text);
	return ok;
}

/* ---- files and directories ------------------------------------------------------------------- */

static bool cannot(const struct import_input *in, const char *what, int err)
{
	print_error("%s: cannot be %s: %s", name_of(in), what, strerror(err));
	return false;
}

static const char *suffix_of_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && strcmp(dot, ".json") == 0 ? ".json" : ".yaml";
}

static bool copy_file(struct import *m, struct import_input *in, uint32_t i)
{
	struct mt_err e;
	size_t len;
	char *text;
	bool ok;

	if (mt_file_read(in->arg, MT_SOURCE_FILE_MAX, 0, &text, &len, &e)) {
		print_error("%s", e.text);
		return false;
	}
	ok = put_copy(m, in, i, suffix_of_name(in->arg), text, len);
	/* The text may contain Secrets. */
	mt_wipe_free(text);
	return ok;
}

static bool make_link(struct import *m, struct import_input *in, uint32_t i)
{
	char target[PATH_MAX], path[PATH_MAX];

	snprintf(in->name, sizeof(in->name), "%03u", i);
	snprintf(path, sizeof(path), "%s/in/%s", m->dir, in->name);
	if (!realpath(in->arg, target) || symlink(target, path))
		return cannot(in, "read", errno);
	return true;
}

/*
 * Adds a file, a directory, or a pipe such as that of `<(kubectl ...)`. Opens it first, so that an
 * unreadable one is reported now.
 */
static bool add_named(struct import *m, struct import_input *in, uint32_t i)
{
	int fd = open(in->arg, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool ok;

	if (fd < 0)
		return cannot(in, "read", errno);
	ok = fstat(fd, &st) == 0;
	in->directory = ok && S_ISDIR(st.st_mode);
	in->stream = ok && !in->directory && !S_ISREG(st.st_mode);
	if (!ok)
		ok = cannot(in, "read", errno);
	else if (in->stream)
		ok = copy_stream(m, in, i, fd);
	else if (!in->directory && st.st_size > MT_SOURCE_FILE_MAX)
		ok = too_long(in);
	else
		ok = in->directory ? make_link(m, in, i) : copy_file(m, in, i);
	close(fd);
	return ok;
}

static bool add(struct import *m, uint32_t i)
{
	struct import_input *in = &m->inputs[i];

	if (strcmp(in->arg, "-") != 0)
		return add_named(m, in, i);
	in->stream = true;
	return copy_stream(m, in, i, STDIN_FILENO);
}

static const char *const own_directories[] = {"in", "in/" IMPORT_FILES};

bool import_read(struct import *m)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX];
	uint32_t n_stdin = 0;

	for (uint32_t i = 0; i < m->n; i++)
		n_stdin += strcmp(m->inputs[i].arg, "-") == 0;
	if (n_stdin > 1) {
		print_error("standard input can be read once only");
		return false;
	}
	snprintf(m->dir, sizeof(m->dir), "%s/meltemi-import-XXXXXX",
		tmp && *tmp == '/' ? tmp : "/tmp");
	if (!mkdtemp(m->dir)) {
		print_error("%s: no directory can be made: %s", m->dir, strerror(errno));
		m->dir[0] = '\0';
		return false;
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(own_directories); i++) {
		snprintf(path, sizeof(path), "%s/%s", m->dir, own_directories[i]);
		if (mkdir(path, 0700)) {
			print_error("%s: %s", path, strerror(errno));
			return false;
		}
	}
	for (uint32_t i = 0; i < m->n; i++)
		if (!add(m, i))
			return false;
	return true;
}

void import_clean(struct import *m)
{
	static const char *const ours[] = {"node.yaml", "told"};
	char path[PATH_MAX];

	if (!m->dir[0])
		return;
	for (uint32_t i = 0; i < m->n; i++) {
		snprintf(path, sizeof(path), "%s/in/%s", m->dir, m->inputs[i].name);
		if (m->inputs[i].name[0])
			(void)unlink(path);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(ours); i++) {
		snprintf(path, sizeof(path), "%s/%s", m->dir, ours[i]);
		(void)unlink(path);
	}
	for (size_t i = MT_ARRAY_LEN(own_directories); i-- > 0;) {
		snprintf(path, sizeof(path), "%s/%s", m->dir, own_directories[i]);
		(void)rmdir(path);
	}
	(void)rmdir(m->dir);
}

/* ---- copies for the user --------------------------------------------------------------------- */

/* "stdin.yaml", "mesh.yaml"; a second file of that name becomes "1-mesh.yaml". */
static void saved_name(const struct import *m, uint32_t i, char *out, size_t size)
{
	const struct import_input *in = &m->inputs[i];
	const char *slash = strrchr(in->arg, '/'), *base = slash ? slash + 1 : in->arg;
	const char *suffix = strrchr(in->name, '.');
	bool twice = false;

	for (uint32_t k = 0; k < i; k++) {
		const char *other = strrchr(m->inputs[k].arg, '/');

		other = other ? other + 1 : m->inputs[k].arg;
		twice |= !m->inputs[k].directory && strcmp(other, base) == 0;
	}
	if (strcmp(in->arg, "-") == 0)
		base = "stdin";
	*out = '\0';
	if (twice)
		snprintf(out, size, "%u-", i);
	/* meltemid does not read hidden files. */
	snprintf(out + strlen(out), size - strlen(out), "%s%s%s", *base == '.' ? "_" : "", base,
		mt_source_wants(base) ? "" : suffix);
}

static bool save_one(const struct import *m, uint32_t i)
{
	char from[PATH_MAX], to[PATH_MAX], name[NAME_MAX + 32], *text;
	struct mt_err e;
	size_t len;
	bool ok;

	saved_name(m, i, name, sizeof(name));
	snprintf(from, sizeof(from), "%s/in/%s", m->dir, m->inputs[i].name);
	if ((size_t)snprintf(to, sizeof(to), "%s/%s", m->save, name) >= sizeof(to)) {
		print_error("%s: the path is too long", m->save);
		return false;
	}
	if (mt_file_read(from, MT_SOURCE_FILE_MAX, 0, &text, &len, &e)) {
		print_error("%s", e.text);
		return false;
	}
	ok = import_write(m, to, text, len, 0600);
	mt_wipe_free(text);
	return ok;
}

bool import_save(struct import *m)
{
	struct mt_err e;

	if (mt_file_directory(m->save, 0755, &e)) {
		print_error("%s", e.text);
		return false;
	}
	for (uint32_t i = 0; i < m->n; i++)
		if (!m->inputs[i].directory && !save_one(m, i))
			return false;
	return true;
}
