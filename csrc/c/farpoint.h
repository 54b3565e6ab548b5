/*
 * farpoint: exact farthest-point selection of embeddings, from C and from whatever calls C.
 *
 *     farpoint_matrix points = {data, rows, columns, 0, FARPOINT_FLOAT32};
 *     farpoint_selection *selection = NULL;
 *     if (farpoint_select(&points, FARPOINT_EUCLIDEAN, 1000, NULL, NULL, &selection) != FARPOINT_OK) {
 *       fprintf(stderr, "%s\n", farpoint_last_error_message());
 *       return 1;
 *     }
 *     const int64_t *indices = farpoint_selection_indices(selection);
 *     ...
 *     farpoint_selection_free(selection);
 *
 * Results are, to the bit, those of the Python package: what a distance is, which row is picked next and how
 * ties are broken is docs/contract.md. This is its CPU engine.
 *
 * Ownership. All that is passed in is borrowed for the call, never written to and never kept. A selection
 * that farpoint_select made belongs to the caller, who frees it; what its functions return belongs to it.
 *
 * Threads. Any function may be called from any number of threads at once; there is no global state. A
 * selection may be read by several threads at once. A call starts its threads and ends them before it
 * returns, so that a process may fork between calls.
 *
 * Errors. Functions that can fail return a farpoint_status and write their results only on FARPOINT_OK,
 * unless it is said. farpoint_last_error_message() says what was wrong, where, and what would be right. No
 * C++ exception leaves the library, and it never ends the process.
 *
 * Stability. A program that was compiled with this header works with every later library of the same
 * FARPOINT_ABI_VERSION, which is in the library's SONAME: functions, constants and fields keep their meaning
 * and place; new ones are added at the end. The structures of options say how large they are (struct_size).
 *
 * C99, and C++.
 */
#ifndef FARPOINT_H
#define FARPOINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define FARPOINT_API __attribute__((visibility("default")))
#else
#define FARPOINT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define FARPOINT_ABI_VERSION 1

/* FARPOINT_ABI_VERSION of the library, which should be that of the header. */
FARPOINT_API int32_t farpoint_abi_version(void);

/* The library's version, such as "0.1.0". */
FARPOINT_API const char* farpoint_version(void);

/* --- Errors ------------------------------------------------------------------------------------------ */

typedef int32_t farpoint_status;
enum {
  FARPOINT_OK = 0,
  FARPOINT_INVALID_ARGUMENT = 1, /* an argument, or an element of a matrix, cannot be used */
  FARPOINT_OUT_OF_MEMORY = 2,    /* the system does not give the memory */
  FARPOINT_LIMIT_TOO_SMALL = 3,  /* memory_limit is below the least that works, which the message says */
  FARPOINT_SPILL_FAILED = 4,     /* a temporary file cannot be made or written */
  FARPOINT_CANCELLED = 5,        /* the progress function said so */
  FARPOINT_INTERNAL_ERROR = 6    /* a bug in farpoint; please report the message */
};

/*
 * What went wrong in the last call on this thread that failed; "" if none has. English, UTF-8, one line,
 * without a full stop. Valid until the next call that fails on this thread.
 */
FARPOINT_API const char* farpoint_last_error_message(void);

/* --- Matrices and metrics ---------------------------------------------------------------------------- */

typedef int32_t farpoint_dtype;
enum {
  FARPOINT_FLOAT16 = 1,  /* IEEE 754 binary16 */
  FARPOINT_BFLOAT16 = 2, /* the upper half of a binary32 */
  FARPOINT_FLOAT32 = 3,
  FARPOINT_FLOAT64 = 4,
  FARPOINT_INT8 = 5,
  FARPOINT_UINT8 = 6 /* also packed bits, eight a column, for FARPOINT_HAMMING and FARPOINT_JACCARD */
};

/*
 * `rows` points of `columns` elements, in the machine's byte order. The elements of a row follow each other.
 * Row i begins at data + i * row_stride bytes; 0 stands for rows without gaps. The stride is a multiple of
 * the element's size and may be negative; rows may overlap. `data` is aligned as its elements are. At least
 * one row and one column. All elements are finite, and no row is all zeros for FARPOINT_COSINE: both are
 * looked for.
 */
typedef struct farpoint_matrix {
  const void* data;
  int64_t rows;
  int64_t columns;
  int64_t row_stride; /* bytes */
  farpoint_dtype dtype;
} farpoint_matrix;

/* What distances are: of all results, and of min_distance. */
typedef int32_t farpoint_metric;
enum {
  FARPOINT_EUCLIDEAN = 0,
  FARPOINT_SQEUCLIDEAN = 1, /* squared; the same selection, unless there are weights */
  FARPOINT_COSINE = 2,      /* 1 - cos(x, y) */
  FARPOINT_MANHATTAN = 3,
  FARPOINT_CHEBYSHEV = 4,
  FARPOINT_HAMMING = 5, /* of packed bits: how many differ */
  FARPOINT_JACCARD = 6  /* of packed bits: 1 - |both| / |either| */
};

/* --- How calls run ----------------------------------------------------------------------------------- */

/*
 * Called several times a second on the thread that made the call. Returns 0 to go on; anything else ends the
 * call with FARPOINT_CANCELLED within 0.2 s. Must not throw, which ends the call with
 * FARPOINT_INTERNAL_ERROR, nor jump out of it.
 *
 * context  farpoint_run_options.context
 * done     picks that are made; 0 in calls that pick nothing
 * total    picks that were asked for, k; 0 where min_distance alone decides, and in calls that pick nothing
 * radius   distance at which the last pick was made; infinity before that is known
 */
typedef int32_t (*farpoint_progress_function)(void* context, int64_t done, int64_t total, double radius);

/*
 * How a call runs: nothing here changes its result. Zeros stand for the defaults, as does NULL in place of a
 * pointer to this structure.
 */
typedef struct farpoint_run_options {
  size_t struct_size;                  /* sizeof(farpoint_run_options) */
  int32_t threads;                     /* at most so many; 0: the processors that this process may use */
  int32_t reserved;                    /* 0 */
  int64_t memory_limit;                /* bytes that the call may take beyond its arguments; 0: no limit */
  const char* spill_folder;            /* for temporary files, with memory_limit; NULL: the system's folder */
  const char* simd_level;              /* one of farpoint_simd_levels(); NULL: the last of them */
  farpoint_progress_function progress; /* may be NULL */
  void* context;                       /* handed to `progress` */
} farpoint_run_options;

static inline farpoint_run_options farpoint_default_run_options(void) {
  farpoint_run_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  return options;
}

/*
 * Names of the SIMD levels that are compiled into the library and that this processor has, rising:
 * "baseline", "avx2", ... Ends with NULL. Static.
 */
FARPOINT_API const char* const* farpoint_simd_levels(void);

/* --- Selection --------------------------------------------------------------------------------------- */

typedef int32_t farpoint_start;
enum {
  FARPOINT_START_DEFAULT = 0, /* row 0; with weights, quotas or excluded rows the row of the largest weight
                                 that may be picked, the lowest of several */
  FARPOINT_START_ROW = 1,     /* start_row */
  FARPOINT_START_CENTER = 2   /* the row nearest the mean of all rows; not of packed bits */
};

/*
 * What decides the picks, beside the points, the metric and k. Zeros stand for the defaults, as does NULL in
 * place of a pointer to this structure. Row numbers count from 0.
 */
typedef struct farpoint_select_options {
  size_t struct_size; /* sizeof(farpoint_select_options) */

  /* Stop before a pick that is closer than this to what came before it. With weights or quotas, rows that are
     too close are passed over instead, until there is no other; then minima may be missed. */
  double min_distance;

  /* Where to begin. Has no meaning, and must be FARPOINT_START_DEFAULT, with `selected` or `anchors`: then
     the first pick is the row farthest from these. For a random start draw a row. */
  farpoint_start start;

  /* 1: also find each row's nearest pick (farpoint_selection_labels). */
  int32_t assign;

  /* With FARPOINT_START_ROW: the first pick. */
  int64_t start_row;

  /* Rows chosen before: never returned, and kept away from; none twice. A selection goes on this way: with
     the picks that were made here, the next picks and their radii are those that would have followed. */
  const int64_t* selected;
  int64_t selected_count;

  /* Rows that are never returned, and not kept away from. May repeat, and be in `selected`. */
  const int64_t* excluded;
  int64_t excluded_count;

  /* Vectors outside the points to keep away from; of the dtype and the columns of the points. */
  const farpoint_matrix* anchors;

  /* (rows) How much each row is wanted: the next pick is the row with the largest weight times distance.
     Finite, and 0 or at least 2^-300 of the largest. Rows of weight 0 come last. */
  const double* weights;

  /* (rows) The number of each row's group, below group_count. With it, at_least or at_most or both. */
  const int32_t* groups;
  int64_t group_count;

  /* (group_count) How many picks there are to be of each group; NULL: 0. Minima that cannot be met are an
     error. */
  const int64_t* at_least;

  /* (group_count) How many there may be; NULL: no limit. */
  const int64_t* at_most;
} farpoint_select_options;

static inline farpoint_select_options farpoint_default_select_options(void) {
  farpoint_select_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  return options;
}

typedef struct farpoint_selection farpoint_selection;

/*
 * Selects the most evenly spread rows: each pick is the row farthest from all picks so far, ties go to the
 * lowest row.
 *
 * k          How many rows; 0: as many as min_distance, which is above 0 then, and quotas allow.
 * options    May be NULL.
 * run        May be NULL.
 * selection  Where to write the new selection, which farpoint_selection_free frees; NULL where the call
 * fails.
 */
FARPOINT_API farpoint_status farpoint_select(const farpoint_matrix* points, farpoint_metric metric, int64_t k,
                                             const farpoint_select_options* options,
                                             const farpoint_run_options* run, farpoint_selection** selection);

/* Does nothing with NULL. */
FARPOINT_API void farpoint_selection_free(farpoint_selection* selection);

/* How many picks there are: fewer than k where min_distance or quotas ended the selection. 0 for NULL. */
FARPOINT_API int64_t farpoint_selection_size(const farpoint_selection* selection);

/* The picked rows in the order of selection, farpoint_selection_size() of them. */
FARPOINT_API const int64_t* farpoint_selection_indices(const farpoint_selection* selection);

/*
 * Of each pick the distance to what came before it when it was picked: non-increasing, unless weights or
 * quotas decided. Infinity for the first, where nothing was kept away from.
 */
FARPOINT_API const double* farpoint_selection_radii(const farpoint_selection* selection);

/* Smallest distance of a pick to another, or to what was kept away from; infinity for a lone pick. */
FARPOINT_API double farpoint_selection_h_min(const farpoint_selection* selection);

/* Largest distance of any row that is not excluded to its nearest pick, or to what was kept away from. */
FARPOINT_API double farpoint_selection_covering_radius(const farpoint_selection* selection);

/* No selection of this size has a larger h_min. Infinity with weights or quotas. */
FARPOINT_API double farpoint_selection_upper_bound(const farpoint_selection* selection);

/*
 * With options.assign, of each row of the points the position of its nearest pick among the picks, the
 * earliest on ties, or -1 where what was kept away from is at least as near; else NULL.
 */
FARPOINT_API const int64_t* farpoint_selection_labels(const farpoint_selection* selection);

/* With options.assign, of each row of the points the distance to what its label names; else NULL. */
FARPOINT_API const double* farpoint_selection_distances(const farpoint_selection* selection);

/* --- Distances --------------------------------------------------------------------------------------- */

/*
 * The nearest row of y for each row of x; ties go to the lowest. x and y have one dtype and as many columns.
 *
 * distances  (x.rows); may be NULL
 * indices    (x.rows); may be NULL
 */
FARPOINT_API farpoint_status farpoint_nearest(const farpoint_matrix* x, const farpoint_matrix* y,
                                              farpoint_metric metric, const farpoint_run_options* run,
                                              double* distances, int64_t* indices);

/*
 * The closest two rows of x: h_min of a set. i < j; of several pairs that with the lowest i, then j. At least
 * two rows. Each of the results may be NULL.
 */
FARPOINT_API farpoint_status farpoint_closest_pair(const farpoint_matrix* x, farpoint_metric metric,
                                                   const farpoint_run_options* run, double* distance,
                                                   int64_t* i, int64_t* j);

/* The largest distance of a row of x to its nearest row of y; as farpoint_nearest. */
FARPOINT_API farpoint_status farpoint_covering_radius(const farpoint_matrix* x, const farpoint_matrix* y,
                                                      farpoint_metric metric, const farpoint_run_options* run,
                                                      double* radius);

/*
 * All distances. x and y have one dtype and as many columns. memory_limit has no meaning: hardly anything is
 * taken.
 *
 * distances  (x.rows, y.rows): of row i of x and row j of y distances[i * y.rows + j]
 *
 * Distances are written as the call goes: where it fails, there may be anything in them.
 */
FARPOINT_API farpoint_status farpoint_pairwise_distances(const farpoint_matrix* x, const farpoint_matrix* y,
                                                         farpoint_metric metric,
                                                         const farpoint_run_options* run, double* distances);

#ifdef __cplusplus
}
#endif

#endif /* FARPOINT_H */
