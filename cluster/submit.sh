#!/usr/bin/env bash
# Submit a whole study: prepare, an array of SHARDS jobs that train, and the notebooks once all of them have ended well.
# Every option goes to every sbatch: cluster/submit.sh --partition=gpu --gpus=1
set -euo pipefail
cd "$(dirname "$0")/.."
export SHARDS="${SHARDS:-8}" # every job of the array deals by it, also one that is submitted again by itself
prepare="$(sbatch --parsable "$@" cluster/study.sbatch prepare)"
array="$(sbatch --parsable "$@" --array="1-$SHARDS" --dependency="afterok:${prepare%%;*}" cluster/study.sbatch array)"
notebooks="$(sbatch --parsable "$@" --dependency="afterok:${array%%;*}" cluster/study.sbatch notebooks)"
echo "prepare ${prepare%%;*}, array ${array%%;*} (1-$SHARDS), notebooks ${notebooks%%;*}"
