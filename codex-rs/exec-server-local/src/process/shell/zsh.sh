[[ -r ${ZDOTDIR:-${HOME-}}/.zshrc ]] && \builtin source "${ZDOTDIR:-${HOME-}}/.zshrc"
\builtin trap - EXIT
zshexit_functions=()
\builtin unfunction zshexit 2>/dev/null
\builtin printf '%s\0' 'NONCE'
\builtin setopt
\builtin emulate -R zsh
\builtin printf '\0umask '
\builtin umask
\builtin printf '\0'
\builtin print -r -- "fpath=( ${(@qq)fpath} )"
\builtin printf '\0'
\builtin typeset -f
\builtin printf '\0'
\builtin alias -L
\builtin printf '\0'
if [[ -x /usr/bin/env ]]; then /usr/bin/env -0; else /bin/env -0; fi
\builtin printf '%s' 'NONCE'
