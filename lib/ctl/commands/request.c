/* SPDX-License-Identifier: Apache-2.0 */
/* Parses a line from the socket. It is untrusted input: every byte is checked before it is used. */
#include "mt_ctl_priv.h"

#include <errno.h>
#include <string.h>

/* Returns why the line is not text; NULL: it is. */
static const char *not_text(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)p[i] < ' ' && p[i] != '\t' && p[i] != '\r') || p[i] == 0x7f)
			return "control characters";
	for (size_t i = 0; i < len;) {
		size_t n = (unsigned char)p[i] < 0x80 ? 1 : mt_utf8_len(p + i, len - i);

		if (!n)
			return "bytes that are not UTF-8";
		i += n;
	}
	return NULL;
}

/* Splits r->text into words in place; removes --json and --help wherever they stand. */
static int split(struct mt_request *r, struct mt_err *e)
{
	char *save = NULL;

	for (char *w = strtok_r(r->text, " \t\r", &save); w; w = strtok_r(NULL, " \t\r", &save)) {
		if (strcmp(w, "--json") == 0) {
			r->json = true;
			continue;
		}
		if (strcmp(w, "--help") == 0) {
			r->help = true;
			continue;
		}
		if (r->n == MT_CTL_WORDS)
			return mt_err(e, -EINVAL, "more than %u words", MT_CTL_WORDS);
		r->words[r->n++] = w;
	}
	return 0;
}

static int from_object(struct mt_request *r, const char *line, size_t len, struct mt_err *e)
{
	json_error_t why;
	json_t *j = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	const char *command = NULL, *odd;
	int json = 0;
	int rc = -EINVAL;

	if (!j) {
		mt_err(e, -EINVAL, "not JSON: %s", why.text);
	} else if (json_unpack_ex(j, &why, JSON_STRICT, "{s:s, s?b}", "command", &command, "json",
			   &json) != 0) {
		mt_err(e, -EINVAL, "expected {\"command\": TEXT, \"json\": BOOL}: %s", why.text);
	} else if (strlen(command) > MT_CTL_LINE) {
		mt_err(e, -EINVAL, "the command is longer than %u bytes", MT_CTL_LINE);
	} else if ((odd = not_text(command, strlen(command))) != NULL) {
		mt_err(e, -EINVAL, "the command holds %s", odd);
	} else {
		strcpy(r->text, command);
		r->json = json;
		rc = 0;
	}
	json_decref(j);
	return rc;
}

int mt_request_parse(struct mt_request *r, const char *line, size_t len, struct mt_err *e)
{
	const char *odd = not_text(line, len);

	r->n = r->n_args = 0;
	r->view = NULL;
	r->command = NULL;
	r->args = r->words;
	r->json = r->help = false;
	if (len > MT_CTL_LINE)
		return mt_err(e, -EINVAL, "the line is longer than %u bytes", MT_CTL_LINE);
	if (odd)
		return mt_err(e, -EINVAL, "the line holds %s", odd);
	if (len && line[0] == '{') {
		if (from_object(r, line, len, e) < 0)
			return -EINVAL;
	} else {
		memcpy(r->text, line, len);
		r->text[len] = '\0';
	}
	return split(r, e);
}

bool mt_lists(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)) != NULL; at++)
		if ((at == list || at[-1] == ' ') && (!at[len] || at[len] == ' '))
			return true;
	return false;
}

void mt_request_settings(struct mt_request *r, uint32_t at, const char *keys)
{
	for (; at + 1 < r->n; at++) {
		/* Words stand one after another in r->text, so a value has room in front. */
		char *end = (char *)r->words[at] + strlen(r->words[at]);

		if (!mt_lists(keys, r->words[at]))
			continue;
		*end = '=';
		memmove(end + 1, r->words[at + 1], strlen(r->words[at + 1]) + 1);
		r->n--;
		memmove(r->words + at + 1, r->words + at + 2,
			(r->n - at - 1) * sizeof(r->words[0]));
	}
}
