/*
 * Selects the most evenly spread points of a grid of 5 x 5, keeps away from some of them, and ends a
 * selection early. Exits with 1 unless every answer is the one that is known.
 *
 * Without CMake:  cc -std=c99 select.c $(pkg-config --cflags --libs farpoint) -o select
 */
#include <farpoint.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 5, POINTS = SIDE * SIDE };

static void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, farpoint_last_error_message());
  exit(1);
}

static void check(farpoint_status status, const char* what) {
  if (status != FARPOINT_OK) {
    fail(what);
  }
}

static void expect(const farpoint_selection* selection, const int64_t* expected, int64_t count,
                   const char* what) {
  const int64_t* indices = farpoint_selection_indices(selection);
  const double* radii = farpoint_selection_radii(selection);
  int64_t i;
  printf("%s:", what);
  for (i = 0; i < farpoint_selection_size(selection); ++i) {
    printf(" %" PRId64 " (%g)", indices[i], radii[i]);
  }
  printf("; h_min %g, covering radius %g\n", farpoint_selection_h_min(selection),
         farpoint_selection_covering_radius(selection));
  if (farpoint_selection_size(selection) != count) {
    fail(what);
  }
  for (i = 0; i < count; ++i) {
    if (indices[i] != expected[i]) {
      fail(what);
    }
  }
}

static int32_t stop_at_once(void* context, int64_t done, int64_t total, double radius) {
  int* calls = context;
  ++*calls;
  printf("stopped after %" PRId64 " of %" PRId64 " picks, at radius %g\n", done, total, radius);
  return 1;
}

int main(void) {
  /* Row 5 y + x is the point (x, y). */
  const int64_t corners_and_center[] = {0, 24, 4, 20, 12};
  const int64_t others[] = {4, 20, 24};
  const int64_t chosen[] = {0, 12};
  float grid[POINTS][2];
  farpoint_matrix points = {NULL, POINTS, 2, 0, FARPOINT_FLOAT32};
  farpoint_select_options options = farpoint_default_select_options();
  farpoint_run_options run = farpoint_default_run_options();
  farpoint_selection* selection = NULL;
  farpoint_matrix large = {NULL, 200000, 32, 0, FARPOINT_FLOAT32};
  double distance;
  int64_t i, j;
  int calls = 0;
  float* rows;

  for (i = 0; i < POINTS; ++i) {
    grid[i][0] = (float)(i % SIDE);
    grid[i][1] = (float)(i / SIDE);
  }
  points.data = grid;

  check(farpoint_select(&points, FARPOINT_EUCLIDEAN, 5, NULL, NULL, &selection), "select");
  expect(selection, corners_and_center, 5, "five picks");
  farpoint_selection_free(selection);

  options.min_distance = 2.5;
  options.selected = chosen; /* borrowed for the call, as everything is */
  options.selected_count = 2;
  check(farpoint_select(&points, FARPOINT_EUCLIDEAN, 0, &options, NULL, &selection), "select with options");
  expect(selection, others, 3, "apart from rows 0 and 12 by at least 2.5");
  farpoint_selection_free(selection);

  check(farpoint_closest_pair(&points, FARPOINT_MANHATTAN, NULL, &distance, &i, &j), "closest_pair");
  if (distance != 1 || i != 0 || j != 1) {
    fail("closest_pair");
  }

  if (farpoint_select(&points, FARPOINT_EUCLIDEAN, 26, NULL, NULL, &selection) != FARPOINT_INVALID_ARGUMENT) {
    fail("26 of 25 points");
  }
  printf("refused: %s\n", farpoint_last_error_message());

  rows = malloc((size_t)(large.rows * large.columns) * sizeof *rows);
  if (rows == NULL) {
    return 1;
  }
  srand(1);
  for (i = 0; i < large.rows * large.columns; ++i) {
    rows[i] = (float)rand() / (float)RAND_MAX;
  }
  large.data = rows;
  run.threads = 2;
  run.memory_limit = 2000000000; /* bytes beyond the arguments; the rest goes to a temporary file */
  run.progress = stop_at_once; /* several times a second; a result other than 0 ends the call within 0.2 s */
  run.context = &calls;
  if (farpoint_select(&large, FARPOINT_EUCLIDEAN, large.rows, NULL, &run, &selection) != FARPOINT_CANCELLED ||
      calls != 1) {
    fail("a call that is to stop");
  }
  free(rows);
  return 0;
}
