/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool path_of(const struct doctor *d, char *path, size_t size, const char *fmt, va_list ap)
{
	size_t n = (size_t)snprintf(path, size, "%s", d->root);

	return n < size && (size_t)vsnprintf(path + n, size - n, fmt, ap) < size - n;
}

bool doctor_read(const struct doctor *d, char *buf, size_t size, const char *fmt, ...)
{
	char path[512];
	va_list ap;
	size_t n;
	bool fits;
	FILE *f;

	va_start(ap, fmt);
	fits = path_of(d, path, sizeof(path), fmt, ap);
	va_end(ap);
	f = fits ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	while (n && (buf[n - 1] == '\n' || buf[n - 1] == ' '))
		n--;
	buf[n] = '\0';
	return true;
}

bool doctor_link(const struct doctor *d, char *buf, size_t size, const char *fmt, ...)
{
	char path[512], to[512];
	const char *last;
	va_list ap;
	ssize_t n;
	bool fits;

	va_start(ap, fmt);
	fits = path_of(d, path, sizeof(path), fmt, ap);
	va_end(ap);
	n = fits ? readlink(path, to, sizeof(to) - 1) : -1;
	if (n < 0)
		return false;
	to[n] = '\0';
	last = strrchr(to, '/');
	snprintf(buf, size, "%s", last ? last + 1 : to);
	return true;
}

bool doctor_listed(const char *list, uint32_t n)
{
	while (*list) {
		unsigned int from, to;
		int used = 0;

		if (sscanf(list, "%u%n", &from, &used) != 1)
			return false;
		list += used;
		to = from;
		if (*list == '-' && sscanf(list, "-%u%n", &to, &used) == 1)
			list += used;
		if (n >= from && n <= to)
			return true;
		list += strspn(list, ", \n");
	}
	return false;
}
