/* SPDX-License-Identifier: Apache-2.0 */
/* A codec file in the place of awesomeRPC's native codec (--codec-file), for all SAFE protocols. */
#pragma once

#include "mt_codec_table.h"

/* Reads the file, once, before the first seed. False: it has mistakes, which are printed. */
bool sim_codec_file_read(const char *path);
/* NULL: none was read. */
const struct mt_codec_table *sim_codec_file(void);
