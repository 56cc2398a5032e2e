/* SPDX-License-Identifier: Apache-2.0 */
/* Typed values of expressions (mt_expr.h): of constants, and of the names that they are about. */
#pragma once

#include "mt_addr.h"

enum mt_value_type {
	MT_VALUE_UNKNOWN, /* not known yet */
	MT_VALUE_ABSENT,  /* known: there is none */
	MT_VALUE_ERROR,	  /* it cannot be computed, or compared */
	MT_VALUE_BOOL,
	MT_VALUE_INT,
	MT_VALUE_NUMBER,
	MT_VALUE_TEXT,
	MT_VALUE_ADDR,
};

struct mt_value {
	enum mt_value_type type;
	union {
		bool yes;
		int64_t n; /* INT; times in ns */
		double real;
		struct mt_slice text; /* bytes of the value's owner */
		struct mt_addr addr;
	};
};

static inline struct mt_value mt_value_bool(bool yes)
{
	return (struct mt_value){MT_VALUE_BOOL, {.yes = yes}};
}
