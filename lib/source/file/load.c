/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"
#include "mt_source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* There is no line to name: the file as a whole is the trouble. */
static int load_error(struct mt_diags *diags, const char *path, const char *remedy, int err)
{
	mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){path, 0}, NULL, remedy,
		"cannot be read: %s", strerror(err));
	return -err;
}

/* There is no errno for what is there and cannot be read as a document. */
static int not_a_file(struct mt_diags *diags, const char *path, const struct stat *st)
{
	bool dir = S_ISDIR(st->st_mode);

	mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){path, 0}, NULL,
		dir ? "name a file in it; -d takes a directory" : "name a file",
		"cannot be read: it is %s and not a file",
		dir			? "a directory"
		: S_ISCHR(st->st_mode)	? "a device"
		: S_ISFIFO(st->st_mode) ? "a pipe"
					: "a socket or device");
	return dir ? -EISDIR : -EINVAL;
}

int mt_source_text(
	struct mt_model *m, struct mt_diags *diags, const char *name, const char *text, size_t len)
{
	struct mt_fctx c = {.model = m, .diags = diags};

	c.file = mt_region_strdup(&m->region, name);
	if (!c.file)
		return -ENOMEM;
	return mt_yaml_parse(&m->region, diags, c.file, text, len, mt_document_read, &c);
}

/* A regular file whole, NUL-terminated, to be freed; NULL after an entry in `diags`. */
static char *read_whole(struct mt_diags *diags, const char *path, size_t *len, int *rc)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char *buf = NULL;
	ssize_t n = 0;

	*rc = 0;
	*len = 0;
	if (fd < 0 || fstat(fd, &st)) {
		*rc = load_error(diags, path, "check its name and permissions", errno);
	} else if (!S_ISREG(st.st_mode)) {
		*rc = not_a_file(diags, path, &st);
	} else if (st.st_size > MT_SOURCE_FILE_MAX) {
		*rc = load_error(diags, path, "split it: 16 MiB at most", EFBIG);
	} else if ((buf = malloc((size_t)st.st_size + 1)) == NULL) {
		*rc = -ENOMEM;
	} else {
		/* What is written to the file meanwhile is read after the watch tells. */
		while (*len < (size_t)st.st_size &&
			(n = read(fd, buf + *len, (size_t)st.st_size - *len)) > 0)
			*len += (size_t)n;
		if (n < 0)
			*rc = load_error(diags, path, NULL, errno);
		buf[*len] = '\0';
	}
	if (fd >= 0)
		close(fd);
	if (*rc) {
		free(buf);
		return NULL;
	}
	return buf;
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len > n && strcmp(s + len - n, end) == 0;
}

/* JSON may be indented by tabs, which YAML refuses; its texts cannot hold any. */
static void blank_tabs(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\t')
			text[i] = ' ';
}

int mt_source_file(struct mt_model *m, struct mt_diags *diags, const char *path)
{
	size_t len;
	int rc;
	char *text = read_whole(diags, path, &len, &rc);

	if (!text)
		return rc;
	if (ends_with(path, ".json"))
		blank_tabs(text, len);
	rc = mt_source_text(m, diags, path, text, len);
	free(text);
	return rc;
}

bool mt_source_wants(const char *name)
{
	static const char *const wanted[] = {".yaml", ".yml", ".json"};

	/* Hidden files (.x.swp, .#x), emacs's #x# and every x~ and x.tmp fail one of these two. */
	if (name[0] == '.' || name[0] == '#')
		return false;
	for (size_t i = 0; i < MT_ARRAY_LEN(wanted); i++)
		if (ends_with(name, wanted[i]))
			return true;
	return false;
}

static int wants_entry(const struct dirent *e)
{
	return mt_source_wants(e->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Files and directories by what they are, so that one that is named twice is read once. */
struct visited {
	dev_t dev;
	ino_t ino;
};

struct visits {
	struct visited *v;
	uint32_t n;
};

/* true: for the first time (or it is not there: reading it will tell). */
static bool first_visit(struct mt_model *m, struct visits *v, const char *path)
{
	struct visited *new_;
	struct stat st;

	if (stat(path, &st))
		return true;
	for (uint32_t i = 0; i < v->n; i++)
		if (v->v[i].dev == st.st_dev && v->v[i].ino == st.st_ino)
			return false;
	new_ = mt_region_push(&m->region, (void **)&v->v, &v->n, sizeof(*new_));
	if (new_)
		*new_ = (struct visited){st.st_dev, st.st_ino};
	return true;
}

static int read_directory(
	struct mt_model *m, struct mt_diags *diags, const char *path, struct visits *visits)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, wants_entry, by_name);
	size_t len = strlen(path);
	int rc = 0;

	if (n < 0)
		return load_error(diags, path,
			errno == EACCES ? "let this user read and search it"
					: "create the directory or mend its name",
			errno);
	while (len > 1 && path[len - 1] == '/')
		len--;
	for (int i = 0; i < n; i++) {
		char *file = mt_region_printf(&m->region, "%.*s%s%s", (int)len, path,
			len == 1 && *path == '/' ? "" : "/", names[i]->d_name);

		if (!file ||
			(first_visit(m, visits, file) && mt_source_file(m, diags, file) == -ENOMEM))
			rc = -ENOMEM;
		free(names[i]);
	}
	free(names);
	return rc;
}

int mt_source_directory(struct mt_model *m, struct mt_diags *diags, const char *path)
{
	struct visits visits = {0};

	return read_directory(m, diags, path, &visits);
}

/* A relative directory in the Node's file counts from where that file is. */
static const char *beside(struct mt_model *m, const char *node_file, const char *dir)
{
	const char *slash = strrchr(node_file, '/');

	if (*dir == '/' || !slash)
		return dir;
	return mt_region_printf(&m->region, "%.*s/%s", (int)(slash - node_file), node_file, dir);
}

int mt_source_load(struct mt_model *m, struct mt_diags *diags, const char *node_file,
	const char *const *directories, uint32_t n)
{
	struct visits visits = {0};

	if (node_file && first_visit(m, &visits, node_file))
		mt_source_file(m, diags, node_file);
	for (uint32_t i = 0; m->node && i < m->node->n_sources; i++) {
		struct mt_text *dir = &m->node->sources[i].directory;

		dir->s = beside(m, m->node->meta.origin.file, dir->s);
		if (!dir->s)
			return -ENOMEM;
		if (first_visit(m, &visits, dir->s))
			read_directory(m, diags, dir->s, &visits);
	}
	for (uint32_t i = 0; i < n; i++)
		if (first_visit(m, &visits, directories[i]))
			read_directory(m, diags, directories[i], &visits);
	return m->region.failed ? -ENOMEM : 0;
}
