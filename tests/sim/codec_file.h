/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codec files (--codec-file): one with calls that share connections takes the place of all protocols
 * with such calls, and one with serial calls that of the others.
 */
#pragma once

#include "mt_codec_table.h"

/*
 * Reads a file, before the first seed; one of each sort at most. False: it has mistakes, which are
 * printed, or the simulator does not speak its protocol.
 */
bool sim_codec_file_read(const char *path);
/* NULL: none of this sort was read. */
const struct mt_codec_table *sim_codec_file(bool serial);
