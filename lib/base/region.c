/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_region.h"

#include <stdio.h>
#include <string.h>

#define BLOCK_MIN  4096u
#define BLOCK_SIZE 65536u
#define ALIGNMENT  16u

struct mt_region_block {
	struct mt_region_block *next;
	size_t size, used; /* of data */
	_Alignas(ALIGNMENT) uint8_t data[];
};

void mt_region_init(struct mt_region *a, size_t limit)
{
	*a = (struct mt_region){.limit = limit};
}

void mt_region_fini(struct mt_region *a)
{
	struct mt_region_block *b = a->head;

	while (b) {
		struct mt_region_block *next = b->next;

		if (a->wipe)
			explicit_bzero(b->data, b->used);
		free(b);
		b = next;
	}
	*a = (struct mt_region){.limit = a->limit, .first = a->first, .wipe = a->wipe};
}

static struct mt_region_block *add_block(struct mt_region *a, size_t size)
{
	/*
	 * Blocks grow with the memory in use, because there may be a thousand regions of a few
	 * kilobytes.
	 */
	size_t block = MT_MIN(MT_MAX(a->used, a->first ? a->first : BLOCK_MIN), BLOCK_SIZE);
	size_t room = MT_MAX(size, block - sizeof(struct mt_region_block));
	struct mt_region_block *b = calloc(1, sizeof(*b) + room);

	if (!b)
		return NULL;
	b->size = room;
	/*
	 * A large object gets a block of its own after the head, so that the head's free room stays
	 * in use.
	 */
	if (a->head && size > block / 4) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	return b;
}

void *mt_region_alloc(struct mt_region *a, size_t size)
{
	struct mt_region_block *b = a->head;
	size_t need;
	void *p;

	if (size > SIZE_MAX - BLOCK_SIZE || (a->limit && size > a->limit - a->used)) {
		a->failed = true;
		return NULL;
	}
	need = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (!b || b->size - b->used < need)
		b = add_block(a, need);
	if (!b) {
		a->failed = true;
		return NULL;
	}
	p = b->data + b->used;
	b->used += need;
	a->used += size;
	return p;
}

char *mt_region_strndup(struct mt_region *a, const char *s, size_t len)
{
	char *p = mt_region_alloc(a, len + 1);

	if (p)
		memcpy(p, s, len);
	return p;
}

char *mt_region_strdup(struct mt_region *a, const char *s)
{
	return mt_region_strndup(a, s, strlen(s));
}

/*
 * ---- formatted text ----------------------------------------------------------------------------
 */

/*
 * Formats simple texts without printf, which costs ten times as much: names of texts and numbers
 * are made by the hundred thousand.
 */
#define PIECES 16

struct pieces {
	struct {
		const char *s;
		size_t len;
	} v[PIECES];
	uint32_t n;
	char digits[PIECES][20];
	size_t len;
};

static void add_piece(struct pieces *p, const char *s, size_t len)
{
	p->v[p->n].s = s;
	p->v[p->n++].len = len;
	p->len += len;
}

static void add_digits(struct pieces *p, unsigned long v, unsigned int base)
{
	char *end = p->digits[p->n] + sizeof(p->digits[0]), *at = end;

	do
		*--at = "0123456789abcdef"[v % base];
	while (v /= base);
	add_piece(p, at, (size_t)(end - at));
}

/* Adds at most `most` bytes of a text. false: it is NULL, which is left to printf. */
static bool add_text(struct pieces *p, const char *text, size_t most)
{
	if (text)
		add_piece(p, text, strnlen(text, most));
	return text;
}

/* Adds the conversion after a %. Returns its end; NULL: the conversion is not supported here. */
static const char *add_conversion(struct pieces *p, const char *at, va_list *ap)
{
	int most;

	switch (*at++) {
	case 's':
		return add_text(p, va_arg(*ap, const char *), PTRDIFF_MAX) ? at : NULL;
	case 'u':
		add_digits(p, va_arg(*ap, unsigned int), 10);
		return at;
	case 'l':
		if (*at != 'u' && *at != 'x')
			return NULL;
		add_digits(p, va_arg(*ap, unsigned long), *at == 'u' ? 10 : 16);
		return at + 1;
	case '.':
		if (at[0] != '*' || at[1] != 's')
			return NULL;
		most = va_arg(*ap, int);
		if (most < 0 || !add_text(p, va_arg(*ap, const char *), (size_t)most))
			return NULL;
		return at + 2;
	default:
		return NULL;
	}
}

/*
 * Splits a format into pieces. False: it has conversions other than %s, %.*s, %u, %lu, %lx. `ap` is
 * used up then, too.
 */
static bool cut(struct pieces *p, const char *fmt, va_list *ap)
{
	p->n = 0;
	p->len = 0;
	for (;;) {
		const char *percent = strchrnul(fmt, '%');

		if (p->n > PIECES - 2)
			return false;
		if (percent > fmt)
			add_piece(p, fmt, (size_t)(percent - fmt));
		if (!*percent)
			return true;
		fmt = add_conversion(p, percent + 1, ap);
		if (!fmt)
			return false;
	}
}

static char *join(struct mt_region *a, const struct pieces *p)
{
	char *text = mt_region_alloc(a, p->len + 1), *at = text;

	for (uint32_t i = 0; text && i < p->n; i++) {
		memcpy(at, p->v[i].s, p->v[i].len);
		at += p->v[i].len;
	}
	return text;
}

char *mt_region_vprintf(struct mt_region *a, const char *fmt, va_list ap)
{
	struct pieces pieces;
	va_list again;
	char *p;
	bool simple;
	int n;

	va_copy(again, ap);
	simple = cut(&pieces, fmt, &again);
	va_end(again);
	if (simple)
		return join(a, &pieces);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return NULL;
	p = mt_region_alloc(a, (size_t)n + 1);
	if (p)
		vsnprintf(p, (size_t)n + 1, fmt, ap);
	return p;
}

char *mt_region_printf(struct mt_region *a, const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = mt_region_vprintf(a, fmt, ap);
	va_end(ap);
	return p;
}

void *mt_region_push(struct mt_region *a, void **items, uint32_t *n, size_t size)
{
	/*
	 * The array is full exactly if n is 0 or a power of two from 4 on, so no capacity has to be
	 * stored.
	 */
	if (*n == 0 || (*n >= 4 && (*n & (*n - 1)) == 0)) {
		void *grown = mt_region_alloc(a, size * (*n ? (size_t)*n * 2 : 4));

		if (!grown)
			return NULL;
		if (*n)
			memcpy(grown, *items, size * *n);
		*items = grown;
	}
	return (uint8_t *)*items + size * (*n)++;
}
