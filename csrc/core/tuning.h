// Every tuned constant, what it trades, and the measurement behind it. No result depends on them.
// Figures: docs/decisions/0003-tuning.md.
#pragma once

#include <chrono>

#include "core/types.h"

namespace farpoint::tuning {

// When a selection takes up what costs something first.
struct Schedule {
  // Candidates of a level a thread, as bytes of float32 rows, and of codes; and at most.
  Index candidate_bytes_per_thread;
  Index candidate_code_bytes_per_thread;
  Index max_candidates;
  // Codes (cpu/codes.h) pay from this many columns and this many multiply-adds (n d k) on, if a trial lets
  // less than this share of pairs through in vain: all rows are coded first.
  Index min_code_columns;
  double min_code_work;
  double max_in_vain_at_trial;
  // Cells (cpu/cells.h) are made, and heads (cpu/head.h), once there are so many picks.
  Index picks_before_cells;
  Index picks_before_heads;
  // Heads are taken when screening costs less than this share of the whole product, and looked for when this
  // share of n d (picks left) is much beside finding a basis.
  double head_worth;
  double share_screened;
};
inline constexpr Schedule kSchedule{Index{1} << 19, Index{1} << 18, 8192, 24, 1e9, 0.02, 256, 2048, 0.8, 0.2};
// For tests: small problems reach every stage, and levels are many.
inline constexpr Schedule kEagerSchedule{Index{1} << 12, Index{1} << 10, 96, 1, 0.0, 2.0, 3, 9, 1e9, 1e9};
constexpr const Schedule& schedule(bool eager) {
  return eager ? kEagerSchedule : kSchedule;
}

// At least so many candidates, whatever the schedule says. The pick loop streams the candidates once a pick,
// so they should stay in the second-level cache. More: fewer levels, costlier picks.
inline constexpr Index kMinCandidates = 64;

// A level looks at about `rank` points; the rank follows the share of them that turn out to be
// candidates, within these factors a level.
inline constexpr double kRankGrowth = 2.0;
inline constexpr double kRankShrink = 0.7;
// Values sampled to estimate a rank. More: a truer level size, a longer scan.
inline constexpr Index kRankSample = 16384;

// Points that one thread brings up to date at a time, as bytes of packed float32 rows: they are
// streamed once for each tile of picks, so they should stay in the second-level cache.
inline constexpr Index kBlockBytes = Index{512} << 10;
inline constexpr Index kMaxBlockGroups = 32;

// Tiles of picks between two looks at how many points of a block still live (to close the gaps) and
// at the stop flag.
inline constexpr Index kTilesPerCheck = 4;
// Closing gaps moves whole rows: not worth it for fewer tiles than this.
inline constexpr Index kMinTilesToCompact = 8;

// Packed picks are allocated in slabs of about this size.
inline constexpr Index kPickSlabBytes = Index{1} << 20;

// Codes are given up for the float32 screen when they let more than this share of pairs through to
// refinement in vain, and heads when more than this share has to be looked at again; judged over so many
// pairs.
inline constexpr double kMaxRefinedShare = 0.04;
inline constexpr double kMaxConfirmedShare = 0.15;
inline constexpr double kPairsToJudge = 2e6;
// A trial of codes: so many rows against so many picks.
inline constexpr Index kTrialRows = 96;
inline constexpr Index kTrialPicks = 256;

// Elements sampled for the step of bytes (cpu/byte_rows.h), and the share of their magnitudes that codes
// reach for manhattan.
inline constexpr Index kByteSample = Index{1} << 16;
inline constexpr double kByteShare = 0.999;

// About so many picks a cell at the end.
inline constexpr Index kPicksPerCell = 64;
inline constexpr Index kMinCells = 64;
inline constexpr Index kMaxCells = 1024;
inline constexpr Index kRowsPerLook = 64;
// Picks of one cell that a row looks at at a time, at most: lists are some 100 long unless the data are
// lumps.
inline constexpr Index kMostLookUps = 1024;
// A pair looked up costs so many pairs of the blocked product; where a ring of cells saves less, it rests for
// 1, 3, 7, ... levels.
inline constexpr double kLookUpCost = 3.0;
inline constexpr int kLongestRest = 31;

// Heads that did not pay are thought of again when the pick list has grown so much.
inline constexpr Index kHeadsAgain = 4;
// Screening has to be so many times the work of finding a basis.
inline constexpr double kBasisWorth = 4;
inline constexpr Index kMaxHeadDimension = 2048;
inline constexpr Index kMaxHeadColumns = 256;
// Rows sampled for the basis, rounds of subspace iteration, rows sampled to choose the columns.
inline constexpr Index kBasisSample = 4096;
inline constexpr int kBasisRounds = 3;
inline constexpr Index kHeadSample = 192;
// The cost of looking at a pair again, in columns of the blocked product: so many and so many a column. Codes
// of both rows come from the third-level cache more often than not. Flat from half to twice as much.
inline constexpr double kPairCost = 4.5;
inline constexpr double kPairCostColumns = 800;
// Rows and picks sampled to choose a prefix of a head. More: a surer choice, 0.2 ms for each 4,096 pairs.
inline constexpr Index kPrefixRows = 32;
inline constexpr Index kPrefixPicks = 128;
// Rows of all values are caught up in bands of about so many, at most so many bands (and at least four).
inline constexpr Index kRowsPerBand = 4096;
inline constexpr Index kMaxBands = 16;
// The estimate takes bounds to be this much lower than they are without rounding to codes.
inline constexpr double kHeadSlack = 0.02;

// Rows of y that nearest rows and closest pairs pack at a time. More: fewer repackings of x, more memory.
inline constexpr Index kChunkRows = 4096;

// Rows read to find the centre, at most; an eighth of a small matrix. Any centre is right; a better one makes
// the screen finer.
inline constexpr Index kCentreSample = 1024;

// Below this many multiply-adds (n d k) one thread is faster than several: starting and joining
// threads costs tens of microseconds.
inline constexpr double kWorkPerThread = 8e6;

// A thread takes part in the pick loop from so many bytes of candidates on: they are read once a pick, at
// some 30 bytes a cycle, and a pick of several threads costs a barrier of 0.2 to 0.5 microseconds.
inline constexpr Index kPickBytesPerThread = Index{256} << 10;

// Rows a task when all rows are visited once (finite check, first distances).
inline constexpr Index kRowsPerTask = 1024;

// The calling thread asks for signals and reports progress this often.
inline constexpr std::chrono::milliseconds kPollPeriod{50};

// Spins before a waiting thread yields, and yields before it sleeps. A pick of the pick loop takes
// microseconds, a wake-up tens of them; on an oversubscribed machine spinning steals from the others.
inline constexpr int kSpins = 2000;
inline constexpr int kYields = 200;

// Bytes of address space that a new thread must find before it may allocate: its first allocations map a page
// each where the C library has no arena for it.
inline constexpr std::size_t kRoomToThrow = 256 << 10;

// Buckets of points with few columns. Figures: docs/decisions/0005-low-dimension.md.

// Points of a bucket, at most. More: fewer boxes to visit, more points to look at that a pick cannot
// reach. Flat from 64 to 128: with 8 columns 64 is 6 % better, with 3 columns 3 % worse.
inline constexpr Index kBucketPoints = 96;
// Candidates that a round should have; a small set has fewer, for every pick looks at all of them. More:
// fewer rounds, so fewer meetings of threads. 256 to 1024 are flat for one thread.
inline constexpr Index kBucketMaxCandidates = 512;
inline constexpr Index kBucketMinCandidates = 32;
inline constexpr Index kBucketRowsPerCandidate = 16;
// Picks between two removals of candidates that have fallen below the threshold.
inline constexpr Index kBucketPicksPerCompaction = 16;
// Picks of a round, at most.
inline constexpr Index kBucketBatch = 1024;
// Picks that a box notes before it passes them on; with their count they fill half a cache line. 15: the
// same.
inline constexpr Index kBucketPending = 7;
// The first threshold is this share below the largest value; later ones follow the number of candidates.
inline constexpr double kBucketFirstGap = 0.01;
// Trees are what threads share out in a round: more of them balance better, but each has a root to test.
inline constexpr int kBucketTreesPerThread = 8;
// (Point, pick) pairs between two looks at the stop flag: half a millisecond.
inline constexpr Index kBucketPairsPerPoll = Index{1} << 20;
// Work a matrix element, in multiply-adds as kWorkPerThread counts them: how many threads are of use.
inline constexpr double kBucketWorkPerElement = 150;

// The CUDA backend. Not yet measured on a device: chosen from the numbers of an H100 (132 multiprocessors, 50
// MB of second-level cache, some microseconds a launch), see docs/decisions/0006-cuda.md.

// Candidates of a level. A pick reads their codes from the first-level caches and costs a barrier of the
// grid.
inline constexpr Index kDeviceCandidates = 8192;
// Candidates of a block, about: fewer blocks make a cheaper barrier.
inline constexpr Index kPickShare = 64;
// Picks, and tiles of picks, of one launch: some milliseconds, so that a call can be stopped.
inline constexpr Index kPicksPerLaunch = 4096;
inline constexpr Index kTilesPerLaunch = 16;  // doubled with every launch of a level, up to
inline constexpr Index kMostTilesPerLaunch = 256;
inline constexpr double kPairsPerLaunch = 2e10;
// Rows that are tried with codes.
inline constexpr Index kDeviceTrialRows = 2048;
// Rows sampled for the scale of codes, and the share of them whose largest element it reaches.
inline constexpr Index kScaleSample = 4096;
inline constexpr double kScaleQuantile = 0.995;
// Bytes of rows that are packed, or brought from the host, at a time; and of one part of a copy.
inline constexpr Index kStageBytes = Index{256} << 20;
inline constexpr Index kUploadBytes = Index{8} << 20;
// Share of free device memory that a call plans with.
inline constexpr double kUsableMemory = 0.9;

}  // namespace farpoint::tuning
