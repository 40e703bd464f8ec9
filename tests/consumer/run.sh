#!/usr/bin/env bash
# usage: tests/consumer/run.sh BUILD WAY
# WAY: pkgconfig, pkgconfig_static, cmake, cmake_static, cplusplus, headers or symbols.
# Installs BUILD into a temporary prefix, copies the consumer out of the tree, builds it the given
# way and runs it. It must answer "consumer: ok" and be linked to the library it asked for.
# cplusplus: a consumer in C++, through pkg-config. headers: each installed header compiles alone, as
# C and as C++, with warnings that programs are built with. symbols: the shared library shows public
# names and no others.
set -euo pipefail
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
case "${1-}" in -h | --help) usage; exit 0 ;; esac
[ $# -eq 2 ] || { usage >&2; exit 2; }
build=$1 way=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" > "$work/install.log"
cp -r "$here/program" "$work/program"
cd "$work"
pc=$(find prefix -name constellation.pc)
libdir=$work/$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH="$libdir/pkgconfig"
flags=(-std=gnu11 -Wall -Wextra -Wpedantic -Werror)

case "$way" in
headers)
    strict=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Wcast-qual -Werror
        -fsyntax-only -Iprefix/include)
    compilers=("cc c++")
    ! command -v clang-14 > /dev/null || compilers+=("clang-14 clang++-14")
    for header in prefix/include/constellation/*.h; do
        echo "#include <constellation/${header##*/}>" > alone.c
        cp alone.c alone.cc
        for pair in "${compilers[@]}"; do
            for std in c11 gnu11 c17; do
                "${pair% *}" -std=$std "${strict[@]}" -Wstrict-prototypes alone.c
            done
            for std in c++11 c++17 c++20; do
                "${pair#* }" -std=$std "${strict[@]}" -Wold-style-cast alone.cc
            done
        done
    done
    exit 0
    ;;
symbols)
    others=$(nm -D --defined-only "$libdir/libconstellation.so" | awk '$3 !~ /^cst_/ { print $3 }')
    [ -z "$others" ] || { echo "consumer: not public names: $others" >&2; exit 1; }
    exit 0
    ;;
pkgconfig)
    read -ra wanted <<< "$(pkg-config --cflags --libs constellation)"
    cc "${flags[@]}" program/main.c -o consumer "${wanted[@]}"
    ;;
cplusplus)
    read -ra wanted <<< "$(pkg-config --cflags --libs constellation)"
    c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror program/main.cc -o consumer "${wanted[@]}"
    ;;
pkgconfig_static)
    rm -f "$libdir"/libconstellation.so*
    read -ra wanted <<< "$(pkg-config --static --cflags --libs constellation)"
    cc "${flags[@]}" program/main.c -o consumer "${wanted[@]}"
    ;;
cmake | cmake_static)
    target=constellation::constellation
    [ "$way" = cmake ] || target=constellation::static
    cmake -S program -B build -DCMAKE_PREFIX_PATH="$work/prefix" -DCONSUMER_LIBRARY="$target" \
        > cmake.log
    cmake --build build >> cmake.log
    cp build/consumer consumer
    ;;
*)
    echo "consumer: unknown way '$way'" >&2
    exit 2
    ;;
esac

answer=$(LD_LIBRARY_PATH="$libdir" ./consumer)
echo "$answer"
[ "$(tail -n 1 <<< "$answer")" = "consumer: ok" ]
linked=$(LD_LIBRARY_PATH="$libdir" ldd consumer)
case "$way" in
*_static) ! grep -q libconstellation <<< "$linked" ;;
*) grep -q "$libdir/libconstellation.so.0" <<< "$linked" ;;
esac
