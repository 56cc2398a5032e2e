/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. */
#pragma once

#include "mt_buf.h"

/* libFuzzer's face. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* mbufs for targets that need them; made at the first call. */
struct mt_pools *fuzz_pools(void);

/* Aborts when mbufs are missing: a target ends with as many as it began. */
void fuzz_check_pools(void);

/* Appends data in mbufs of at most `piece` bytes. */
void fuzz_append(struct mt_chain *c, const uint8_t *data, uint32_t size, uint32_t piece);
