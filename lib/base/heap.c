/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_heap.h"

#include "mt_poison.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_SIZE                                                                                  \
	((uintptr_t)128 << 10) /* and its alignment: the address of an object gives its page */

struct mt_heap_page {
	struct mt_heap_page *next, **at; /* in the list of those with room; at NULL: it is full */
	void **freed;			 /* each points to the next; NULL: none */
	uint32_t fresh;			 /* objects from here on were never used */
	uint32_t size, held;
	_Alignas(MT_HEAP_STEP) uint8_t data[];
};

#define DATA_SIZE (PAGE_SIZE - sizeof(struct mt_heap_page))

/* Pages of all heaps; atomic, because heaps may belong to different threads. */
static _Atomic uint64_t mapped_pages;

uint64_t mt_heap_mapped(void)
{
	return mapped_pages * PAGE_SIZE;
}

static uint32_t class_of(size_t size)
{
	return size ? (uint32_t)((size - 1) / MT_HEAP_STEP) : 0;
}

static void add(struct mt_heap *h, struct mt_heap_page *k)
{
	struct mt_heap_page **at = &h->room[class_of(k->size)];

	k->next = *at;
	k->at = at;
	if (k->next)
		k->next->at = &k->next;
	*at = k;
}

static void leave(struct mt_heap_page *k)
{
	*k->at = k->next;
	if (k->next)
		k->next->at = k->at;
	k->at = NULL;
}

/* Maps twice as much, and unmaps what is not aligned. */
static struct mt_heap_page *map_page(void)
{
	uint8_t *p = mmap(
		NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t skip;

	if (p == MAP_FAILED)
		return NULL;
	skip = -(uintptr_t)p & (PAGE_SIZE - 1);
	if (skip)
		(void)munmap(p, skip);
	(void)munmap(p + skip + PAGE_SIZE, PAGE_SIZE - skip);
	return (struct mt_heap_page *)(void *)(p + skip);
}

static struct mt_heap_page *new_page(struct mt_heap *h, uint32_t size)
{
	struct mt_heap_page *k = map_page();

	if (!k)
		return NULL;
	k->size = size;
	mt_poison(k->data, DATA_SIZE);
	add(h, k);
	h->pages++;
	mapped_pages++;
	return k;
}

static void *take(struct mt_heap_page *k)
{
	void **p = k->freed;

	if (p) {
		mt_unpoison(p, sizeof(*p));
		k->freed = *p;
		return p;
	}
	p = (void **)(void *)(k->data + k->fresh);
	k->fresh += k->size;
	return p;
}

void *mt_heap_alloc(struct mt_heap *h, size_t size)
{
	struct mt_heap_page *k;
	void *p;

	if (size > MT_HEAP_MAX)
		return calloc(1, size);
	k = h->room[class_of(size)];
	if (!k)
		k = new_page(h, (class_of(size) + 1) * MT_HEAP_STEP);
	if (!k)
		return NULL;
	p = take(k);
	k->held++;
	if (!k->freed && k->fresh + k->size > DATA_SIZE)
		leave(k);
	mt_unpoison(p, size);
	return memset(p, 0, size);
}

void mt_heap_free(struct mt_heap *h, void *p, size_t size)
{
	struct mt_heap_page *k = (struct mt_heap_page *)((uintptr_t)p & ~(PAGE_SIZE - 1));

	if (size > MT_HEAP_MAX || !p) {
		free(p);
		return;
	}
	mt_unpoison(p, k->size);
	*(void **)p = k->freed;
	k->freed = p;
	mt_poison(p, k->size);
	if (!k->at)
		add(h, k);
	if (--k->held)
		return;
	leave(k);
	h->pages--;
	mapped_pages--;
	mt_unpoison(k->data, DATA_SIZE);
	(void)munmap(k, PAGE_SIZE);
}
