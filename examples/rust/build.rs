//! Finds libfarpoint: in the folder that FARPOINT_LIB_DIR names, or by pkg-config.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=FARPOINT_LIB_DIR");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    let folder = env::var("FARPOINT_LIB_DIR").ok().or_else(pkg_config);
    if let Some(folder) = folder {
        println!("cargo:rustc-link-search=native={folder}");
        // So that the program finds the library where it was linked. What is packaged would not say so.
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
    println!("cargo:rustc-link-lib=dylib=farpoint");
}

fn pkg_config() -> Option<String> {
    let output = Command::new("pkg-config")
        .args(["--variable=libdir", "farpoint"])
        .output()
        .ok()?;
    let folder = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !folder.is_empty()).then(|| folder)
}
