/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The pass phrase for OpenSSL's PEM_read_...(): what is encrypted, be it a certificate, must not ask for one at a terminal or of standard
 * input, and wait.
 */
#define MT_PEM_NO_PASSWORD ""
