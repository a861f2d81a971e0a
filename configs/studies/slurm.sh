#!/usr/bin/env bash
# A study as a SLURM array, a share of its runs a task; then the table, once, when all are done:
#     sbatch --array=1-6 configs/studies/slurm.sh configs/studies/ant-small.yaml
#     ./dev hebbes study configs/studies/ant-small.yaml
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --signal=B:TERM@60
set -euo pipefail
exec build/release/hebbes study "$1" --task "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --jobs 1 --threads "$SLURM_CPUS_PER_TASK"
