//! Selects points of a grid, goes on from them, and ends a selection early. Panics, which makes it exit with 101,
//! unless every answer is the one that is known.

mod farpoint;
mod ffi;

use farpoint::{select, Error, Metric, Options};

fn main() -> Result<(), Error> {
    // Row 5 y + x is the point (x, y).
    let grid: Vec<f32> = (0..25)
        .flat_map(|i| [(i % 5) as f32, (i / 5) as f32])
        .collect();
    let go_on = &mut |_, _, _| true;

    let five = select(&grid, 2, Metric::Euclidean, 5, &Options::default(), go_on)?;
    println!(
        "{:?}, h_min {}, covering radius {}",
        five.indices(),
        five.h_min(),
        five.covering_radius()
    );
    assert_eq!(five.indices(), [0, 24, 4, 20, 12]);
    assert_eq!(five.radii()[1..], [32f64.sqrt(), 4.0, 4.0, 8f64.sqrt()]);
    assert_eq!(five.covering_radius(), 2.0);

    let options = Options {
        min_distance: 2.5,
        selected: &[0, 12],
        threads: 1,
    };
    let apart = select(&grid, 2, Metric::Euclidean, 0, &options, go_on)?;
    assert_eq!(apart.indices(), [4, 20, 24]);

    let refused = select(&grid, 2, Metric::Manhattan, 26, &Options::default(), go_on);
    let message = refused.err().expect("26 of 25 points").to_string();
    println!("refused: {message}");
    assert_eq!(message, "k = 26 is more than the 25 rows");

    // Numbers that look random (xorshift).
    let mut state = 1u64;
    let large: Vec<f32> = (0..200_000 * 32)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32
        })
        .collect();
    let mut last = 0;
    let stopped = select(
        &large,
        32,
        Metric::Euclidean,
        200_000,
        &Options::default(),
        &mut |done, _, _| {
            last = done;
            false
        },
    );
    println!("stopped after {last} picks");
    assert_eq!(stopped.err(), Some(Error::Cancelled));

    // A selection goes to other threads, and is freed there.
    std::thread::spawn(move || assert_eq!(five.indices().len(), 5))
        .join()
        .expect("a thread");
    Ok(())
}
