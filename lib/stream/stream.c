/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_stream.h"

const char *mt_close_reason_str(enum mt_close_reason r)
{
	static const char *const words[MT_CLOSE_N_REASONS] = {
		[MT_CLOSE_OK] = "closed",
		[MT_CLOSE_RESET] = "reset by peer",
		[MT_CLOSE_REFUSED] = "connection refused",
		[MT_CLOSE_CONNECT_TIMEOUT] = "connect timeout",
		[MT_CLOSE_TIMEOUT] = "peer does not answer",
		[MT_CLOSE_UNREACHABLE] = "host unreachable",
		[MT_CLOSE_NO_SOURCE_PORT] = "no source port",
		[MT_CLOSE_NO_MEMORY] = "no memory",
		[MT_CLOSE_LOCAL] = "closed by Meltemi",
		[MT_CLOSE_HANDSHAKE] = "handshake failed",
		[MT_CLOSE_BUSY] = "no thread was free for its handshake",
	};

	return r < MT_CLOSE_N_REASONS ? words[r] : "unknown";
}
