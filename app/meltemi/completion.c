/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion for bash, zsh and fish. The scripts contain no commands: they call `meltemi
 * --complete`, which queries the daemon, so that names of services and ports are completed, too.
 */
#include "words.h"

#include <stdio.h>
#include <string.h>

static const char bash[] = "_meltemi() {\n"
			   "\tlocal -a before=(); local i sock=() word\n"
			   "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
			   "\t\tcase ${COMP_WORDS[i]} in\n"
			   "\t\t-s|--socket) sock=(-s \"${COMP_WORDS[++i]}\") ;;\n"
			   "\t\t-*) ;;\n"
			   "\t\t*) before+=(\"${COMP_WORDS[i]}\") ;;\n"
			   "\t\tesac\n"
			   "\tdone\n"
			   "\tCOMPREPLY=()\n"
			   "\twhile IFS=$'\\t' read -r word _; do\n"
			   "\t\tCOMPREPLY+=(\"$word\")\n"
			   "\tdone < <(meltemi \"${sock[@]}\" --complete \"${before[@]}\" "
			   "\"${COMP_WORDS[COMP_CWORD]}\" 2>/dev/null)\n"
			   "\t[[ ${before[0]} == import ]] && compopt -o default 2>/dev/null\n"
			   "}\n"
			   "complete -F _meltemi meltemi\n";

static const char zsh[] = "#compdef meltemi\n"
			  "_meltemi() {\n"
			  "\tlocal -a found\n"
			  "\tfound=(${(f)\"$(meltemi --complete ${words[2,CURRENT-1]} "
			  "\"${words[CURRENT]}\" 2>/dev/null"
			  " | sed 's/:/\\\\:/g; s/\\t/:/')\"})\n"
			  "\t_describe command found\n"
			  "\t[[ ${words[2]} == import ]] && _files\n"
			  "}\n"
			  "compdef _meltemi meltemi\n";

static const char fish[] = "function __meltemi_words\n"
			   "\tset -l before (commandline -opc)[2..]\n"
			   "\tmeltemi --complete $before (commandline -ct) 2>/dev/null\n"
			   "end\n"
			   "complete -c meltemi -f -a '(__meltemi_words)'\n"
			   "complete -c meltemi -F -n '__fish_seen_subcommand_from import'\n";

int completion_script(const char *shell)
{
	static const struct {
		const char *name, *script;
	} t[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t i = 0; shell && i < MT_ARRAY_LEN(t); i++)
		if (strcmp(t[i].name, shell) == 0) {
			fputs(t[i].script, stdout);
			return EXIT_DONE;
		}
	fprintf(stderr, "meltemi: usage: completion bash|zsh|fish\n");
	return EXIT_USAGE;
}
