#!/bin/sh
# Trains every learner that branches with five seeds on two families and compares them with SCIP's
# rules on instances that nobody has trained on; then the ablations of the learner of revived
# trajectories. About an hour and a half on two cores.
#
#     sh examples/evidence/branching.sh runs/branching
set -e
out=${1:-runs/branching}
export OMP_NUM_THREADS=1
rules=pscost,mostinf,relpscost,fullstrong,vanillafullstrong

learn() { # LEARNER FOLDER SEED ARGUMENTS...
  learner=$1 folder=$2 seed=$3
  shift 3
  rewardloom branching "$learner" --seed "$seed" --out "$out/$folder-$seed" --no-progress "$@"
}

compare() { # TABLE FAMILY GROUPS ARGUMENTS...
  table=$1 family=$2 names=$3
  shift 3
  groups=
  for name in $names; do groups="$groups --group $name=$out/$name-$family-[0-4]"; done
  # shellcheck disable=SC2086
  rewardloom evaluate $groups --reference pscost --out "$out/$table" "$@"
}

for seed in 0 1 2 3 4; do
  for family in set_cover combinatorial_auction; do
    rewardloom train rewardloom:rewardloom/MilpBranching-v0 --world-set family=$family \
      --world-set horizon=1000 --steps 20480 --num-envs 8 --seed $seed \
      --out "$out/ppo-$family-$seed" --no-progress
  done
  learn imitation imitation-combinatorial_auction $seed --family combinatorial_auction
  learn imitation imitation-set_cover $seed --family set_cover --set decisions=1200
  learn reinforce reinforce-combinatorial_auction $seed --family combinatorial_auction
  learn reinforce reinforce-set_cover $seed --family set_cover --world-set horizon=1000
done
compare table-set_cover set_cover "imitation reinforce" \
  --rules $rules --instances set_cover:tiny:10 --solver-seeds 5 --node-limit 10000
compare table-combinatorial_auction combinatorial_auction "imitation reinforce ppo" \
  --rules $rules --instances combinatorial_auction:tiny:20 --solver-seeds 5 --node-limit 10000

spread='redistribution={"mode":"softmax","score":"info:dual_gain","sign":"blame"}'
revived() { # NAME SEED ARGUMENTS...
  name=$1 seed=$2
  shift 2
  learn revived "$name-combinatorial_auction" "$seed" --family combinatorial_auction \
    --set decisions=2500 "$@"
}
for seed in 0 1 2 3 4; do
  revived revived $seed
  revived revived-nohistory $seed --set history=false
  revived revived-dual $seed --set "$spread"
  revived revived-steps $seed --set targets=steps
  revived revived-steps-dual $seed --set targets=steps --set "$spread"
done
compare table-revived combinatorial_auction \
  "revived revived-nohistory revived-dual revived-steps revived-steps-dual" \
  --rules pscost --instances combinatorial_auction:tiny:10 --solver-seeds 3 --node-limit 2000
