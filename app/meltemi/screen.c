/* SPDX-License-Identifier: Apache-2.0 */
/* Prints answers: plain text to pipes, with colours and a pager on a terminal. */
#include "shell.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int lost; /* errno of the first write to stdout that failed */

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define BOLD   "\033[1m"
#define PLAIN  "\033[0m"

/* The colour of a status word; NULL: other words have none. */
static const char *colour_of(const char *word, size_t len)
{
	static const struct {
		const char *word, *colour;
	} t[] = {{"up", GREEN}, {"ok", GREEN}, {"serving", GREEN}, {"down", RED}, {"error", RED},
		{"refused", RED}, {"dropped", RED}, {"failed", RED}, {"none", YELLOW},
		{"draining", YELLOW}, {"leaving", YELLOW}, {"ejected", YELLOW},
		{"starting", YELLOW}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		if (strlen(t[i].word) == len && strncmp(t[i].word, word, len) == 0)
			return t[i].colour;
	return NULL;
}

/* no-color.org: a variable that is not empty turns colours off. */
static bool may_colour(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}

/* True for a line of column names: three or more words in lower case. */
static bool is_head(const char *line, size_t len)
{
	size_t words = 0;

	for (size_t i = 0; i < len; i++) {
		char ch = line[i];

		if (!islower((unsigned char)ch) && !isdigit((unsigned char)ch) && ch != '_' &&
			ch != ' ')
			return false;
		words += ch != ' ' && (i == 0 || line[i - 1] == ' ');
	}
	return words > 2;
}

static void paint_line(FILE *out, const char *line, size_t len, bool first)
{
	const char *end = line + len;

	if (first && is_head(line, len)) {
		fprintf(out, BOLD "%.*s" PLAIN "\n", (int)len, line);
		return;
	}
	while (line < end) {
		size_t blank = strspn(line, " "), n;
		const char *colour;

		fprintf(out, "%.*s", (int)blank, line);
		line += blank;
		n = MT_MIN(strcspn(line, " \n"), (size_t)(end - line));
		colour = colour_of(line, n);
		fprintf(out, "%s%.*s%s", colour ? colour : "", (int)n, line, colour ? PLAIN : "");
		line += n;
	}
	fputc('\n', out);
}

static void paint(FILE *out, const char *text)
{
	bool first = true;

	while (*text) {
		size_t len = strcspn(text, "\n");

		paint_line(out, text, len, first);
		first = len == 0;
		text += len + (text[len] == '\n');
	}
}

bool screen_broken(int *code)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return false;
	lost = lost ? lost : errno;
	if (lost == EPIPE)
		return true;
	fprintf(stderr, "meltemi: the answer cannot be written: %s\n", strerror(lost));
	*code = *code ? *code : EXIT_REFUSED;
	return true;
}

static bool is_control(const unsigned char *p, size_t *len)
{
	bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;

	*len = c1 ? 2 : 1;
	return c1 || *p == 0x7f || (*p < 0x20 && *p != '\n' && *p != '\t');
}

void screen_disarm(char **text, int fd)
{
	const unsigned char *p = (const unsigned char *)*text;
	size_t extra = 0, len;
	char *safe, *out;

	for (; *p; p += len)
		extra += is_control(p, &len) ? 8 : 0;
	if (!extra || !isatty(fd))
		return;
	safe = out = malloc(strlen(*text) + extra + 1);
	if (!safe) {
		**text = '\0';
		return;
	}
	for (p = (const unsigned char *)*text; *p; p += len) {
		bool control = is_control(p, &len);

		for (size_t i = 0; i < len; i++)
			out += control ? sprintf(out, "\\x%02x", p[i]) : (*out = (char)p[i], 1);
	}
	*out = '\0';
	free(*text);
	*text = safe;
}

static size_t rows_of(const char *text)
{
	struct winsize ws = {0};
	size_t rows = 0, width;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) != 0 || ws.ws_row == 0)
		return 0;
	for (width = ws.ws_col ? ws.ws_col : 80; *text; text += *text == '\n') {
		size_t len = strcspn(text, "\n");

		rows += 1 + (len ? (len - 1) / width : 0);
		text += len;
	}
	return rows < ws.ws_row ? 0 : rows;
}

/* Starts the user's pager, else less, which keeps colours. NULL if none can be started. */
static FILE *pager(void)
{
	const char *program = getenv("PAGER");

	setenv("LESS", "FRX", 0);
	fflush(stdout);
	return popen(program && *program ? program : "less 2>/dev/null || cat", "w");
}

void screen_show(const char *text, bool pages)
{
	bool colour = may_colour(STDOUT_FILENO);
	FILE *out = NULL;
	void (*old)(int);

	if (pages && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && rows_of(text))
		out = pager();
	/* A pager that ends early must not end the shell. */
	old = signal(SIGPIPE, SIG_IGN);
	errno = 0;
	if (colour)
		paint(out ? out : stdout, text);
	else
		fputs(text, out ? out : stdout);
	if (out) {
		(void)pclose(out);
		clearerr(stdout);
	} else {
		if ((fflush(stdout) != 0 || ferror(stdout)) && !lost)
			lost = errno;
	}
	signal(SIGPIPE, old);
}

void screen_json(json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(j);
}
