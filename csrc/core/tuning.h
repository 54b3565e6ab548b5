// Every tuned constant, what it trades, and the measurement behind it. No result depends on them.
// Figures: docs/decisions/0003-tuning.md.
#pragma once

#include <chrono>

#include "core/types.h"

namespace farpoint::tuning {

// Candidates of a level, as bytes of packed float32 rows a thread: the pick loop streams them once a
// pick, so they should stay in the second-level cache. More: fewer levels, costlier picks.
inline constexpr Index kCandidateBytesPerThread = Index{1} << 20;
inline constexpr Index kMinCandidates = 64;
inline constexpr Index kMaxCandidates = 8192;

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

// Rows of y that nearest rows and closest pairs pack at a time. More: fewer repackings of x, more memory.
inline constexpr Index kChunkRows = 4096;

// Rows read to find the centre. Any centre is right; a better one makes the screen finer.
inline constexpr Index kCentreSample = 4096;

// Below this many multiply-adds (n d k) one thread is faster than several: starting and joining
// threads costs tens of microseconds.
inline constexpr double kWorkPerThread = 4e6;

// Rows a task when all rows are visited once (finite check, first distances).
inline constexpr Index kRowsPerTask = 1024;

// The calling thread asks for signals and reports progress this often.
inline constexpr std::chrono::milliseconds kPollPeriod{50};

// Spins before a waiting thread yields, and yields before it sleeps. A pick of the pick loop takes
// microseconds, a wake-up tens of them; on an oversubscribed machine spinning steals from the others.
inline constexpr int kSpins = 2000;
inline constexpr int kYields = 200;

// Buckets of points with few columns. Figures: docs/decisions/0005-low-dimension.md.

// Points of a bucket, at most. More: fewer boxes to visit, more points to look at that a pick cannot
// reach. Flat from 48 to 128; with 8 columns 48 is 5 % better, with 3 columns 15 % worse.
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
inline constexpr double kBucketWorkPerElement = 50;

}  // namespace farpoint::tuning
