#!/bin/sh
# Copy complete versions of a model from an object store to a folder, again and again.
#
# A version is complete when it has a saved_model.pb, which is pushed last. It is copied
# under a hidden name and then renamed: a server sees all of it or nothing. Versions that
# are not among the newest SYNC_KEEP are removed. If the store is away, nothing changes.
#
# SYNC_SOURCE     what rclone calls the model's folder, as store:bucket/graft
# SYNC_TARGET     folder to copy to
# SYNC_HEARTBEAT  file that is touched after each round
# SYNC_SECONDS    pause between rounds; 0: one round, and its exit status
# SYNC_KEEP       number of versions to hold
set -u

complete_versions() {
  listing=$(rclone lsf --recursive --files-only --include '/*/saved_model.pb' \
    "$SYNC_SOURCE") || return 1
  printf '%s\n' "$listing" | sed -n 's,^\([0-9][0-9]*\)/saved_model\.pb$,\1,p' | sort -n
}

sync_once() {
  versions=$(complete_versions) || return 1
  # An empty list may be a wrong path or a bad moment: never empty the folder for it.
  [ -n "$versions" ] || { echo "no complete version in $SYNC_SOURCE" >&2; return 1; }
  wanted=$(printf '%s\n' "$versions" | tail -n "$SYNC_KEEP")
  mkdir -p "$SYNC_TARGET" || return 1
  for version in $wanted; do
    [ -d "$SYNC_TARGET/$version" ] && continue
    rclone sync "$SYNC_SOURCE/$version" "$SYNC_TARGET/.$version.partial" || return 1
    [ -f "$SYNC_TARGET/.$version.partial/saved_model.pb" ] || return 1
    mv "$SYNC_TARGET/.$version.partial" "$SYNC_TARGET/$version" || return 1
    echo "version $version is here"
  done
  for folder in "$SYNC_TARGET"/[0-9]*; do
    version=${folder##*/}
    printf '%s\n' "$wanted" | grep -qx "$version" && continue
    mv "$folder" "$SYNC_TARGET/.$version.removed" || return 1
    echo "version $version is gone"
  done
  rm -rf "$SYNC_TARGET"/.*.removed
}

while :; do
  sync_once
  status=$?
  touch "$SYNC_HEARTBEAT"
  [ "$SYNC_SECONDS" = 0 ] && exit "$status"
  sleep "$SYNC_SECONDS"
done
