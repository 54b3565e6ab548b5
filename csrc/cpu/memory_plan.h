// What a call needs of memory at least, and what the parts take that only save time. Sums of the arrays that
// the other files make; docs/memory.md says the same in words. A little more than is used is no harm, less
// is.
#pragma once

#include "cpu/distances.h"
#include "cpu/select.h"

namespace farpoint::cpu {

// A selection by levels. What it keeps of coded rows and of packed picks is not in it: that may spill.
Index least_for_levels(const SelectProblem& problem, const Frame& frame, int threads);
// A selection by buckets, none of which spills. Splits that are all uneven, and more than a few equal
// distances to many points, may take more: an estimate for data as they are.
Index memory_for_buckets(const SelectProblem& problem, int threads);

// Nearest rows and closest pair: in chunks of float32 rows, the least, and by codes. Both may spill.
// `results`: bytes of what is returned for each row of x.
Index least_for_chunks(const DistanceProblem& problem, const Frame& frame, int threads, Index results);
Index least_for_codes(const DistanceProblem& problem, const Frame& frame, int threads, Index results);

// Cells and heads, for a pick list of so many entries.
Index memory_for_cells(const SelectState& state);
Index memory_for_head(const SelectState& state);

}  // namespace farpoint::cpu
