/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "../codec/codec_test.h"
#include "mt_codecfile.h"

extern const struct mt_test frames_tests[], tiny_tests[], mistakes_tests[];
