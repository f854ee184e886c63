#!/bin/sh
# Plays the campaign and puts its table into docs/campaign.md, between the markers
# <!-- campaign:begin --> and <!-- campaign:end -->. Run it again after every change of the core.
#
#   scripts/figures.sh [SEEDS]      25 runs of each scenario by default: some 26 million readings
set -eu
cd "$(dirname "$0")/.."
seeds=${1:-25}
figures=docs/campaign.md
table=$(mktemp)
page=$(mktemp)
trap 'rm -f "$table" "$page"' EXIT

status=0
cargo run --quiet --release -p epsilon-clock-sim --bin campaign -- --seeds "$seeds" >"$table" || status=$?
cat "$table"
if [ "$status" -ne 0 ]; then
    echo "the campaign is not as expected; $figures is left alone" >&2
    exit "$status"
fi
for marker in '<!-- campaign:begin -->' '<!-- campaign:end -->'; do
    if [ "$(grep -cxF -- "$marker" "$figures")" -ne 1 ]; then
        echo "$figures has no single line $marker: nothing was changed" >&2
        exit 1
    fi
done
awk -v table="$table" '
    $0 == "<!-- campaign:end -->" { inside = 0 }
    !inside { print }
    $0 == "<!-- campaign:begin -->" {
        inside = 1
        while ((getline line < table) > 0) print line
    }
' "$figures" >"$page"
cat "$page" >"$figures"
