#!/usr/bin/env bash
# What a user's clean build pays for each: crates, and seconds for the development and the release profile.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export CARGO_TARGET_DIR="$place/target"

measure() { # NAME DEPENDENCIES
    mkdir -p "$place/$1/src"
    printf '[package]\nname = "user"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\n%b\n[workspace]\n' "$2" >"$place/$1/Cargo.toml"
    echo 'fn main() {}' >"$place/$1/src/main.rs"
    cd "$place/$1"
    cargo fetch --quiet
    crates=$(cargo tree --edges normal,build --prefix none --no-dedupe | sort -u | tail -n +2 | wc -l)
    seconds=
    for profile in dev release; do
        rm -rf "$CARGO_TARGET_DIR"
        start=$(date +%s%N)
        cargo build --quiet --offline --profile "$profile"
        seconds+=" $profile $((($(date +%s%N) - start) / 10000000))"
    done
    read -r _ dev _ release <<<"$seconds"
    printf '%-36s %3d crates  dev %5.2f s  release %5.2f s\n' "$1" "$crates" "$(bc <<<"scale=2; $dev / 100")" "$(bc <<<"scale=2; $release / 100")"
}

measure guard-runtime "guard-runtime = { path = \"$root/guard-runtime\" }\nlog = \"0.4\""
measure flexi_logger 'flexi_logger = "0.31"\nlog = "0.4"'
measure log4rs 'log4rs = "1.4"\nlog = "0.4"'
measure tracing-appender 'tracing = "0.1"\ntracing-subscriber = "0.3"\ntracing-appender = "0.2"'
