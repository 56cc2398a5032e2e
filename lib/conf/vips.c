/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses for services that write none: 240.240.<n / 255>.<n % 255>, as the ecosystem gives them. A
 * host keeps its address over restarts by STATE/vips.json, which is replaced as a whole: written beside,
 * synced, renamed.
 */
#include "mt_conf_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "vips.json"
#define FILE_MAX  (16u << 20)

static struct mt_addr addr_of(uint32_t n)
{
	return mt_addr4(htonl(0xf0f00000u | (n / 255) << 8 | n % 255));
}

/* 0: not one of these addresses. */
static uint32_t n_of(const struct mt_addr *a)
{
	uint32_t v = mt_addr_is4(a) ? ntohl(mt_addr_v4(a)) : 0;
	uint32_t n = (v >> 8 & 0xff) * 255 + (v & 0xff);

	return v >> 16 == 0xf0f0 && (v & 0xff) % 255 && n < MT_VIP_MAX ? n : 0;
}

static int init(struct mt_vips *v)
{
	if (v->by_n)
		return 0;
	v->by_n = calloc(MT_VIP_MAX, sizeof(struct mt_vip *));
	v->next = 1;
	return v->by_n ? 0 : -ENOMEM;
}

void mt_vips_fini(struct mt_vips *v)
{
	mt_strmap_fini(&v->by_host);
	mt_region_fini(&v->region);
	free(v->by_n);
	*v = (struct mt_vips){0};
}

/* Both ways at once: by host for the service, by number for who is free. */
static int put(struct mt_vips *v, const char *host, uint32_t n)
{
	struct mt_vip *vip;

	if (!n || init(v) || v->by_n[n] || mt_strmap_get(&v->by_host, host))
		return -EINVAL;
	vip = mt_region_alloc(&v->region, sizeof(*vip));
	if (!vip)
		return -ENOMEM;
	vip->host = mt_region_strdup(&v->region, host);
	vip->n = n;
	if (!vip->host || mt_strmap_put(&v->by_host, vip->host, vip, NULL))
		return -ENOMEM;
	v->by_n[n] = vip;
	return 0;
}

int mt_vips_put(struct mt_vips *v, const char *host, const struct mt_addr *a)
{
	return put(v, host, n_of(a));
}

bool mt_vips_get(struct mt_vips *v, const char *host,
	bool (*taken)(void *arg, const struct mt_addr *a), void *arg, struct mt_addr *out)
{
	struct mt_vip *vip = mt_strmap_get(&v->by_host, host);

	if (init(v))
		return false;
	if (vip) {
		*out = addr_of(vip->n);
		/* Somebody else writes it in a document now: that one has it. */
		if (!taken(arg, out))
			return true;
		mt_strmap_del(&v->by_host, host);
		v->by_n[vip->n] = NULL;
		v->dirty = true;
	}
	for (uint32_t i = 0; i < MT_VIP_MAX; i++) {
		uint32_t n = (v->next + i) % MT_VIP_MAX;

		if (n % 255 == 0 || v->by_n[n])
			continue;
		*out = addr_of(n);
		if (taken(arg, out) || put(v, host, n))
			continue;
		v->next = n + 1;
		v->dirty = true;
		return true;
	}
	return false;
}

/* ---- the file: {"version": 1, "addresses": {"HOST": "240.240.0.1", ...}} ----------------------- */

struct reader {
	const char *p, *end;
};

static bool literal(struct reader *r, char c)
{
	while (r->p < r->end && strchr(" \t\r\n", *r->p))
		r->p++;
	if (r->p >= r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

/* A text of printable characters; what this room writes has no other. */
static bool text(struct reader *r, char *out, size_t size)
{
	size_t n = 0;

	if (!literal(r, '"'))
		return false;
	for (; r->p < r->end && *r->p != '"'; r->p++) {
		if (*r->p == '\\' && ++r->p == r->end)
			return false;
		if ((unsigned char)*r->p < 0x20 || n + 1 >= size)
			return false;
		out[n++] = *r->p;
	}
	out[n] = '\0';
	return literal(r, '"');
}

static bool field(struct reader *r, const char *name)
{
	char word[32];

	return text(r, word, sizeof(word)) && strcmp(word, name) == 0 && literal(r, ':');
}

static bool parse(struct mt_vips *v, const char *data, size_t len)
{
	struct reader r = {data, data + len};
	char host[1024], addr[MT_ADDR_STRLEN];
	struct mt_addr a;

	if (!literal(&r, '{') || !field(&r, "version") || !literal(&r, '1') || !literal(&r, ',') ||
		!field(&r, "addresses") || !literal(&r, '{'))
		return false;
	if (literal(&r, '}'))
		return literal(&r, '}');
	do {
		if (!text(&r, host, sizeof(host)) || !literal(&r, ':') ||
			!text(&r, addr, sizeof(addr)))
			return false;
		if (mt_addr_parse(addr, &a) || mt_vips_put(v, host, &a))
			return false;
	} while (literal(&r, ','));
	return literal(&r, '}') && literal(&r, '}');
}

static int read_file(const char *path, char **data, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n = -1;
	int rc = 0;

	*data = NULL;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		close(fd);
		return -EINVAL;
	}
	*data = malloc((size_t)st.st_size + 1);
	if (*data)
		n = read(fd, *data, (size_t)st.st_size);
	if (n != st.st_size)
		rc = *data ? -EIO : -ENOMEM;
	*len = (size_t)st.st_size;
	close(fd);
	if (rc)
		free(*data);
	return rc;
}

int mt_vips_load(struct mt_vips *v, const char *state_dir, bool read_only, struct mt_err *err)
{
	char path[MT_CONF_PATH + 32];
	char *data;
	size_t len = 0;
	int rc;

	mt_region_init(&v->region, 0);
	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	rc = read_file(path, &data, &len);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	/* A check by somebody else than the daemon's user does without what it may not see. */
	if (rc && read_only)
		return 0;
	if (rc)
		return mt_err(err, rc, "%s cannot be read: %s (mend its permissions)", path,
			strerror(-rc));
	if (!parse(v, data, len)) {
		free(data);
		return mt_err(err, -EINVAL,
			"%s is damaged (restore it, or remove it: services without an address get "
			"new "
			"ones)",
			path);
	}
	free(data);
	return 0;
}

static void write_text(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		/* Control characters are no part of a host. */
		if ((unsigned char)*s >= 0x20)
			fputc(*s, f);
	}
	fputc('"', f);
}

static void write_all(const struct mt_vips *v, FILE *f)
{
	const char *sep = "\n";

	fputs("{\"version\": 1, \"addresses\": {", f);
	for (uint32_t n = 0; v->by_n && n < MT_VIP_MAX; n++) {
		struct mt_addr a = addr_of(n);
		char addr[MT_ADDR_STRLEN];

		if (!v->by_n[n])
			continue;
		fputs(sep, f);
		write_text(f, v->by_n[n]->host);
		fprintf(f, ": \"%s\"", mt_addr_str(&a, addr));
		sep = ",\n";
	}
	fputs("\n}}\n", f);
}

/* The rename itself is on disk only when the directory is. */
static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

static int write_beside(const struct mt_vips *v, const char *tmp)
{
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	int rc = 0;

	if (!f) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	write_all(v, f);
	if (fflush(f) || fsync(fd))
		rc = -errno;
	if (fclose(f) && rc == 0)
		rc = -errno;
	return rc;
}

int mt_vips_save(struct mt_vips *v, const char *state_dir, struct mt_err *err)
{
	char tmp[MT_CONF_PATH + 32], path[MT_CONF_PATH + 32];
	int rc = 0;

	if (!v->dirty)
		return 0;
	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	snprintf(tmp, sizeof(tmp), "%s/." FILE_NAME ".new", state_dir);
	if (mkdir(state_dir, 0700) && errno != EEXIST)
		rc = -errno;
	if (rc == 0)
		rc = write_beside(v, tmp);
	if (rc == 0 && rename(tmp, path))
		rc = -errno;
	if (rc == 0)
		rc = sync_dir(state_dir);
	if (rc) {
		/* Half a file helps nobody, and on a full disk it would stay in the way. */
		(void)unlink(tmp);
		return mt_err(err, rc,
			"%s cannot be written: %s (make stateDirectory writable, or write "
			"addresses "
			"in the ServiceEntries)",
			path, strerror(-rc));
	}
	v->dirty = false;
	return 0;
}
