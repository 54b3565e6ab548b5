/* The least that a program needs; select.c has options, progress and errors. */
#include <farpoint.h>
#include <stdio.h>

int main(void) {
  float data[4][2] = {{0, 0}, {1, 0}, {10, 0}, {0, 6}};
  farpoint_matrix points = {data, 4, 2, 0, FARPOINT_FLOAT32}; /* rows, columns, stride (0: no gaps) */
  farpoint_selection* selection;
  if (farpoint_select(&points, FARPOINT_EUCLIDEAN, 3, NULL, NULL, &selection) != FARPOINT_OK) {
    fprintf(stderr, "%s\n", farpoint_last_error_message());
    return 1;
  }
  for (int64_t i = 0; i < farpoint_selection_size(selection); ++i) {
    printf("row %d at radius %g\n", (int)farpoint_selection_indices(selection)[i],
           farpoint_selection_radii(selection)[i]);
  }
  farpoint_selection_free(selection);
  return 0;
}
