/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_file.h"
#include "mt_service.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replace {
	struct mt_task task;
	char *path, *text;
	size_t len;
	mode_t mode;
	struct mt_err why;
	mt_replaced_fn *fn;
	void *arg;
};

static int make_directory(const char *path, struct mt_err *e)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];

	if (!slash || slash == path || (size_t)(slash - path) >= sizeof(dir))
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	return mt_file_directory(dir, 0700, e);
}

static int put(struct mt_task *t)
{
	struct replace *r = mt_container_of(t, struct replace, task);
	int rc = make_directory(r->path, &r->why);

	return rc ? rc : mt_file_replace(r->path, r->text, r->len, r->mode, &r->why);
}

static void was_put(struct mt_task *t, int rc)
{
	struct replace *r = mt_container_of(t, struct replace, task);

	if (!(r->mode & 077))
		explicit_bzero(r->text, r->len);
	free(r->text);
	free(r->path);
	r->fn(r->arg, rc, &r->why);
	free(r);
}

void mt_service_replace(struct mt_service *s, const char *path, char *text, size_t len, mode_t mode,
	mt_replaced_fn *fn, void *arg)
{
	struct replace *r = text ? calloc(1, sizeof(*r)) : NULL;
	struct mt_err no_memory;

	if (r)
		*r = (struct replace){
			.task = {.run = put, .done = was_put, .state_bytes = MT_MAX(len, 1)},
			.path = strdup(path),
			.text = text,
			.len = len,
			.mode = mode,
			.fn = fn,
			.arg = arg};
	if (!r || !r->path) {
		free(r);
		free(text);
		fn(arg, mt_err(&no_memory, -ENOMEM, "%s: %s", path, strerror(ENOMEM)), &no_memory);
		return;
	}
	if (mt_service_submit(s, &r->task) == 0)
		return;
	(void)mt_err(&r->why, -EAGAIN, "%s: too many files wait for the disk", path);
	was_put(&r->task, -EAGAIN);
}
