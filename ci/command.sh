#!/usr/bin/env bash
# The command in use: what installing it costs, its figures and rules before Prometheus' own checker, and
# its page in a browser. The pictures stay in the target directory, to be looked at.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
shopt -s inherit_errexit

# In seconds of processor time; 60 are promised, on a machine with nothing else to do.
limit=90
made=$target/command
mkdir -p "$made"
export CARGO_TARGET_DIR=$made/install
rm -rf "$CARGO_TARGET_DIR"
TIMEFORMAT='%U %S'
used=$({ time cargo install --locked --quiet --force --path crates/epsilon-clock-cli \
    --root "$made" >&2; } 2>&1 | tee /dev/stderr | tail -n 1 | awk '{ printf "%d", $1 + $2 + 0.5 }')
echo "installed in $used s of processor time"
((used > 0 && used <= limit)) || fail "cargo install takes $used s of processor time"

rm -f "$made/address"
"$made/bin/epsilon" serve --listen 127.0.0.1:0 --assume-error 5ms >"$made/address" &
trap 'kill "$!"' EXIT
until [[ -s $made/address ]] || ! kill -0 "$!"; do sleep 0.1; done
page=$(<"$made/address")

promtool=$(command -v promtool || echo "$target/unpacked/prometheus/usr/bin/promtool")
if [[ -x $promtool ]]; then
    curl --silent --show-error --fail "${page}metrics" >"$made/metrics"
    "$promtool" check metrics <"$made/metrics"
    "$promtool" check rules docs/operate/alerts.yml
    "$promtool" test rules docs/operate/alerts.test.yml
else
    skip "the figures and the alerts before promtool: it is missing"
fi
# shot NAME OPTION…: a picture of the page; prints how often the page was asked for.
shot() {
    local name=$1 log=$made/$1.json; shift
    rm -rf "$made/profile" "$made/$name.png"; mkdir -p "$made/profile/Default"
    [[ $name != no-script ]] || echo '{"profile": {"default_content_setting_values": {"javascript": 2}}}' \
        >"$made/profile/Default/Preferences"
    # Whatever the browser itself wants of the world, it finds no other host than this.
    timeout 120 chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-sync \
        --disable-background-networking --host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' \
        --user-data-dir="$made/profile" --hide-scrollbars --window-size=900,2300 --timeout=4000 \
        --log-net-log="$log" --screenshot="$made/$name.png" "$@" "$page" 2>/dev/null
    [[ -s $made/$name.png ]] || fail "no picture: $name"
    jq -r '.events[].params | select(.initiator? and .url?) | "\(.initiator) \(.url)"' "$log" >"$log.asked"
    # What the page asks for, and not the browser.
    ! grep "^${page%/} " "$log.asked" | grep -v "^[^ ]* $page" || fail "the page asks elsewhere"
    grep -c " $page\$" "$log.asked"
}
if have chromium && have jq; then
    moving=$(shot light --blink-settings=preferredColorScheme=1)
    shot dark --blink-settings=preferredColorScheme=0 >/dev/null
    shot narrow --window-size=400,2900 >/dev/null
    still=$(shot no-script --blink-settings=preferredColorScheme=1)
    ((moving > 1 && still == 1)) || fail "asked for $moving times with a script, $still without"
    ls "$made"/*.png
else
    skip "the page in a browser: chromium or jq is missing"
fi
