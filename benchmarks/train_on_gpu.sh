#!/usr/bin/env bash
# Trainings that are worth minutes of a GPU: faces at 256 px by the recipe of the embedded weights, SC-GAN and CLVAE at official width.
#
#   benchmarks/train_on_gpu.sh DATA RUNS MINUTES [NAME…]
#
# DATA: the folder of CelebAMask-HQ pairs; RUNS: where the runs lie. Each training gets an equal share of MINUTES and is told to stop
# before they are over; the same call again goes on where it stopped, and a finished one is left alone. DEVICE (cuda) and EXTRA (more
# arguments of zoo train) are taken from the environment. A try on a CPU before a GPU is lent:
#   DEVICE=cpu EXTRA="--set batch_size=2 --set statistics_maps=2 --set steps=2" benchmarks/train_on_gpu.sh DATA /tmp/try 10
set -euo pipefail
data=$1 runs=$2 minutes=$3
shift 3
names=("${@:-}")
[ -n "${names[0]}" ] || names=(spade-celeba-256 spade-finer-celeba scgan-celeba-512 clvae-celeba-256)
: "${DEVICE:=cuda}" "${EXTRA:=}"
recipe=(--set features=lite0-wide --set pixel_width=32 --set ema=0.995 --set lambda_mmd=30 --set mmd_features=lite1,lite2 --set mmd_regions=3 --set zoom=0 --set precision=auto --set validate_every=0 --set preview_every=0 --set save_every=200)
projected=(--set discriminator=projected --set lambda_feat=0 --set perceptual=none --set lambda_features=2 --set lambda_l1=2 --set prior_half=true
  --set lr=2e-4 --set lr_d=4e-4 --set beta1=0 --set beta2=0.99 --set ttur=false --set diffaugment=true --set share_fake=true --set decay_last=0.3
  --set statistics_maps=240 --set publish=last --set flip=true --set batch_size=8)

settings() {
  case $1 in
    spade-celeba-256) echo spade/celeba-256-projected --init spade-celeba --set batch_size=12 --set steps=8000 "${recipe[@]}" ;;
    spade-finer-celeba) echo spade-finer/celeba-256 --init spade-celeba --set batch_size=12 --set steps=4000 --set precision=auto ;;
    scgan-celeba-512) echo scgan/celeba "${projected[@]}" --set steps=4000 "${recipe[@]}" ;;
    clvae-celeba-256) echo clvae/ade20k --space celebamask-hq "${projected[@]}" --set steps=4000 "${recipe[@]}" ;;
    *) echo "No training of the name $1 (spade-celeba-256, spade-finer-celeba, scgan-celeba-512, clvae-celeba-256)." >&2; return 2 ;;
  esac
}

share=$((minutes * 60 / ${#names[@]}))
for name in "${names[@]}"; do
  chosen=$(settings "$name")
  run=$runs/$name
  if [ -f "$run/model/README.md" ]; then
    echo "$name: finished, $run/model"
    continue
  fi
  if [ -f "$run/state.pt" ]; then
    command=(zoo train --resume "$run" --device "$DEVICE")
  else
    # shellcheck disable=SC2206  # words, on purpose
    command=(zoo train $chosen --data "celebamask-hq:$data" --out "$run" --device "$DEVICE" $EXTRA)
  fi
  echo "$name: ${command[*]}"
  # a training that is told to stop keeps its state (exit 130); one that is killed 60 s later has that of its last save
  timeout --signal=TERM --kill-after=60 "$share" "${command[@]}" || echo "$name: stopped with $?; the same call goes on"
done
