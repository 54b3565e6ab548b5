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

// Buckets of low-dimensional points (docs/decisions/0005-low-dimension.md).
inline constexpr Index kBucketPoints = 96;
inline constexpr Index kBucketMaxCandidates = 512;
inline constexpr Index kBucketMinCandidates = 32;
inline constexpr Index kBucketRowsPerCandidate = 16;
inline constexpr Index kBucketBatch = 1024;
inline constexpr Index kBucketPending = 7;
inline constexpr double kBucketFirstGap = 0.01;
inline constexpr int kBucketTreesPerThread = 8;
inline constexpr Index kBucketPairsPerPoll = Index{1} << 20;
inline constexpr Index kBucketPicksPerCompaction = 16;
inline constexpr double kBucketWorkPerElement = 50;

}  // namespace farpoint::tuning
