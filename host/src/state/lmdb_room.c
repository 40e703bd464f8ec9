#include "state/lmdb_room.h"

enum { GRANT_SHARE = 8 }; // of the room: its inverse

void csti_lmdb_room_begin(csti_lmdb_room *room, uint64_t pages) {
    *room = (csti_lmdb_room){.pages = pages};
    if (pages == UINT64_MAX) room->left = pages;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static bool grant(csti_lmdb_room *room, uint64_t pages, uint64_t tree_pages) {
    const uint64_t tree = larger(room->tree, tree_pages);
    const uint64_t taken = smaller(room->granted, tree + room->apart);
    const uint64_t free_pages = room->pages - smaller(room->pages, taken);
    const uint64_t granted = larger(pages, free_pages / GRANT_SHARE);

    if (pages > free_pages) return false;
    room->left = granted;
    room->granted += granted;
    room->tree = larger(tree, tree_pages + granted);
    return true;
}

bool csti_lmdb_room_take(csti_lmdb_room *room, uint64_t pages, uint64_t value_pages,
                         uint64_t tree_pages) {
    if (pages > room->left && !grant(room, pages, tree_pages)) return false;
    room->left -= pages;
    room->apart += value_pages;
    return true;
}

void csti_lmdb_room_took_inside(csti_lmdb_room *room, uint64_t pages) {
    room->granted += pages;
    room->apart += pages;
}
