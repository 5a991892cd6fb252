#!/bin/bash
# Starts a real S3 endpoint on loopback: one Ceph monitor, one in-memory OSD and radosgw.
# usage: radosgw.sh start DIR PORT | stop DIR
#   Needs Debian's packages radosgw, ceph-mon, ceph-osd, ceph-common, uuid-runtime and curl. Listens at
#   http://127.0.0.1:PORT (its monitor at the two ports above), access key AK, secret key SK; DIR is
#   wiped at start. Ready after some 15 s.
# Known gaps of this server: it refuses a quoted If-Match, ignores If-Match of a DELETE, and answers
# bodies of unknown length with 411.
set -eu
verb=${1:?start or stop}; dir=$(realpath -m "${2:?a folder}"); port=${3:-0}
if [[ $verb == stop ]]; then
  for pid in "$dir"/*.pid; do [[ -f $pid ]] && kill "$(cat "$pid")" 2>/dev/null || true; done
  exit 0
fi
mon2=$((port + 1)) mon1=$((port + 2))
rm -rf "$dir"; mkdir -p "$dir"/{mon,osd/0,rgw,run}
fsid=$(uuidgen)
cat > "$dir/ceph.conf" <<C
[global]
fsid=$fsid
mon host=[v2:127.0.0.1:$mon2,v1:127.0.0.1:$mon1]
public addr=127.0.0.1
cluster addr=127.0.0.1
ms bind msgr2=true
auth cluster required=none
auth service required=none
auth client required=none
auth supported=none
osd pool default size=1
osd pool default min size=1
osd pool default pg num=8
osd pool default pgp num=8
osd pool default pg autoscale mode=off
osd crush chooseleaf type=0
osd objectstore=memstore
memstore device bytes=2147483648
mon allow pool size one=true
mon warn on pool no redundancy=false
mon max pg per osd=2000
mon data avail crit=1
osd class dir=/usr/lib/x86_64-linux-gnu/rados-classes
osd class load list=*
osd class default list=*
rgw rados pool pg num min=8
rgw thread pool size=64
ms mon client mode=crc
ms mon cluster mode=crc
ms mon service mode=crc
run dir=$dir/run
admin socket=$dir/run/\$name.asok
log file=$dir/\$name.log
log to stderr=false
mon cluster log file=$dir/cluster.log
C
export CEPH_CONF=$dir/ceph.conf
conf=(-c "$dir/ceph.conf")
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon2,v1:127.0.0.1:$mon1]" "$dir/monmap" >/dev/null
ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
ceph-mon "${conf[@]}" --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring" --mon-data "$dir/mon"
ceph-mon "${conf[@]}" -i a --mon-data "$dir/mon" -f >"$dir/mon.out" 2>&1 & echo $! >"$dir/mon.pid"
sleep 1
osd=$(uuidgen)
timeout 20 ceph "${conf[@]}" osd new "$osd" >/dev/null
ceph-osd "${conf[@]}" -i 0 --mkfs --osd-uuid "$osd" --osd-data "$dir/osd/0" >"$dir/osd-mkfs.out" 2>&1
ceph-osd "${conf[@]}" -i 0 --osd-data "$dir/osd/0" -f >"$dir/osd.out" 2>&1 & echo $! >"$dir/osd.pid"
for _ in $(seq 40); do timeout 10 ceph "${conf[@]}" osd stat 2>/dev/null | grep -q '1 up' && break; sleep .5; done
timeout 60 radosgw-admin "${conf[@]}" user create --uid=t --display-name=t --access-key=AK --secret-key=SK >"$dir/user.json" 2>"$dir/user.err"
radosgw "${conf[@]}" -n client.admin --ms_mon_client_mode=crc --auth_client_required=none \
  --rgw-frontends="beast endpoint=127.0.0.1:$port tcp_nodelay=1" --rgw-data="$dir/rgw" -f >"$dir/rgw.out" 2>&1 & echo $! >"$dir/rgw.pid"
for _ in $(seq 120); do curl -s -o /dev/null "http://127.0.0.1:$port/" && { echo "ready http://127.0.0.1:$port AK SK"; exit 0; }; sleep .5; done
echo "radosgw did not answer on port $port; see $dir" >&2
exit 1
