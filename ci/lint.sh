#!/usr/bin/env bash
# Formatting, and what the linters of Rust and of the shell have to say.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cargo fmt --all --check
# Packages with lock files of their own: peers to compare with, and what runs in User-Mode Linux.
cargo fmt --all --check --manifest-path benches/peers/Cargo.toml
cargo fmt --all --check --manifest-path fuzz/Cargo.toml
cargo fmt --all --check --manifest-path scripts/mutants/Cargo.toml
cargo fmt --all --check --manifest-path tests/elsewhere/Cargo.toml
cargo fmt --all --check --manifest-path tests/guest/Cargo.toml
cargo fmt --all --check --manifest-path tests/nts/Cargo.toml
# With examples/cluster, a member of its workspace.
cargo fmt --all --check --manifest-path examples/openraft/Cargo.toml
cargo fmt --all --check --manifest-path examples/etcd/Cargo.toml
cargo fmt --all --check --manifest-path examples/spanner/Cargo.toml

cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
# As its users build it: without dev-dependencies, which turn features on.
cargo clippy --locked --workspace --lib --bins -- -D warnings
cargo clippy --locked --manifest-path tests/guest/Cargo.toml --target-dir "$target/guest" \
    -- -D warnings
cargo clippy --locked --manifest-path tests/nts/Cargo.toml --target-dir "$target/nts" --all-targets \
    -- -D warnings
for engine in openraft etcd spanner; do
    cargo clippy --locked --manifest-path "examples/$engine/Cargo.toml" --target-dir "$target/engines" --all-targets \
        -- -D warnings
done

if have shellcheck; then
    shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR .ci/run ci/*.sh scripts/*.sh
else
    skip "the scripts' own linter: shellcheck is missing"
fi
