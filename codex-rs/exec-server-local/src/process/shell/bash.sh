[[ -z ${BASH_ENV-} && -n ${HOME-} && -r $HOME/.bashrc ]] && \builtin . "$HOME/.bashrc"
\builtin trap - EXIT
\builtin printf '%s\0' 'NONCE'
\builtin set +o
\builtin set +efuvx +o noclobber
\builtin printf '\0'
\builtin shopt -p
\builtin printf '\0umask '
\builtin umask
\builtin printf '\0'
\builtin declare -f
\builtin printf '\0'
\builtin mapfile -t __snapshot_names < <(\builtin compgen -v)
for __snapshot_name in "${__snapshot_names[@]}"; do
  case $__snapshot_name in
    __snapshot_* | _ | BASH | BASH[A-Z_]* | COLUMNS | COMP_* | DIRSTACK | EPOCH* | EUID | FUNCNAME | GROUPS | HISTCMD | \
      HOST* | LINENO | LINES | MACHTYPE | MAPFILE | OLDPWD | OPT* | OSTYPE | PIPESTATUS | PPID | PS4 | PWD | RANDOM | \
      READLINE_* | REPLY | SECONDS | SHELLOPTS | SHLVL | SRANDOM | UID) \builtin continue ;;
  esac
  [[ ${!__snapshot_name@a} == *x* ]] && \builtin continue
  [[ $__snapshot_name == IFS ]] || \builtin printf '[[ -v %s ]] || ' "$__snapshot_name"
  \builtin declare -p "$__snapshot_name"
done 2>/dev/null
\builtin printf '\0'
\builtin alias -p
\builtin printf '\0'
if [[ -x /usr/bin/env ]]; then /usr/bin/env -0; else /bin/env -0; fi
\builtin printf '%s' 'NONCE'
