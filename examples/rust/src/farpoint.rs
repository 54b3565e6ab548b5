//! A safe wrapper: slices in, `Result` out, a closure for progress, and a selection that frees itself.

use crate::ffi;
use std::ffi::CStr;
use std::fmt;
use std::mem;
use std::os::raw::c_void;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr;
use std::slice;

/// The version of the interface that `ffi` is written for.
pub const ABI_VERSION: i32 = 1;

#[derive(Clone, Copy, Debug)]
#[allow(dead_code)] // an example need not use all
pub enum Metric {
    Euclidean = 0,
    SquaredEuclidean = 1,
    Cosine = 2,
    Manhattan = 3,
    Chebyshev = 4,
}

#[derive(Debug, PartialEq)]
pub enum Error {
    /// The progress closure said so.
    Cancelled,
    /// What the library says was wrong.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Cancelled => write!(f, "cancelled"),
            Error::Failed(message) => write!(f, "{message}"),
        }
    }
}

impl std::error::Error for Error {}

/// What was picked. Nobody writes to it, so that threads may share it.
pub struct Selection(ptr::NonNull<ffi::Selection>);

unsafe impl Send for Selection {}
unsafe impl Sync for Selection {}

impl Drop for Selection {
    fn drop(&mut self) {
        unsafe { ffi::farpoint_selection_free(self.0.as_ptr()) }
    }
}

impl Selection {
    /// Rows in the order of selection.
    pub fn indices(&self) -> &[i64] {
        let data = unsafe { ffi::farpoint_selection_indices(self.0.as_ptr()) };
        self.slice(data)
    }

    /// Of each pick the distance to what came before it.
    pub fn radii(&self) -> &[f64] {
        let data = unsafe { ffi::farpoint_selection_radii(self.0.as_ptr()) };
        self.slice(data)
    }

    /// Smallest distance within the selection.
    pub fn h_min(&self) -> f64 {
        unsafe { ffi::farpoint_selection_h_min(self.0.as_ptr()) }
    }

    /// Largest distance of any row to its nearest pick.
    pub fn covering_radius(&self) -> f64 {
        unsafe { ffi::farpoint_selection_covering_radius(self.0.as_ptr()) }
    }

    fn slice<T>(&self, data: *const T) -> &[T] {
        let size = unsafe { ffi::farpoint_selection_size(self.0.as_ptr()) };
        if size == 0 {
            return &[]; // whose address may be null, which slices do not have
        }
        unsafe { slice::from_raw_parts(data, size as usize) }
    }
}

/// What a selection can be asked for, beside the points and how many. `Default` is the library's.
#[derive(Default)]
pub struct Options<'a> {
    /// Stop before a pick closer than this.
    pub min_distance: f64,
    /// Rows chosen before: kept away from, and never returned.
    pub selected: &'a [i64],
    /// At most so many; 0: the processors that there are.
    pub threads: i32,
}

/// A closure of progress, and what it panicked with: no panic may pass through C.
struct Listener<'a> {
    progress: &'a mut dyn FnMut(i64, i64, f64) -> bool,
    panic: Option<Box<dyn std::any::Any + Send>>,
}

unsafe extern "C" fn listen(context: *mut c_void, done: i64, total: i64, radius: f64) -> i32 {
    let listener = &mut *context.cast::<Listener<'_>>();
    let progress = &mut listener.progress;
    match catch_unwind(AssertUnwindSafe(|| progress(done, total, radius))) {
        Ok(goes_on) => i32::from(!goes_on),
        Err(panic) => {
            listener.panic = Some(panic);
            1
        }
    }
}

/// Selects `k` rows (0: as many as `min_distance` allows) of a matrix with so many columns, one row after the
/// other. `progress(done, total, radius)` is called several times a second; false ends the call.
pub fn select(
    points: &[f32],
    columns: usize,
    metric: Metric,
    k: usize,
    options: &Options<'_>,
    progress: &mut dyn FnMut(i64, i64, f64) -> bool,
) -> Result<Selection, Error> {
    if unsafe { ffi::farpoint_abi_version() } != ABI_VERSION {
        return Err(Error::Failed(
            "libfarpoint is of another ABI version".to_owned(),
        ));
    }
    if columns == 0 || points.len() % columns != 0 {
        return Err(Error::Failed(format!(
            "{} elements are no rows of {columns} columns",
            points.len()
        )));
    }
    let matrix = ffi::Matrix {
        data: points.as_ptr().cast(),
        rows: (points.len() / columns) as i64,
        columns: columns as i64,
        row_stride: 0,
        dtype: ffi::FLOAT32,
    };
    // Zeros and null pointers are the defaults.
    let mut select_options: ffi::SelectOptions = unsafe { mem::zeroed() };
    select_options.struct_size = mem::size_of::<ffi::SelectOptions>();
    select_options.min_distance = options.min_distance;
    select_options.selected = options.selected.as_ptr();
    select_options.selected_count = options.selected.len() as i64;
    let mut listener = Listener {
        progress,
        panic: None,
    };
    let mut run: ffi::RunOptions = unsafe { mem::zeroed() };
    run.struct_size = mem::size_of::<ffi::RunOptions>();
    run.threads = options.threads;
    run.progress = Some(listen);
    run.context = (&mut listener as *mut Listener<'_>).cast();

    let mut selection = ptr::null_mut();
    let status = unsafe {
        ffi::farpoint_select(
            &matrix,
            metric as i32,
            k as i64,
            &select_options,
            &run,
            &mut selection,
        )
    };
    if let Some(panic) = listener.panic.take() {
        resume_unwind(panic);
    }
    match (status, ptr::NonNull::new(selection)) {
        (ffi::OK, Some(selection)) => Ok(Selection(selection)),
        (ffi::CANCELLED, _) => Err(Error::Cancelled),
        _ => {
            let message = unsafe { CStr::from_ptr(ffi::farpoint_last_error_message()) };
            Err(Error::Failed(message.to_string_lossy().into_owned()))
        }
    }
}
