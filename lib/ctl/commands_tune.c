/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about what would happen, and what an operator turns at run time. */
#include "explain.h"

const struct mt_command mt_commands_tune[] = {
	{.words = "explain",
		.args = "KEY=VALUE...",
		.help = "what a message would meet, without sending one",
		.more = "protocol=NAME service=NAME method=NAME src=ADDRESS listener=ADDRESS:PORT, "
			"and KEY=VALUE "
			"for any other metadata of the message (.KEY=VALUE where KEY is one of "
			"these words). Either "
			"protocol or listener has to be said. The answer names the listener, what "
			"each filter would "
			"do (no token is taken), the route and why earlier ones do not match, and "
			"how often each "
			"endpoint would come up, with the line of the document that decides each.",
		.run = mt_run_explain},
	{0},
};
