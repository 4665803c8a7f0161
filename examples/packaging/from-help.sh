#!/bin/sh
# from-help.sh man|bash|zsh PROGRAM [VERSION]: the man page, or shell completion, from what the command line
# prints as its help, so that nothing is written twice.
set -eu

form=$1 program=$2 version=${3:-}
# A command stands as "  sessrec NAME   what it does", an option as "  --name VALUE   what it means".
commands=$("$program" help | awk '/^  sessrec / { print $2 }')

man_page() {
    # In roff a backslash, and a point or a quote that begins a line, mean something else.
    escaped() { sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^[.']/\\\\\&&/"; }
    printf '.TH SESSREC 1 "" "sessrec %s" "User Commands"\n.SH NAME\n' "$version"
    printf 'sessrec \\- session\\-based recommendation\n'
    printf '.SH SYNOPSIS\n.B sessrec\n.I command\n[options]\n.SH COMMANDS\n.nf\n'
    "$program" help | awk '/^  sessrec /' | escaped
    printf '.fi\n'
    for command in $commands; do
        printf '.SH "sessrec %s"\n.nf\n' "$command"
        "$program" help "$command" | escaped
        printf '.fi\n'
    done
    printf '.SH EXIT STATUS\n0 success, 1 data that cannot be used, 2 wrong usage.\n'
}

options() { "$program" help "$1" | awk '$1 ~ /^--?[a-z]/ { print $1 }' | sort -u | tr '\n' ' '; }

bash_completion() {
    printf '_sessrec() {\n    local words file=${COMP_WORDS[COMP_CWORD]}\n    case ${COMP_WORDS[1]} in\n'
    for command in $commands; do printf '    %s) words="%s" ;;\n' "$command" "$(options "$command")"; done
    # shellcheck disable=SC2016
    printf '    *) words="" ;;\n    esac\n    [ "$COMP_CWORD" -gt 1 ] || words="%s help"\n' \
        "$(echo $commands)"
    # shellcheck disable=SC2016
    printf '    COMPREPLY=($(compgen -W "$words" -- "$file") $(compgen -f -- "$file"))\n}\n'
    printf 'complete -o filenames -F _sessrec sessrec\n'
}

zsh_completion() {
    printf '#compdef sessrec\nif (( CURRENT == 2 )); then\n    compadd -- %s help\n    return\nfi\n' \
        "$(echo $commands)"
    # shellcheck disable=SC2016
    printf 'case $words[2] in\n'
    for command in $commands; do printf '%s) compadd -- %s ;;\n' "$command" "$(options "$command")"; done
    printf 'esac\n_files\n'
}

case $form in
man) man_page ;;
bash) bash_completion ;;
zsh) zsh_completion ;;
*) echo "usage: from-help.sh man|bash|zsh PROGRAM [VERSION]" >&2; exit 2 ;;
esac
