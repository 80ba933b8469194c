# bash completion for dicomd

_dicomd() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words=''
    case ${COMP_WORDS[COMP_CWORD - 1]} in
        --config | --socket | -lc | -xf | -od)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='run check recv move profile status reload stop jobs verify index schema'
    else
        case $verb in
            run) words='--config --help' ;;
            schema) words='--help' ;;
            check) words='--config --print --help' ;;
            status) words='--config --socket --json --watch --help' ;;
            reload) words='--config --socket --dry-run --json --help' ;;
            stop) words='--config --socket --now --help' ;;
            verify) words='--config --study --json --help' ;;
            index) [ "$COMP_CWORD" -eq 2 ] && words='rebuild' || words='--config --help' ;;
            profile)
                [ "$COMP_CWORD" -eq 2 ] && words='show convert diff' || words='--json --uids --to --output --help'
                ;;
            jobs)
                if [ "$COMP_CWORD" -eq 2 ]; then
                    words='list show run pause resume cancel retry history'
                else
                    words='--config --socket --json --dry-run --limit --help'
                fi
                ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    if [ "$verb" = profile ] && [ "$COMP_CWORD" -gt 2 ]; then
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -F _dicomd dicomd
