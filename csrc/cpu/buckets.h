// Farthest-point selection of low-dimensional points: buckets with bounds instead of levels.
//
//   bucket_tree.cpp   the points, in a tree of bounding boxes over small buckets
//   buckets.inl       the inner loops: a bucket against picks, picks against boxes
//   buckets.cpp       the rounds: candidates, picks among them, and what the picks change
#pragma once

#include "core/control.h"
#include "core/select.h"
#include "cpu/select.h"

namespace farpoint::cpu {

// Whether select_by_buckets can take the problem. If it can, it is the faster way.
bool buckets_suit(const SelectProblem& problem);

// How many of problem.threads are of use.
int bucket_threads(const SelectProblem& problem);

// The selection of cpu::select, to the bit. Throws Interrupted when `control` says so.
SelectResult select_by_buckets(const SelectProblem& problem, ThreadTeam& team, Control& control);

}  // namespace farpoint::cpu
