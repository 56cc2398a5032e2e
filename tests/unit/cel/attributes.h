/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes of the vectors (tests/vectors/cel/generator/attributes.go), and two that cel-go has not. */
#pragma once

#include "mt_cel.h"

extern const struct mt_cel_attributes cel_attributes;
