/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions in CEL. The first byte chooses the value of `test.arg`, whose text is the expression itself. An error names a column of the
 * expression; an evaluation takes at most as many steps as there are instructions, and gives the same result again.
 */
#include "fuzz.h"

#include "../unit/cel/attributes.h"

#include <string.h>

static struct mt_cel_value arg_of(uint8_t kind, const uint8_t *p, size_t n)
{
	struct mt_slice text = {p, (uint32_t)n};
	double real = 0;

	switch (kind % 8) {
	case 0:
		return mt_cel_text(text);
	case 1:
		return (struct mt_cel_value){.type = MT_CEL_BYTES, .text = text};
	case 2:
		memcpy(&real, p, MT_MIN(n, sizeof(real)));
		return (struct mt_cel_value){.type = MT_CEL_DOUBLE, .real = real};
	case 3:
		return mt_cel_int((int64_t)n - kind);
	case 4:
		return (struct mt_cel_value){
			.type = MT_CEL_TIMESTAMP, .n = (int64_t)n * kind, .ns = kind};
	case 5:
		return (struct mt_cel_value){.type = MT_CEL_DURATION, .n = -(int64_t)n * kind};
	case 6:
		return (struct mt_cel_value){.type = MT_CEL_ABSENT};
	default:
		return (struct mt_cel_value){.type = MT_CEL_ERROR, .why = "an error"};
	}
}

static void check_value(const struct mt_cel *cel, const struct mt_cel_value *v)
{
	MT_ASSERT(v->type != MT_CEL_DYN && v->type != MT_CEL_ABSENT);
	if (v->type == MT_CEL_ERROR) {
		MT_ASSERT(v->why && v->why[0] && v->column > 0 && v->column <= MT_CEL_TEXT + 1);
		return;
	}
	/* What the checker found out is so, but a missing time is null. */
	MT_ASSERT(mt_cel_result(cel) == MT_CEL_DYN || mt_cel_result(cel) == v->type ||
		  v->type == MT_CEL_NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mt_cel_frame frame;
	struct mt_cel_value arg, v, again;
	struct mt_err e = {""};
	struct mt_cel *cel;

	if (size == 0)
		return 0;
	cel = mt_cel_new((const char *)data + 1, size - 1, &cel_attributes, &e);
	if (!cel) {
		MT_ASSERT(strncmp(e.text, "column ", 7) == 0);
		return 0;
	}
	arg = arg_of(data[0], data + 1, size - 1);
	v = mt_cel_run(cel, &frame, &arg);
	MT_ASSERT(frame.steps <= mt_cel_steps(cel) && mt_cel_steps(cel) <= MT_CEL_CODE);
	check_value(cel, &v);
	again = mt_cel_run(cel, &frame, &arg);
	MT_ASSERT(again.type == v.type && again.column == v.column);
	mt_cel_free(cel);
	return 0;
}
