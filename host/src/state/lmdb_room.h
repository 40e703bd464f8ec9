// lmdb_room.h: how many pages of its map an open LMDB epoch may still take, told without asking
// LMDB.
//
//   pages of the map   | committed, or freed by others ... | taken by this epoch | room
//   ............ | taken is at most   what was granted so far, change by change at its worst and at
//   most        the largest tree so far + what values of their own pages took + changes made
//                      in transactions inside
//
// LMDB does not tell how many pages a transaction has taken, and running into the end of the map
// undoes all of it. Each change copies a page of the tree once an epoch and reuses what it
// loosened, so the tree's own size bounds what changes of it took, far below the sum of their worst
// cases. Grants are an eighth of the room, so that the tree is looked at often enough to be a
// bound. Owner thread, ring 1.
#ifndef CST_STATE_LMDB_ROOM_H
#define CST_STATE_LMDB_ROOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct csti_lmdb_room {
    uint64_t pages;   // free at the end of the map when the epoch began
    uint64_t left;    // of the last grant
    uint64_t granted; // so far
    uint64_t tree;    // the largest it can have been
    uint64_t apart;   // taken outside of the tree's own pages, or where it is not known
} csti_lmdb_room;

// An epoch begins. UINT64_MAX: everything fits, whatever comes.
void csti_lmdb_room_begin(csti_lmdb_room *room, uint64_t pages);

// A change that takes at most `pages`, of which `value_pages` are its value's own, in a tree of
// `tree_pages`. True: it fits, and is counted. False: it may not; nothing is counted.
bool csti_lmdb_room_take(csti_lmdb_room *room, uint64_t pages, uint64_t value_pages,
                         uint64_t tree_pages);

// A change that may not have fitted was made all the same, in a transaction of its own.
void csti_lmdb_room_took_inside(csti_lmdb_room *room, uint64_t pages);

#endif
