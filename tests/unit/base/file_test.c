/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "mt_base.h"
#include "mt_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what is synced, and when: these stand in front of the C library's ----------------------- */

static char steps[32]; /* "f": a file was synced, "d": a directory, "r": renamed */
static int sync_error; /* what the next fsync() of a file says */
static ino_t synced_dir;
static const char *link_to_plant; /* takes the place of the next file that is renamed */

static void step(char c)
{
	size_t n = strlen(steps);

	if (n + 1 < sizeof(steps))
		steps[n] = c;
}

int fsync(int fd)
{
	struct stat st;
	bool dir = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);

	step(dir ? 'd' : 'f');
	if (dir)
		synced_dir = st.st_ino;
	if (!dir && sync_error) {
		errno = sync_error;
		sync_error = 0;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
	const char *link = link_to_plant;
	int rc;

	step('r');
	link_to_plant = NULL;
	rc = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
	return link ? (int)syscall(SYS_renameat, AT_FDCWD, link, AT_FDCWD, to) : rc;
}

/* ---- a directory of our own ------------------------------------------------------------------ */

static char dir[32], at[8][128];
static struct mt_err e;

static const char *in_dir(const char *name)
{
	static unsigned int n;
	char *p = at[n++ % MT_ARRAY_LEN(at)];

	snprintf(p, sizeof(at[0]), "%s/%s", dir, name);
	return p;
}

static void begin(void)
{
	strcpy(dir, "/tmp/mt-file-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	memset(steps, 0, sizeof(steps));
	e.text[0] = '\0';
}

/* Everything that a test made has been removed by it: nothing was left beside. */
static void end(void)
{
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static bool holds(const char *path, const char *want)
{
	struct mt_err why;
	char *text;
	size_t len;
	bool same = mt_file_read(path, 1000, 0, &text, &len, &why) == 0 && len == strlen(want) &&
		    memcmp(text, want, len) == 0;

	free(text);
	return same;
}

static bool is_synced(const char *directory)
{
	struct stat st;

	return stat(directory, &st) == 0 && st.st_ino == synced_dir;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static int replace(const char *path, const char *text)
{
	return mt_file_replace(path, text, strlen(text), 0600, &e);
}

/* ---- replacing ------------------------------------------------------------------------------- */

static void replaced(void)
{
	const char *path, *other;

	begin();
	path = in_dir("a");
	other = in_dir("b");
	CU_ASSERT_EQUAL(replace(path, "one"), 0);
	CU_ASSERT_STRING_EQUAL(steps, "frd");
	CU_ASSERT(is_synced(dir));
	CU_ASSERT(holds(path, "one"));
	/* Who has the old file open, or by another name, keeps what it had. */
	CU_ASSERT_EQUAL(link(path, other), 0);
	CU_ASSERT_EQUAL(replace(path, "and another"), 0);
	CU_ASSERT(holds(path, "and another"));
	CU_ASSERT(holds(other, "one"));
	CU_ASSERT_EQUAL(replace(path, ""), 0);
	CU_ASSERT(holds(path, ""));
	unlink(path);
	unlink(other);
	end();
}

static void modes(void)
{
	static const mode_t masks[] = {0, 022, 077, 0177}, wanted[] = {0600, 0644, 0640, 0400};
	mode_t before = umask(0);

	begin();
	for (size_t i = 0; i < MT_ARRAY_LEN(masks) * MT_ARRAY_LEN(wanted); i++) {
		mode_t want = wanted[i % MT_ARRAY_LEN(wanted)];

		umask(masks[i / MT_ARRAY_LEN(wanted)]);
		CU_ASSERT_EQUAL(mt_file_replace(in_dir("a"), "x", 1, want, &e), 0);
		CU_ASSERT_EQUAL(mode_of(in_dir("a")), want);
	}
	umask(before);
	unlink(in_dir("a"));
	end();
}

/*
 * Owner and mode of another file. Another user's link that appears where the file was is replaced,
 * not followed.
 */
static void owners(void)
{
	const struct stat like = {.st_mode = S_IFREG | 0640, .st_uid = 64747, .st_gid = 64748};
	struct stat st;

	begin();
	put(in_dir("victim"), "of root");
	put(in_dir("a"), "old");
	CU_ASSERT_EQUAL(symlink(in_dir("victim"), in_dir("link")), 0);
	if (geteuid() != 0)
		CU_ASSERT_EQUAL(mt_file_replace_like(in_dir("a"), "x", 1, &like, &e), -EPERM);
	CU_ASSERT(holds(in_dir("a"), "old"));
	if (geteuid() == 0) {
		link_to_plant = in_dir("link");
		CU_ASSERT_EQUAL(mt_file_replace_like(in_dir("a"), "new", 3, &like, &e), 0);
		CU_ASSERT(stat(in_dir("victim"), &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
		CU_ASSERT_EQUAL(mt_file_replace_like(in_dir("a"), "new", 3, &like, &e), 0);
		CU_ASSERT(lstat(in_dir("a"), &st) == 0 && st.st_uid == 64747 &&
			  st.st_gid == 64748 && st.st_mode == like.st_mode);
	}
	unlink(in_dir("link"));
	unlink(in_dir("a"));
	unlink(in_dir("victim"));
	end();
}

/* A path without a directory is beside us. */
static void without_a_slash(void)
{
	char here[PATH_MAX];

	begin();
	CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(here, sizeof(here)));
	CU_ASSERT_EQUAL_FATAL(chdir(dir), 0);
	CU_ASSERT_EQUAL(replace("plain", "x"), 0);
	CU_ASSERT_STRING_EQUAL(steps, "frd");
	CU_ASSERT(is_synced(dir));
	CU_ASSERT_EQUAL_FATAL(chdir(here), 0);
	CU_ASSERT(holds(in_dir("plain"), "x"));
	unlink(in_dir("plain"));
	end();
}

/* What a crash, or somebody else, left where the new file is written. */
static void leftovers(void)
{
	begin();
	put(in_dir("victim"), "mine");
	put(in_dir("a"), "old");
	CU_ASSERT_EQUAL(symlink(in_dir("victim"), in_dir(".a.new")), 0);
	CU_ASSERT_EQUAL(replace(in_dir("a"), "new"), 0);
	CU_ASSERT(holds(in_dir("victim"), "mine"));
	CU_ASSERT(holds(in_dir("a"), "new"));
	put(in_dir(".a.new"), "half of something that was longer");
	chmod(in_dir(".a.new"), 0666);
	CU_ASSERT_EQUAL(replace(in_dir("a"), "newer"), 0);
	CU_ASSERT(holds(in_dir("a"), "newer"));
	CU_ASSERT_EQUAL(mode_of(in_dir("a")), 0600);
	CU_ASSERT_EQUAL(mkdir(in_dir(".a.new"), 0700), 0);
	CU_ASSERT_EQUAL(replace(in_dir("a"), "newest"), -EISDIR);
	CU_ASSERT(holds(in_dir("a"), "newer"));
	rmdir(in_dir(".a.new"));
	unlink(in_dir("a"));
	unlink(in_dir("victim"));
	end();
}

static void full_disk(void)
{
	const struct rlimit limits[] = {{0, RLIM_INFINITY}, {4, RLIM_INFINITY}};
	struct rlimit before;

	begin();
	put(in_dir("a"), "old");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	for (size_t i = 0; i < MT_ARRAY_LEN(limits); i++) {
		CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limits[i]), 0);
		CU_ASSERT_EQUAL(replace(in_dir("a"), "longer than that"), -EFBIG);
		setrlimit(RLIMIT_FSIZE, &before);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, in_dir("a: File too large")));
		CU_ASSERT(holds(in_dir("a"), "old"));
		CU_ASSERT_NOT_EQUAL(access(in_dir(".a.new"), F_OK), 0);
	}
	/* Disks that find out late. */
	sync_error = ENOSPC;
	CU_ASSERT_EQUAL(replace(in_dir("a"), "new"), -ENOSPC);
	CU_ASSERT(holds(in_dir("a"), "old"));
	CU_ASSERT_NOT_EQUAL(access(in_dir(".a.new"), F_OK), 0);
	CU_ASSERT_EQUAL(replace(in_dir("a"), "new"), 0);
	CU_ASSERT(holds(in_dir("a"), "new"));
	unlink(in_dir("a"));
	end();
}

static void no_place(void)
{
	char path[PATH_MAX + 8];

	begin();
	CU_ASSERT_EQUAL(replace(in_dir("missing/a"), "x"), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, in_dir("missing/a: No such file")));
	put(in_dir("file"), "");
	CU_ASSERT_EQUAL(replace(in_dir("file/a"), "x"), -ENOTDIR);
	CU_ASSERT_EQUAL(mkdir(in_dir("d"), 0700), 0);
	CU_ASSERT_EQUAL(replace(in_dir("d"), "x"), -EISDIR);
	CU_ASSERT_NOT_EQUAL(access(in_dir(".d.new"), F_OK), 0);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(replace(path, "x"), -ENAMETOOLONG);
	rmdir(in_dir("d"));
	unlink(in_dir("file"));
	end();
}

/* A directory that is not ours to write; root may write all of them, so it is somebody else for a moment. */
static void read_only(void)
{
	bool root = geteuid() == 0;

	begin();
	put(in_dir("a"), "old");
	CU_ASSERT_EQUAL_FATAL(chmod(dir, 0555), 0);
	if (root)
		CU_ASSERT_EQUAL_FATAL(seteuid(65534), 0);
	CU_ASSERT_EQUAL(replace(in_dir("a"), "new"), -EACCES);
	CU_ASSERT_EQUAL(replace(in_dir("b"), "new"), -EACCES);
	CU_ASSERT_EQUAL(mt_file_directory(in_dir("d"), 0700, &e), -EACCES);
	if (root)
		CU_ASSERT_EQUAL_FATAL(seteuid(0), 0);
	chmod(dir, 0700);
	CU_ASSERT(holds(in_dir("a"), "old"));
	unlink(in_dir("a"));
	end();
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_at(const char *path, size_t max, int flags)
{
	char *text = (char *)path;
	size_t len = 99;
	int rc = mt_file_read(path, max, flags, &text, &len, &e);

	CU_ASSERT(rc == 0 || (text == NULL && len == 0));
	free(text);
	return rc;
}

static void read_whole(void)
{
	char *text;
	size_t len;
	FILE *f;

	begin();
	f = fopen(in_dir("a"), "w");
	fwrite("a\0b", 1, 3, f);
	fclose(f);
	CU_ASSERT_EQUAL_FATAL(mt_file_read(in_dir("a"), 3, 0, &text, &len, &e), 0);
	CU_ASSERT(len == 3 && memcmp(text, "a\0b", 4) == 0);
	free(text);
	CU_ASSERT_EQUAL(read_at(in_dir("a"), 2, 0), -EFBIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "it is larger than 2 bytes"));
	put(in_dir("a"), "");
	CU_ASSERT_EQUAL_FATAL(mt_file_read(in_dir("a"), 0, 0, &text, &len, &e), 0);
	CU_ASSERT(len == 0 && *text == '\0');
	free(text);
	CU_ASSERT_EQUAL(symlink("a", in_dir("l")), 0);
	CU_ASSERT_EQUAL(read_at(in_dir("l"), 9, 0), 0);
	CU_ASSERT_EQUAL(read_at(in_dir("l"), 9, O_NOFOLLOW), -ELOOP);
	unlink(in_dir("l"));
	unlink(in_dir("a"));
	end();
}

static void no_file(void)
{
	begin();
	CU_ASSERT_EQUAL(read_at(in_dir("a"), 9, 0), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, in_dir("a: No such file")));
	CU_ASSERT_EQUAL(read_at(dir, 9, 0), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "it is not a file"));
	/* Nobody writes into it: it must not be waited for. */
	CU_ASSERT_EQUAL_FATAL(mkfifo(in_dir("fifo"), 0600), 0);
	CU_ASSERT_EQUAL(read_at(in_dir("fifo"), 9, 0), -EINVAL);
	CU_ASSERT_EQUAL(read_at("/dev/zero", 9, 0), -EINVAL);
	/* It says that it has no byte, and has some. */
	CU_ASSERT_EQUAL(read_at("/proc/self/status", 1 << 20, 0), -EFBIG);
	unlink(in_dir("fifo"));
	end();
}

static void directory(void)
{
	mode_t before = umask(022);

	begin();
	CU_ASSERT_EQUAL(mt_file_directory(in_dir("d"), 0700, &e), 0);
	CU_ASSERT_EQUAL(mode_of(in_dir("d")), 0700);
	CU_ASSERT_EQUAL(mt_file_directory(in_dir("d"), 0755, &e), 0);
	CU_ASSERT_EQUAL(mode_of(in_dir("d")), 0700);
	CU_ASSERT_EQUAL(mt_file_directory(in_dir("no/d"), 0700, &e), -ENOENT);
	put(in_dir("a"), "");
	CU_ASSERT_EQUAL(mt_file_directory(in_dir("a"), 0700, &e), -ENOTDIR);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "it is not a directory"));
	CU_ASSERT_EQUAL(symlink("nowhere", in_dir("l")), 0);
	CU_ASSERT_EQUAL(mt_file_directory(in_dir("l"), 0700, &e), -ENOENT);
	umask(before);
	unlink(in_dir("l"));
	unlink(in_dir("a"));
	rmdir(in_dir("d"));
	end();
}

/*
 * The error of a file of another user names the command that lets the service read it: documents by
 * the group, keys only by the user. Root has no such need. In a process of its own, which gives up
 * root.
 */
static void unreadable(void)
{
	char want[512], *text;
	int status = -1;
	size_t len;
	pid_t child;

	if (geteuid() != 0)
		return;
	begin();
	CU_ASSERT_EQUAL(mt_file_replace(in_dir("k"), "key", 3, 0600, &e), 0);
	CU_ASSERT_EQUAL(chmod(dir, 0755), 0);
	child = fork();
	if (child == 0) {
		if (setgid(64747) || setuid(64747))
			_exit(1);
		snprintf(want, sizeof(want),
			"%s: Permission denied (chgrp 64747 %s && chmod g+r %s)", in_dir("k"),
			in_dir("k"), in_dir("k"));
		if (mt_file_read(in_dir("k"), 100, 0, &text, &len, &e) != -EACCES)
			_exit(2);
		if (strcmp(e.text, want))
			_exit(3);
		snprintf(want, sizeof(want),
			"%s: Permission denied (chown 64747 %s && chmod 400 %s)", in_dir("k"),
			in_dir("k"), in_dir("k"));
		if (mt_file_read_secret(in_dir("k"), &text, &len, &e) != -EACCES)
			_exit(4);
		_exit(strcmp(e.text, want) ? 5 : 0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	CU_ASSERT_EQUAL(mt_file_not_opened("/x", MT_FILE_SECRET, EACCES, &e), -EACCES);
	CU_ASSERT_STRING_EQUAL(e.text, "/x: Permission denied");
	unlink(in_dir("k"));
	end();
}

/* Removes the directory of the test from all paths in a text. */
static char *without_dir(char *text)
{
	size_t len = strlen(dir) + 1;

	for (char *p; (p = strstr(text, dir)) != NULL;)
		memmove(p, p + len, strlen(p + len) + 1);
	return text;
}

/* Gives up root and compares the remedies; exits with the row that differs, 0: none. */
static void compare_remedies(void)
{
	static const struct {
		const char *path;
		enum mt_file_kind kind;
		const char *want;
	} t[] = {
		{"k", MT_FILE_SHARED, "chgrp 64747 k && chmod g+r k"},
		{"l", MT_FILE_SHARED,
			"chgrp 64747 k && chmod g+r k, the target of symbolic link l"},
		{"l2", MT_FILE_SECRET,
			"chown 64747 k && chmod 400 k, the target of symbolic link l2"},
		{"closed/k", MT_FILE_SHARED, "chgrp 64747 closed && chmod g+x closed"},
		{"l3", MT_FILE_SECRET, "chgrp 64747 closed && chmod g+x closed"},
	};
	char got[1024];

	if (setgid(64747) || setuid(64747))
		_exit(100);
	for (int i = 0; i < (int)MT_ARRAY_LEN(t); i++) {
		mt_file_remedy(in_dir(t[i].path), t[i].kind, EACCES, got, sizeof(got));
		if (strcmp(without_dir(got), t[i].want) != 0)
			_exit(1 + i);
	}
	_exit(0);
}

/* The remedy names what has to be changed: the target of links, and a directory on the way. */
static void behind_links(void)
{
	int status = -1;
	pid_t child;

	if (geteuid() != 0)
		return;
	begin();
	CU_ASSERT_EQUAL(chmod(dir, 0755), 0);
	CU_ASSERT_EQUAL(mkdir(in_dir("closed"), 0700), 0);
	CU_ASSERT_EQUAL(mt_file_replace(in_dir("k"), "key", 3, 0600, &e), 0);
	CU_ASSERT_EQUAL(symlink("k", in_dir("l")), 0);
	CU_ASSERT_EQUAL(symlink("l", in_dir("l2")), 0);
	CU_ASSERT_EQUAL(symlink("closed/k", in_dir("l3")), 0);
	child = fork();
	if (child == 0)
		compare_remedies();
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	unlink(in_dir("k"));
	unlink(in_dir("l"));
	unlink(in_dir("l2"));
	unlink(in_dir("l3"));
	rmdir(in_dir("closed"));
	end();
}

/* The descriptor's file holds what its name says, or the error is the wanted one. */
static void opens(int directory, const char *path, bool links, int want)
{
	int fd = mt_file_open_beneath(directory, path, O_RDONLY | O_NONBLOCK, links);
	char text[8] = "";

	CU_ASSERT_EQUAL(fd < 0 ? fd : 0, want);
	if (fd < 0)
		return;
	CU_ASSERT_EQUAL(read(fd, text, sizeof(text) - 1), 2);
	CU_ASSERT_STRING_EQUAL(text, "in");
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}

/* Nothing outside of a directory is opened through it: links and ".." may not lead out. */
static void beneath(void)
{
	static const struct {
		const char *path, *link; /* NULL: no link of that name is made */
		int want;
	} t[] = {
		{"d/file", NULL, 0},
		{"d/../d/file", NULL, -EXDEV}, /* opened as "../d/file" */
		{"d/sub/../file", NULL, 0},
		{"d/none", NULL, -ENOENT},
		{"d/in", "file", 0},
		{"d/sub/up", "../file", 0},
		{"d/out", "../out-of-it", -EXDEV},
		{"d/absolute", "/etc/passwd", -EXDEV},
		{"d/away", "..", -EXDEV},
		{"d/away/out-of-it", NULL, -EXDEV},
		{"d/magic", "/proc/self/root", -EXDEV},
		{"d/loop", "loop", -ELOOP},
	};
	char path[128];
	struct stat st;
	int fd, link;

	begin();
	CU_ASSERT_EQUAL(mkdir(in_dir("d"), 0700), 0);
	CU_ASSERT_EQUAL(mkdir(in_dir("d/sub"), 0700), 0);
	put(in_dir("d/file"), "in");
	put(in_dir("out-of-it"), "out");
	fd = open(in_dir("d"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		if (t[i].link)
			CU_ASSERT_EQUAL(symlink(t[i].link, in_dir(t[i].path)), 0);
		opens(fd, t[i].path + 2, true, t[i].want);
		if (t[i].link)
			opens(fd, t[i].path + 2, false, -ELOOP);
	}
	opens(fd, "file", false, 0);
	opens(fd, "sub/../file", false, 0);
	opens(fd, "away/out-of-it", false, -ELOOP);
	snprintf(path, sizeof(path), "%s", in_dir("d/file"));
	opens(fd, path, true, -EXDEV);
	link = mt_file_open_beneath(fd, "in", O_PATH | O_NOFOLLOW, false);
	CU_ASSERT_TRUE(fstat(link, &st) == 0 && S_ISLNK(st.st_mode));
	close(link);
	close(fd);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		if (t[i].link)
			unlink(in_dir(t[i].path));
	unlink(in_dir("d/file"));
	unlink(in_dir("out-of-it"));
	rmdir(in_dir("d/sub"));
	rmdir(in_dir("d"));
	end();
}

const struct mt_test file_tests[] = {
	{"beneath", beneath},
	{"replaced", replaced},
	{"modes", modes},
	{"owners", owners},
	{"without_a_slash", without_a_slash},
	{"leftovers", leftovers},
	{"full_disk", full_disk},
	{"no_place", no_place},
	{"read_only", read_only},
	{"read_whole", read_whole},
	{"no_file", no_file},
	{"unreadable", unreadable},
	{"behind_links", behind_links},
	{"directory", directory},
	{0},
};
