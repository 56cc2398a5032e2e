/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_bundle.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define FILE_NAME "hosts"
#define ROWS_MAX  1000

/* Takes the next word of a line and terminates it; NULL: none. */
static char *word(char **line)
{
	char *w = *line + strspn(*line, " \t\r");
	size_t n = strcspn(w, " \t\r");

	if (!n)
		return NULL;
	*line = w + n;
	if (**line)
		*(*line)++ = '\0';
	return w;
}

static int read_line(struct mt_region *region, char *line, uint32_t number, struct mt_hosts *out,
	struct mt_finding *f)
{
	char *addr, *name;
	struct mt_addr a;

	line[strcspn(line, "#")] = '\0';
	addr = word(&line);
	if (!addr)
		return 0;
	if (mt_addr_parse(addr, &a))
		return mt_find(f, FILE_NAME, number, "",
			"write it like \"192.0.2.10 istiod.istio-system.svc\"",
			"\"%.64s\" is not an IP address", addr);
	name = word(&line);
	if (!name)
		return mt_find(f, FILE_NAME, number, "",
			"write it like \"192.0.2.10 istiod.istio-system.svc\"",
			"no name follows the address %.64s", addr);
	for (; name; name = word(&line)) {
		struct mt_host_row *row = out->n < ROWS_MAX
						  ? mt_region_push(region, (void **)&out->rows,
							    &out->n, sizeof(*out->rows))
						  : NULL;

		if (!row)
			return mt_find(f, FILE_NAME, number, "", "keep the mesh's own names only",
				"it holds more than %d names", ROWS_MAX);
		*row = (struct mt_host_row){name, a, number};
	}
	return 0;
}

int mt_hosts_parse(struct mt_region *region, const char *text, size_t len, struct mt_hosts *out,
	struct mt_finding *f)
{
	char *copy = mt_region_strndup(region, text, len), *next;
	int rc = 0;

	*out = (struct mt_hosts){0};
	if (!copy || memchr(text, '\0', len))
		return mt_find(f, FILE_NAME, 0, "", "write one line an address", "it is not text");
	for (uint32_t number = 1; rc == 0 && copy; number++, copy = next) {
		next = strchr(copy, '\n');
		if (next)
			*next++ = '\0';
		rc = read_line(region, copy, number, out, f);
	}
	return rc;
}

const struct mt_host_row *mt_hosts_find(const struct mt_hosts *hosts, const char *name)
{
	for (uint32_t i = 0; i < hosts->n; i++)
		if (strcasecmp(hosts->rows[i].name, name) == 0)
			return &hosts->rows[i];
	return NULL;
}
