/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list with a sentinel head. A node that is on no list points to itself. */
#pragma once

#include "mt_base.h"

struct mt_list {
	struct mt_list *next, *prev;
};

static inline void mt_list_init(struct mt_list *l)
{
	l->next = l->prev = l;
}

static inline bool mt_list_empty(const struct mt_list *l)
{
	return l->next == l;
}

/* True if a node is on a list. */
static inline bool mt_list_linked(const struct mt_list *n)
{
	return n->next != n;
}

static inline void mt_list_insert_after(struct mt_list *pos, struct mt_list *n)
{
	n->next = pos->next;
	n->prev = pos;
	pos->next->prev = n;
	pos->next = n;
}

static inline void mt_list_add(struct mt_list *head, struct mt_list *n)
{
	mt_list_insert_after(head, n);
}

static inline void mt_list_add_tail(struct mt_list *head, struct mt_list *n)
{
	mt_list_insert_after(head->prev, n);
}

/* Unlinks the node, which points to itself then. Allowed for a node that is on no list. */
static inline void mt_list_del(struct mt_list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	mt_list_init(n);
}

/* Moves all of `from`, which is not empty, to the end of `to`; `from` is empty then. */
static inline void mt_list_splice_tail(struct mt_list *to, struct mt_list *from)
{
	from->next->prev = to->prev;
	from->prev->next = to;
	to->prev->next = from->next;
	to->prev = from->prev;
	mt_list_init(from);
}

static inline struct mt_list *mt_list_first(struct mt_list *head)
{
	return mt_list_empty(head) ? NULL : head->next;
}

#define mt_list_entry(ptr, type, member) mt_container_of(ptr, type, member)
#define mt_list_foreach(n, head)	 for (n = (head)->next; n != (head); n = n->next)
/* `n` may be unlinked or freed inside the body. */
#define mt_list_foreach_safe(n, tmp, head)                                                         \
	for (n = (head)->next, tmp = n->next; n != (head); n = tmp, tmp = n->next)
