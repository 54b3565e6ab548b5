//! farpoint.h, as far as it is used here.

use std::os::raw::{c_char, c_void};

pub const OK: i32 = 0;
pub const CANCELLED: i32 = 5;
pub const FLOAT32: i32 = 3;

#[repr(C)]
pub struct Matrix {
    pub data: *const c_void,
    pub rows: i64,
    pub columns: i64,
    pub row_stride: i64,
    pub dtype: i32,
}

#[repr(C)]
pub struct RunOptions {
    pub struct_size: usize,
    pub threads: i32,
    pub reserved: i32,
    pub memory_limit: i64,
    pub spill_folder: *const c_char,
    pub simd_level: *const c_char,
    pub progress: Option<unsafe extern "C" fn(*mut c_void, i64, i64, f64) -> i32>,
    pub context: *mut c_void,
}

#[repr(C)]
pub struct SelectOptions {
    pub struct_size: usize,
    pub min_distance: f64,
    pub start: i32,
    pub assign: i32,
    pub start_row: i64,
    pub selected: *const i64,
    pub selected_count: i64,
    pub excluded: *const i64,
    pub excluded_count: i64,
    pub anchors: *const Matrix,
    pub weights: *const f64,
    pub groups: *const i32,
    pub group_count: i64,
    pub at_least: *const i64,
    pub at_most: *const i64,
}

#[repr(C)]
pub struct Selection {
    _private: [u8; 0],
}

extern "C" {
    pub fn farpoint_abi_version() -> i32;
    pub fn farpoint_last_error_message() -> *const c_char;
    pub fn farpoint_select(
        points: *const Matrix,
        metric: i32,
        k: i64,
        options: *const SelectOptions,
        run: *const RunOptions,
        selection: *mut *mut Selection,
    ) -> i32;
    pub fn farpoint_selection_free(selection: *mut Selection);
    pub fn farpoint_selection_size(selection: *const Selection) -> i64;
    pub fn farpoint_selection_indices(selection: *const Selection) -> *const i64;
    pub fn farpoint_selection_radii(selection: *const Selection) -> *const f64;
    pub fn farpoint_selection_h_min(selection: *const Selection) -> f64;
    pub fn farpoint_selection_covering_radius(selection: *const Selection) -> f64;
}
