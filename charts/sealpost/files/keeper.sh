#!/bin/bash
# Beside each member of the replica set. `prepare`, before mongod starts: its key file, and certificate and key in one
# file. `keep`: the same again whenever they change, and then keeper.js, until it has succeeded.
set -u
umask 077

prepare() {
  cat /tls/tls.crt /tls/tls.key > /run/mongodb/tls.pem.new &&
    mv /run/mongodb/tls.pem.new /run/mongodb/tls.pem &&
    cat /secrets/keyfile > /run/mongodb/keyfile.new &&
    mv /run/mongodb/keyfile.new /run/mongodb/keyfile
}

if [ "$1" = prepare ]; then
  prepare
  exit
fi

done=
pause=2
while true; do
  wanted=$(cat /tls/* /secrets/* | sha256sum)
  if [ "$wanted" != "$done" ]; then
    if prepare && timeout 120 mongosh --quiet --norc --nodb --file /scripts/keeper.js; then
      done=$wanted
      pause=30
    else
      pause=$((pause < 30 ? pause * 2 : 30))
    fi
  fi
  sleep "$pause" &
  wait $!
done
