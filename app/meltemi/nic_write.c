/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi nic write`: adds a card to the Node document and, with --rights, the rights of its port
 * to the unit. meltemid checks the new text, in a file next to the document, before it replaces the
 * document. It does so as the user of its unit, because root can read files that the daemon cannot.
 */
#include "daemon_path.h"
#include "nic_bind.h"
#include "nic_node.h"
#include "nic_rights.h"
#include "unit_user.h"

#include "mt_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NODE_MAX      (16u << 20)
#define NODE_UNUSABLE 2 /* exit status of meltemid --check; 1 is about other documents */

struct document {
	char path[PATH_MAX], beside[PATH_MAX + 16];
	char *text, *changed;
	size_t len;
	struct stat st;
	char user[UNIT_USER]; /* of meltemid, which reads it; "": the caller's */
};

static int fail(const char *path, const char *words)
{
	fprintf(stderr, "meltemi: %s: %s\n", path, words);
	return EXIT_REFUSED;
}

/* The same for an error of lib/base, which names the path. */
static int fail_of(const struct mt_err *e)
{
	fprintf(stderr, "meltemi: %s\n", e->text);
	return EXIT_REFUSED;
}

/* ---- meltemid -------------------------------------------------------------------------------- */

/* Prints what meltemid reports, with the document's name for the file that it read. */
static void print_report(const struct document *d, const char *report)
{
	const char *at;

	for (; (at = strstr(report, d->beside)); report = at + strlen(d->beside))
		fprintf(stderr, "%.*s%s", (int)(at - report), report, d->path);
	fputs(report, stderr);
}

/* True if a node can start with the new text, which is in a file. Prints the report otherwise. */
static bool check(const struct document *d)
{
	const char *argv[] = {"meltemid", "-c", d->beside, "--check", NULL};
	char *report = NULL;
	int status = daemon_run(*d->user ? d->user : NULL, argv, &report);

	if (status < 0)
		fail(d->path, "meltemid, which checks it, is neither next to this program nor in "
			      "PATH");
	else if (status >= NODE_UNUSABLE)
		print_report(d, report ? report : "");
	if (status >= NODE_UNUSABLE)
		fail(d->path, "not changed, because meltemid --check does not accept the result");
	free(report);
	return status >= 0 && status < NODE_UNUSABLE;
}

/* Has meltemid check the new text, and compute its rights unless `r` is NULL. */
static bool examine(const struct document *d, const char *root, struct nic_rights *r)
{
	struct mt_err e;
	bool ok;

	/* With owner and mode of the document, so that it is as readable as that. */
	if (mt_file_replace_like(d->beside, d->changed, strlen(d->changed), &d->st, &e)) {
		fail_of(&e);
		return false;
	}
	ok = check(d) && (!r || nic_rights_read(r, root, d->path, d->beside));
	(void)unlink(d->beside);
	return ok;
}

/* A daemon that can print the rights for its unit is not older than this program. */
static void hint_rights(const struct document *d)
{
	const char *argv[] = {"meltemid", "--help", NULL};
	char *help = NULL;

	if (daemon_run(NULL, argv, &help) == 0 && help && strstr(help, "--rights"))
		printf("rights for the unit: meltemid --rights --unit -c %s\n", d->path);
	free(help);
}

/* ---- the file -------------------------------------------------------------------------------- */

/*
 * Reads the document, through symbolic links, which stay. Afterwards the path has none, unless
 * another user replaces it.
 */
static bool read_document(struct document *d, const char *path)
{
	struct mt_err e;
	char *slash;

	if (!realpath(path, d->path) || lstat(d->path, &d->st)) {
		fail(path, strerror(errno));
		return false;
	}
	if (mt_file_read(d->path, NODE_MAX, O_NOFOLLOW, &d->text, &d->len, &e)) {
		fail_of(&e);
		return false;
	}
	slash = strrchr(d->path, '/');
	snprintf(d->beside, sizeof(d->beside), "%.*s/.%s.check", (int)(slash - d->path), d->path,
		slash + 1);
	return true;
}

static bool put(const struct document *d, const char *path, const char *text, size_t len)
{
	struct mt_err e;

	if (mt_file_replace_like(path, text, len, &d->st, &e) == 0)
		return true;
	fail_of(&e);
	return false;
}

/* Rights come first, because a daemon with a port that lacks them does not start. */
static bool replace(const struct document *d, struct nic_rights *r)
{
	char backup[PATH_MAX + 8];

	snprintf(backup, sizeof(backup), "%s.bak", d->path);
	if (r && !nic_rights_put(r))
		return false;
	if (put(d, backup, d->text, d->len) && put(d, d->path, d->changed, strlen(d->changed)))
		return true;
	if (r)
		nic_rights_undo(r);
	return false;
}

/* ---- the change ------------------------------------------------------------------------------ */

static void print_lines(char sign, const char *from, const char *to)
{
	while (from < to) {
		const char *end = memchr(from, '\n', (size_t)(to - from));
		size_t n = (size_t)((end ? end : to) - from);

		printf("%c %.*s\n", sign, (int)(n && from[n - 1] == '\r' ? n - 1 : n), from);
		from += n + 1;
	}
}

/* Prints the lines between the common start and the common end of both texts. */
static void print_change(const char *path, const char *a, size_t len, const char *b)
{
	const char *from = a, *a_end = a + len, *b_end = b + strlen(b);
	uint32_t line = 1;

	for (const char *x = a, *y = b; x < a_end && y < b_end && *x == *y; x++, y++)
		if (*x == '\n') {
			from = x + 1;
			line++;
		}
	b += from - a;
	a = from;
	while (a_end > a && b_end > b && a_end[-1] == b_end[-1])
		a_end--, b_end--;
	/* Whole lines: up to the end of the one in which the last difference is. */
	while (b_end > b && b_end[-1] != '\n' && *b_end)
		a_end++, b_end++;
	printf("%s:%u:\n", path, line);
	print_lines('-', a, a_end);
	print_lines('+', b, b_end);
}

static void print_changes(const struct nic_rights *r)
{
	for (int i = 0; i < NIC_RIGHTS; i++) {
		const struct nic_rights_file *f = &r->files[i];
		const char *now = f->now ? f->now : "";

		if (f->changes)
			print_change(f->path, now, strlen(now), f->wanted);
	}
	fflush(stdout);
}

static void report(const struct nic_task *t, const struct nic_write *w, const struct document *d,
	const struct nic_rights *r)
{
	bool changes = false;

	for (int i = 0; i < NIC_RIGHTS; i++)
		changes |= r->files[i].changes;
	if (!nic_is_bifurcated(t->c) && strcmp(t->c->driver, NIC_VFIO) != 0)
		printf("the card does not belong to vfio-pci: run `meltemi nic bind %s` before the "
		       "daemon starts\n",
			t->pci);
	if (w->check)
		printf("accepted by meltemid --check; not written\n");
	else
		printf("written; the former text is %s.bak. Ports open when the daemon starts: "
		       "%ssystemctl restart meltemid\n",
			d->path,
			changes ? "udevadm control --reload && udevadm trigger "
				  "--subsystem-match=vfio && systemctl daemon-reload && "
				: "");
	if (!w->rights)
		hint_rights(d);
	else if (!changes)
		printf("the unit has the rights of the ports already\n");
}

static int change(
	struct nic_task *t, const struct nic_write *w, struct document *d, struct nic_rights *r)
{
	struct nic_port port = {.name = w->name,
		.device = t->pci,
		.profile = t->c->profile->name,
		.n_addresses = w->n_addresses};
	struct nic_rights *rights = w->rights ? r : NULL;
	struct mt_err e;

	memcpy(port.addresses, w->addresses, sizeof(w->addresses));
	d->changed = nic_node_add(d->text, d->len, &port, &e);
	if (!d->changed)
		return fail(w->node, e.text);
	print_change(d->path, d->text, d->len, d->changed);
	fflush(stdout);
	if (!examine(d, t->n->host.root, rights))
		return EXIT_REFUSED;
	print_changes(r);
	if (!w->check && !replace(d, rights))
		return EXIT_REFUSED;
	report(t, w, d, r);
	return EXIT_DONE;
}

int nic_write(struct nic_task *t, const struct nic_write *w)
{
	static struct document d;
	static struct nic_rights r;
	int code = EXIT_REFUSED;

	if (!t->c->profile)
		return fail(t->pci, "no device profile fits this card: use its interface through "
				    "net_af_xdp or net_af_packet (docs/how-to/ports.md)");
	if (geteuid() == 0)
		(void)unit_user(t->n->host.root, d.user);
	if (read_document(&d, w->node))
		code = change(t, w, &d, &r);
	free(d.text);
	free(d.changed);
	nic_rights_free(&r);
	return code;
}
