// constellation.h: everything public, in the order in which it builds up.
//
//   error ──► schema ──► batch ──► keys, hash ──► table ──► device ──► driver
//   version                ▲                        └──► segment ──► store
//                  arrow, generator
//
// Every public name begins with cst_ or CST_. The library has no globals, no signal handlers, and
// never ends the program; each header says who owns what and which thread may call.
#ifndef CONSTELLATION_CONSTELLATION_H
#define CONSTELLATION_CONSTELLATION_H

#include <constellation/arrow.h>
#include <constellation/batch.h>
#include <constellation/device.h>
#include <constellation/driver.h>
#include <constellation/error.h>
#include <constellation/generator.h>
#include <constellation/hash.h>
#include <constellation/keys.h>
#include <constellation/object.h>
#include <constellation/operator.h>
#include <constellation/producer.h>
#include <constellation/schema.h>
#include <constellation/segment.h>
#include <constellation/store.h>
#include <constellation/table.h>
#include <constellation/version.h>

#endif
