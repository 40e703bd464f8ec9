# bash completion for constellation(1)
_constellation() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local verb="" sub="" index words files="" common="--json --quiet --log-level --help"
    for ((index = 1; index < COMP_CWORD; index++)); do
        case ${COMP_WORDS[index]} in
        -*) ;;
        *)
            if [ -z "$verb" ]; then
                verb=${COMP_WORDS[index]}
            else
                sub=${sub:-${COMP_WORDS[index]}}
            fi
            ;;
        esac
    done
    case $previous in
    --format) words="ndjson csv" ;;
    --log-level) words="error warning info debug" ;;
    --schema | --rows | --seed | --skew | --entries | --batch | --rounds | --seconds | --partitions | --key | --prefix | --as-of | --stage | \
        --keep) words="" ;;
    *)
        case $verb/$sub in
        /) words="run check checkpoints keys device generate bench query recover version $common" ;;
        run/*)
            words="--rows --until-caught-up --takeover --accept-repeats --device --checkpoint-store
                $common" files="!*.toml"
            ;;
        check/*) words=$common files="!*.toml" ;;
        checkpoints/) words="list show verify fold gc repair-orphans $common" ;;
        checkpoints/gc) words="--keep --dry-run --offline file: $common" ;;
        checkpoints/fold | checkpoints/repair-orphans) words="--offline file: $common" ;;
        checkpoints/show | checkpoints/verify) words="newest file: $common" ;;
        checkpoints/*) words="file: $common" ;;
        query/*)
            words="--key --prefix --as-of --stage --checkpoint-store $common" files="!*.toml"
            ;;
        recover/*) words="--from-listing --accept-repeats file: $common" ;;
        keys/) words="encode decode hash $common" ;;
        keys/hash) words="--key $common" ;;
        keys/*) words="--schema $common" ;;
        device/) words="list probe selftest emulate $common" ;;
        device/list) words=$common ;;
        device/emulate) words="--card u55c --cards --units -- $common" ;;
        device/*) words="cpu: cpu:scalar cpu:avx2 cpu:avx512 sim: opencl: xrt:0 $common" ;;
        generate/) words="bids orders uniform zipf one-key" ;;
        generate/*)
            words="--rows --skew --keys --seed --first-row --format --no-header $common"
            ;;
        bench/*)
            words="machine codec hash state barrier delta fold growth align parse published
                recovery job checkpoint window unaligned wal source rtl opencl offload s3 --list
                --peers --entries --batch --schema --keys --device --skew --rounds
                --seconds --partitions --seed --store --calibrate $common"
            ;;
        version/) words="--fault-points $common" ;;
        *) words=$common ;;
        esac
        ;;
    esac
    mapfile -t COMPREPLY < <(
        compgen -W "$words" -- "$current"
        [ -z "$files" ] || compgen -f -X "$files" -- "$current"
    )
    # A URI's colon splits words: offer only what stands behind it.
    if declare -F __ltrim_colon_completions > /dev/null; then
        __ltrim_colon_completions "$current"
    fi
}
complete -F _constellation constellation
