#!/bin/sh
# What the container runs. Without a token: whoever opens the Space may use it, within the limits of `zoo ui --public`.
set -- --public --host 0.0.0.0 --port @PORT@ --no-browser --device auto --allow-host "${SPACE_HOST:-localhost}"
for model in @MODELS@; do
  set -- "$@" --models "$model"
done
exec python -m zoo ui "$@"
