/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that list what workers hold (connections, calls, flows): rows are selected by an
 * expression over fields and columns, sorted by `top`, and limited (show/select.c).
 */
#pragma once

#include "ask.h"
#include "names.h"

struct mt_select_row {
	uint64_t key; /* sort key, largest first */
	uint16_t worker;
	struct mt_rate rate; /* connections only, like `use` */
	struct mt_conn_use use;
	const char *service, *cluster; /* NULL: unknown */
	union {
		struct mt_tcp_info conn;
		struct mt_record call;
		struct mt_l4_flow flow;
	};
};

/* Values of a row's fields, and texts among them. */
struct mt_select_values {
	struct mt_expr_values fields;
	struct mt_record_texts made;
};

/* Fills a row, and the values of its fields, from row i of a worker's copy. */
typedef void mt_select_fill_fn(struct mt_ctl *c, const struct mt_ask *a, uint32_t i,
	struct mt_select_row *r, struct mt_select_values *v);

/* An order of rows that is not that of a field. */
struct mt_select_order {
	const char *name, *help;
	uint64_t (*key)(const struct mt_select_row *r);
};

struct mt_select_kind {
	const char *name; /* member of the answer */
	enum mt_ask_what what;
	uint64_t fields; /* of expressions */
	mt_select_fill_fn *fill;
	void (*add)(json_t *list, const struct mt_select_row *r);
	/* Texts of struct mt_record are cut, so values of the expression are, too. */
	bool cut;
	/*
	 * Words that may follow `top`: fields, or these orders, which end with a row without a name.
	 * Without `top` rows have the order of the field `sorted`; MT_EXPR_N_FIELDS: none.
	 */
	uint64_t tops;
	const struct mt_select_order *orders;
	enum mt_expr_field sorted;
};

/* Returns the answer to a command; it may be an error. */
json_t *mt_select(struct mt_ctl *c, const struct mt_request *r, const struct mt_select_kind *kind);
/* Offers what may follow the words of the request. */
void mt_select_offer(struct mt_ctl *c, const struct mt_request *r,
	const struct mt_select_kind *kind, struct mt_offers *o);
/* "ADDRESS:PORT"; "-": there is no address. */
json_t *mt_select_place(const struct mt_addr *a, uint16_t port);
